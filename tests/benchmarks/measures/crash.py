# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data bus is killed: until the whole instance runs again, or is stopped; and where the time goes."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.benchmarks import machine, peer
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.journal import first
from tests.benchmarks.lab import BUS, DUMMY_SERVICES, Lab, dummies, laboratory, long_running, scen2
from tests.benchmarks.options import Options

# What /proc showed, what the monitor wrote about it, and when the run's code began on the host (Unix time).
Seen = tuple[machine.Crash, list[dict[str, Any]], float | None]

ITEMS = 3
AIM_DUMMIES, AIM_SCEN2, AIM_WINDOWS = 0.23, 0.6, 0.15
SERVICES, WINDOWS, CONSOLE = "scen2_srv_02", "scen2_hci_02", "console_3"


def measure_dummies(options: Options, report: Report) -> None:
    """Internal bus killed: dummies running again"""
    with laboratory(dummies(), ITEMS) as lab:
        crashes = _services(lab, options.count(20, 3))
    theirs: list[machine.Crash] = []
    if options.peer_runs_here(report):
        with peer.supvisors(ITEMS) as other:
            watcher = machine.Watcher(other.identify)
            other.start()
            watcher.wait_for({f"scen2_srv_{item}": DUMMY_SERVICES for item in other.items}, 120, 0.1)
            other.wait_until_running()
            for _run in range(options.count(8, 2)):
                time.sleep(2 + random.uniform(0, 5))  # its ticks are 5 s apart: any phase
                theirs.append(machine.crash(watcher, SERVICES, BUS, comes_back=True))
                other.wait_until_running()
    _report(report, "dummies", crashes, theirs, AIM_DUMMIES)


def measure_scen2(options: Options, report: Report) -> None:
    """Internal bus killed: the real scen2 running again"""
    with laboratory(scen2(), ITEMS) as lab:
        crashes = _services(lab, options.count(20, 3))
    _report(report, "real scen2", crashes, [], AIM_SCEN2)


def measure_windows(options: Options, report: Report) -> None:
    """Bus of a console killed: its HCI stopped"""
    ours: list[Seen] = []
    with laboratory(dummies(), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        for _run in range(options.count(10, 2)):
            lab.play("open", muster_instances=[WINDOWS], muster_host=CONSOLE)
            ours.append(_once(lab, machine.Watcher(lab.identify), WINDOWS, comes_back=False))
    theirs = []
    if options.peer_runs_here(report):
        with peer.supvisors(ITEMS) as other:
            other.start()
            other.wait_until_running()
            for _run in range(options.count(6, 2)):
                other.open_windows("02", CONSOLE)
                watcher = machine.Watcher(other.identify)
                time.sleep(2 + random.uniform(0, 5))
                theirs.append(machine.crash(watcher, WINDOWS, BUS, comes_back=False).stopped)
    report.add(Figure("HCI bus killed -> all of it stopped", [crash.stopped for crash, *_ in ours], aim=AIM_WINDOWS,
                      peer=theirs))
    _stages(report, ours)


def _services(lab: Lab, runs: int) -> list[Seen]:
    lab.play("deploy")
    lab.play("monitor")
    watcher = machine.Watcher(lab.identify)
    stay = long_running(lab.site, "scen2_srv")
    watcher.wait_for({f"scen2_srv_{item}": stay for item in lab.items}, 60)
    return [_once(lab, watcher, SERVICES, comes_back=True) for _run in range(runs)]


def _once(lab: Lab, watcher: machine.Watcher, instance: str, comes_back: bool) -> Seen:
    """One crash, at any phase of the probes, and what the monitor wrote about it."""
    if comes_back:
        lab.forget_crashes(instance)
    lab.wait_until_ready()
    time.sleep(random.uniform(0.5, 1.5))
    crash = machine.crash(watcher, instance, BUS, comes_back)
    lab.wait_until_ready()
    lines = lab.journal(crash.at)
    run = next((line["run"] for line in lines if line["event"] == "run over"), "")
    return crash, lines, lab.agent_began(run, instance)


def _report(report: Report, what: str, ours: list[Seen], theirs: list[machine.Crash], aim: float) -> None:
    report.add(Figure(f"bus killed -> running again, {what}", [c.running for c, *_ in ours if c.running], aim=aim,
                      peer=[c.running for c in theirs if c.running]))
    report.add(Figure(f"bus killed -> last old process gone, {what}", [c.stopped for c, *_ in ours],
                      peer=[c.stopped for c in theirs]))
    _stages(report, ours)


def _stages(report: Report, ours: list[Seen]) -> None:
    """Where the time goes, one after the other; the members of the instance are stopped meanwhile, by its host."""
    stages: dict[str, list[float]] = {
        "detection": [], "until the intent is sent": [], "intent -> code on the host": [], "start": [],
    }
    for crash, lines, began in ours:
        acted = None if began is None else began - crash.at
        noted = [first(lines, "health", state="unhealthy"), first(lines, "run")]
        marks = [*(None if line is None else float(line["at"]) - crash.at for line in noted), acted, crash.running]
        before = 0.0
        for name, mark in zip(stages, marks, strict=True):
            if mark is not None:
                stages[name].append(max(0.0, mark - before))
                before = max(before, mark)
    for name, values in stages.items():
        if values:
            report.add(Figure(f"   stage: {name}", values))
