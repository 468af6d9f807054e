# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From nothing running to everything running, seen in /proc."""

from __future__ import annotations

import statistics
import time

from tests.benchmarks import machine, peer
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import DUMMY_SERVICES, dummies, laboratory
from tests.benchmarks.options import Options

SIZES = (3, 30, 100)
AIM = 0.25  # times the peer's


def measure(options: Options, report: Report) -> None:
    """Nothing running to all running, dummies on three servers"""
    for items in options.sizes(SIZES, (3,)):
        ours, bare, theirs, called = [], [], [], []
        for _run in range(options.count(2 if items < 100 else 1, 1)):
            ours.append(_after_power_cut(items, bare))
            if options.peer_runs_here(report):
                seen, status = _supvisors(items)
                theirs.append(seen)
                called.append(status)
        aim = AIM * statistics.median(theirs) if theirs else None
        report.add(Figure(f"{items} instances, hosts prepared, nothing running", ours, aim=aim, peer=theirs,
                          note="seen in /proc, from the command on"))
        report.add(Figure(f"{items} instances, bare hosts: whole deploy", bare))
        if called:
            report.add(Figure(f"{items} instances: until Supvisors itself calls them running", called))


def _after_power_cut(items: int, bare: list[float]) -> float:
    """Seconds from the start of a reconcile; appends those of the deploy before."""
    with laboratory(dummies(), items, consoles=3) as lab:
        watcher = machine.Watcher(lab.identify)
        wanted = {f"scen2_srv_{item}": DUMMY_SERVICES for item in lab.items}
        begin = time.time()
        play = lab.begin("deploy")
        bare.append(watcher.wait_for(wanted, 300, 0.05) - begin)
        lab.end(play, time.perf_counter())
        lab.power_off()
        watcher = machine.Watcher(lab.identify)
        begin = time.time()
        play = lab.begin("reconcile")
        seconds = watcher.wait_for(wanted, 300, 0.05) - begin
        lab.end(play, time.perf_counter())
    return seconds


def _supvisors(items: int) -> tuple[float, float]:
    """Seconds until all run as seen in /proc, and until Supvisors says so."""
    with peer.supvisors(items) as other:
        watcher = machine.Watcher(other.identify)
        begin = other.start()
        wanted = {f"scen2_srv_{item}": DUMMY_SERVICES for item in other.items}
        seen = watcher.wait_for(wanted, 300, 0.1)
        return seen - begin, other.wait_until_running() - begin
