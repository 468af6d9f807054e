# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server loses its power: until everything it held runs elsewhere; detection and recovery apart."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import Any

from tests.benchmarks import machine, peer
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import DUMMY_SERVICES, ROOT, SERVERS, Lab, dummies, laboratory
from tests.benchmarks.options import Options

ITEMS = 6
AIM = 4.0


def measure(options: Options, report: Report) -> None:
    """Server without power: all its items running elsewhere"""
    ours: list[tuple[float, float]] = []
    with laboratory(dummies(), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        for number in range(options.count(9, 2)):
            ours.append(_once(lab, SERVERS[number % len(SERVERS)]))
    theirs: list[float] = []
    if options.peer_runs_here(report):
        for number in range(options.count(3, 1)):
            theirs.append(_peer(f"h{number % 3 + 1}"))
    report.add(Figure("server without power -> all its items running elsewhere", [total for total, _d in ours], aim=AIM,
                      peer=theirs))
    report.add(Figure("   stage: until it is believed down", [detected for _t, detected in ours]))
    report.add(Figure("   stage: recovery", [total - detected for total, detected in ours]))


def _once(lab: Lab, host: str) -> tuple[float, float]:
    """(seconds to all running, seconds until it was believed down) of one power cut at any phase."""
    watcher = machine.Watcher(lab.identify)
    watcher.wait_for({f"scen2_srv_{item}": DUMMY_SERVICES for item in lab.items}, 60)
    lab.wait_until_ready()
    there = lab.held(host)
    before = {process.pid for name in there for process in watcher.of(name).values()}
    time.sleep(random.uniform(0.5, 1.5))
    at = time.time()
    _switch(lab, "power_cut", host)
    while any(machine.alive(pid) for pid in before):
        time.sleep(0.005)
    running = watcher.wait_for(dict.fromkeys(there, DUMMY_SERVICES), 60, 0.005) - at
    believed = (e["at"] - at for e in lab.journal(at) if e["event"] == "host" and e.get("state") == "down")
    down = next(believed, running)
    _switch(lab, "power_on", host)
    _wait_until_used(lab, host)
    lab.play("restart", muster_instances=[f"scen2_srv_{item}" for item in lab.items])
    _rebalance(lab)
    return running, down


def _switch(lab: Lab, what: str, host: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "bin" / "machine"), "--dir", str(lab.folder), what, host], check=True)


def _wait_until_used(lab: Lab, host: str) -> None:
    deadline = time.monotonic() + 60
    while lab.watch()["hosts"][host]["state"] != "up":
        if time.monotonic() > deadline:
            raise TimeoutError(f"{host} was not used again")
        time.sleep(0.1)


def _rebalance(lab: Lab) -> None:
    """Every server holds its share again, so that each power cut is about the same number of items."""
    names = [f"scen2_srv_{item}" for item in lab.items]
    lab.play("stop", muster_instances=names)
    lab.play("start", muster_instances=names)


def _peer(host: str) -> float:
    with peer.supvisors(ITEMS) as other:
        watcher = machine.Watcher(other.identify)
        other.start()
        wanted = {f"scen2_srv_{item}": DUMMY_SERVICES for item in other.items}
        watcher.wait_for(wanted, 120, 0.1)
        other.wait_until_running()
        time.sleep(2 + random.uniform(0, 5))
        at = time.time()
        gone: set[Any] = other.power_cut(host)
        while any(machine.alive(pid) for pid in gone):
            time.sleep(0.005)
        return watcher.wait_for(wanted, 120, 0.01) - at
