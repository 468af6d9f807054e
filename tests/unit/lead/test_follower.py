# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one that follows what the controllers share asks another member when one is gone."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path
from typing import Any

from monitor.lead.follower import Follower


def test_a_member_that_is_gone_is_not_the_only_one_that_is_asked(tmp_path: Path) -> None:
    asked = threading.Event()

    class Member(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path == "/v3/watch":
                asked.set()
            self.send_error(503)

        def log_message(self, *_unused: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Member)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Member) as gone:
        dead = gone.server_address[1]
    urls = ["http://127.0.0.1:%d" % port for port in (dead, server.server_address[1])]
    said: list[str] = []
    follower = Follower(
        tmp_path, {"etcd": urls, "site": "s"}, hurry=lambda: None, requests=lambda ids: None,
        answered=lambda ident: None, say=said.append,
    )  # fmt: skip
    follower.start()
    try:
        assert asked.wait(20)
    finally:
        follower.end()
        follower.join(1)
        server.shutdown()
        server.server_close()
