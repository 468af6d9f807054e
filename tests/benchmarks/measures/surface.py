# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The times that people and programs wait: for the status, for a window, for the recovery of many failures."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import BUS, DUMMY_SERVICES, DUMMY_WINDOWS, ROOT, Lab, dummies, laboratory
from tests.benchmarks.options import Options

ITEMS = 3
BURST = 50
CONSOLE = "console_3"
AIM_STATUS, AIM_OPEN = 0.15, 0.5


def measure_status(options: Options, report: Report) -> None:
    """`muster status --json` beside a monitor: the whole command"""
    values = []
    with laboratory(dummies(), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        lab.wait_until_ready()
        command = [str(ROOT / "bin" / "muster"), "--state-dir", str(lab.state), "status", "--json"]
        for _run in range(options.count(20, 5)):
            begin = time.perf_counter()
            done = subprocess.run(command, env=lab.environment(), capture_output=True, text=True, check=False)
            values.append(time.perf_counter() - begin)
            if done.returncode not in (0, 1) or len(json.loads(done.stdout)["items"]) != ITEMS:
                raise TimeoutError(f"muster status said {done.stderr[-300:]}")
    report.add(Figure("muster status --json, beside a monitor", values, aim=AIM_STATUS))


def measure_open(options: Options, report: Report) -> None:
    """A request to the API (as the page sends it): until all windows run"""
    values = []
    with laboratory(dummies(), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        for _run in range(options.count(10, 3)):
            lab.wait_until_ready()
            watcher = machine.Watcher(lab.identify)
            time.sleep(random.uniform(0.2, 1.0))
            at = time.time()
            call = _Call(lab, {"kind": "open", "instances": ["scen2_hci_02"], "console": CONSOLE, "why": "bench"})
            values.append(watcher.wait_for({"scen2_hci_02": DUMMY_WINDOWS}, 30, 0.003) - at)
            call.end()
            lab.wait_until_ready()
            _Call(lab, {"kind": "close", "instances": ["scen2_hci_02"], "why": "bench"}).end()
    report.add(Figure("request to the API -> all windows running", values, aim=AIM_OPEN))


def measure_burst(options: Options, report: Report) -> None:
    """Many buses killed at once: runs used, until all run again"""
    count = 10 if options.quick else BURST
    values, runs = [], []
    with laboratory(dummies(), count) as lab:
        lab.play("deploy")
        lab.play("monitor")
        watcher = machine.Watcher(lab.identify)
        wanted = {f"scen2_srv_{item}": DUMMY_SERVICES for item in lab.items}
        for _run in range(options.count(3, 1)):
            watcher.wait_for(wanted, 120)
            lab.forget_crashes(*wanted)
            lab.wait_until_ready(120)
            old = {name: {process.pid for process in watcher.of(name).values()} for name in wanted}
            at = time.time()
            for name in wanted:
                os.kill(watcher.of(name)[BUS].pid, signal.SIGKILL)
            while any(machine.alive(pid) for pids in old.values() for pid in pids):
                watcher.look()
                time.sleep(0.01)
            values.append(watcher.wait_for(wanted, 120, 0.01) - at)
            lab.wait_until_ready(120)
            runs.append(float(sum(line["event"] == "run" for line in lab.journal(at))))
    report.add(Figure(f"{count} buses killed at once -> all running again", values))
    report.add(Figure(f"{count} buses killed at once: runs used", runs, "runs"))


class _Call:
    """A request under way, sent before anybody waits for its answer."""

    def __init__(self, lab: Lab, request: dict[str, Any]) -> None:
        self._connection = _UnixConnection(str(lab.state / "run" / "api.sock"))
        body = json.dumps(request)
        self._connection.request("POST", "/api/v1/actions", body, {"Content-Type": "application/json"})

    def end(self) -> None:
        """:raises TimeoutError: when it was refused."""
        answer = self._connection.getresponse()
        said = answer.read().decode()
        self._connection.close()
        if answer.status != 200 or not json.loads(said).get("ok"):
            raise TimeoutError(f"the request was answered with {answer.status}: {said[:300]}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("muster", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)
