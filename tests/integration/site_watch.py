# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold on a site at every moment, whatever a test does to it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING

from tests.integration.process_table import Process, alive

if TYPE_CHECKING:
    from tests.integration.local_site import SiteLab


class Watcher:
    """Samples `/proc` while a test runs: no instance may ever live on two hosts (Req 2, 12), and what lives on a host
    never reserves more than its limit (Req 5), the highest one since a lower one moves nothing by itself."""

    def __init__(self, lab: SiteLab) -> None:
        self._lab = lab
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.violations: list[str] = []
        self.frozen: set[str] = set()  # hosts nobody can reach: what stands still there does not count
        self.samples = 0
        self.fullest: dict[str, int] = {}  # host -> the largest sum of loads in a sample
        self._limits: dict[str, int] = {}
        self._loads: dict[str, int] = {}  # application -> what an instance reserves
        self._site_read = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _sample(self) -> None:
        while not self._ending.wait(0.1):
            seen: dict[str, list[Process]] = {}
            for process in self._lab.processes():
                if process.epoch and process.host not in self.frozen:
                    seen.setdefault(process.instance, []).append(process)
            self.samples += 1
            for found in seen.values():
                if len({process.host for process in found}) > 1:
                    # A sweep takes its time: only those count that live now, after all of them were seen.
                    living = [process for process in found if alive(process.pid)]
                    if len({process.host for process in living}) > 1:
                        self.violations.append("at %.3f: %s" % (time.time(), living))
            self._sum_up(seen)

    def _sum_up(self, seen: dict[str, list[Process]]) -> None:
        self._read_site()
        there: dict[str, list[Process]] = {}
        for found in seen.values():
            for process in found:
                there.setdefault(process.host, []).append(process)
        for host, found in there.items():
            total = self._reserved({process.instance for process in found})
            if total > self._limits.get(host, total):
                total = self._reserved({process.instance for process in found if alive(process.pid)})
                if total > self._limits[host]:
                    self.violations.append("at %.3f: %d %% are reserved on %s" % (time.time(), total, host))
            self.fullest[host] = max(total, self.fullest.get(host, 0))

    def _reserved(self, instances: set[str]) -> int:
        return sum(self._loads.get(instance.rpartition("_")[0], 0) for instance in instances)

    def _read_site(self) -> None:
        path = self._lab.state / "site.json"
        with contextlib.suppress(OSError):  # before the first deploy, or on another machine
            changed = path.stat().st_mtime_ns
            if changed == self._site_read:
                return
            site, self._site_read = json.loads(path.read_text())["site"], changed
            for host in site["hosts"]:
                self._limits[host["name"]] = max(host["load_limit"], self._limits.get(host["name"], 0))
            for application in site["applications"]:
                self._loads[application["name"]] = sum(p["expected_loading"] for p in application["programs"])
