# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor costs that watches many data buses, and how soon it sees one of them die."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import BUS, Lab, dummies, laboratory
from tests.benchmarks.options import Options

BUSES = (1000,)
WINDOW = 30.0  # s


def measure(options: Options, report: Report) -> None:
    """Many buses watched, each probed every second: the monitor's processor and memory, detection"""
    for count in options.sizes(BUSES, (50,)):
        with laboratory(_site(), count) as lab:
            lab.play("deploy")
            lab.play("monitor")
            watcher = machine.Watcher(lab.identify)
            watcher.wait_for({f"scen2_srv_{item}": {BUS} for item in lab.items}, 600, 0.2)
            lab.wait_until_ready(120)
            cpu, memory = _cost(lab, options)
            detected = [_killed(lab, watcher) for _run in range(options.count(50, 3))]
        report.add(Figure(f"{count} buses: processor of the monitor", cpu, "%"))
        report.add(Figure(f"{count} buses: memory of the monitor (PSS)", memory, "MiB"))
        report.add(Figure(f"{count} buses: one killed -> known to be", detected))


def _site() -> dict[str, Any]:
    """Services that are their bus alone: a thousand of them fit on one machine."""
    site = dummies()
    services = site["muster_applications"]["scen2_srv"]
    services["programs"] = {BUS: {**services["programs"][BUS], "expected_loading": 0}}
    return {**site, "muster_applications": {"scen2_srv": services}}


def _cost(lab: Lab, options: Options) -> tuple[list[float], list[float]]:
    """Per window: percent of one processor, PSS in MiB; of the daemon alone, its parked run apart."""
    pid = lab.monitor_pid()
    cpu, memory = [], []
    for _window in range(options.count(5, 1)):
        window = 3.0 if options.quick else WINDOW
        before, begin = machine.own_cpu_seconds(pid), time.monotonic()
        time.sleep(window)
        cpu.append(100 * (machine.own_cpu_seconds(pid) - before) / (time.monotonic() - begin))
        memory.append(machine.pss_mib([pid]))
    return cpu, memory


def _killed(lab: Lab, watcher: machine.Watcher) -> float:
    lab.wait_until_ready(120)
    time.sleep(random.uniform(0, 1))
    name = f"scen2_srv_{random.choice(lab.items)}"
    watcher.look()
    pid = watcher.of(name)[BUS].pid
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    watcher.wait_for_another(name, BUS, pid, 60)
    return next(
        line["at"] - at for line in lab.journal(at)
        if line["event"] == "health" and line.get("name") == name and line.get("state") == "unhealthy"
    )  # fmt: skip
