# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of supervisord's socket is swept away while it lives: it is made again, and no program notices.

From Supervisor/supervisor#1710, #1105, #1723: cleaners of old files, and nothing can be started there any more.
"""

from __future__ import annotations

import stat
from pathlib import Path

from tests.integration.host.host_in_a_folder import Host, host_fixture, only_supervisor, program, wait_for  # noqa: F401 - a fixture

pytestmark = only_supervisor


def test_a_socket_that_is_gone_is_made_again_and_nothing_ends(host: Host) -> None:
    host.define("app_01", [program("acq", 1)])
    assert host.do("start", "app_01", 1)["result"] == "running"
    before, manager = host.pids("app_01"), host.manager_pid()
    path = Path(host.root, "run/supervisor.sock")
    for epoch in (2, 3):  # and again: the new one can be lost, too
        path.unlink()
        wait_for(path.exists, "the socket is there again", 15.0)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700 and stat.S_ISSOCK(path.stat().st_mode)
        assert (host.pids("app_01"), host.manager_pid()) == (before, manager)
        host.define("app_02", [program("acq", 1)])
        assert host.do("start", "app_02", epoch)["result"] == "running"
        assert host.do("stop", "app_02", epoch)["result"] == "stopped"
    assert list(path.parent.glob("supervisor.sock*")) == [path]
    assert "was gone, so it is made again" in Path(host.root, "log/supervisord.log").read_text()
