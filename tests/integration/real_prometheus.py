# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Prometheus with the configuration and the rules of examples/prometheus, at an address of a test's network."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.local_site import ROOT, wait_for

PROGRAM = shutil.which("prometheus")
EXAMPLES = ROOT / "examples" / "prometheus"
PORT = 9090


class Prometheus:
    def __init__(self, address: str) -> None:
        self.listens = "%s:%d" % (address, PORT)

    def ask(self, expression: str, how: str = "query", **more: float) -> list[Any]:
        """:raises OSError: where it does not answer, or refuses the expression."""
        question = urllib.parse.urlencode({"query": expression, **more})
        with urllib.request.urlopen("http://%s/api/v1/%s?%s" % (self.listens, how, question), timeout=10) as answer:
            return list(json.load(answer)["data"]["result"])

    def curves(self, expression: str) -> list[Any]:
        """As Grafana draws them."""
        now = time.time()
        return self.ask(expression, "query_range", start=now - 60, end=now, step=1)

    def scraped(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.ask('up{job="muster"} == 1')) and bool(self.ask("rate(muster_loop_failing[5s])"))
        return False


@contextlib.contextmanager
def begun(folder: Path, address: str, port: int) -> Iterator[Prometheus]:
    """One that has scraped twice.

    :param folder: for its files. :param address: where it listens; the monitor does at this address and `port`.
    """
    config = (EXAMPLES / "prometheus.yml").read_text(encoding="utf-8").replace("10s", "1s")
    assert "127.0.0.1:%d" % port in config
    (folder / "prometheus.yml").write_text(config.replace("127.0.0.1", address), encoding="utf-8")
    shutil.copy(EXAMPLES / "alerts.yml", folder)
    made = Prometheus(address)
    flags = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + made.listens]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(
        [str(PROGRAM), *flags], cwd=folder, stdout=output, stderr=output
    ) as server:  # fmt: skip
        try:
            wait_for(made.scraped, "two scrapes", lambda: log.read_text(encoding="utf-8"))
            yield made
        finally:
            server.terminate()
