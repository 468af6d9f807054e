# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the cost of supervision while nothing happens: processor and memory of everything but the programs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tests.benchmarks import machine, peer
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import DUMMY_SERVICES, Lab, dummies, laboratory
from tests.benchmarks.options import Options

SIZES = (3, 30)
WINDOW = 60.0  # s; holds exactly one of the monitor's regular looks
FIRST_WITHIN = 120.0  # s for the first of them, which is a reconcile: the next one comes 15 minutes later
PEER_WINDOW = 30.0  # s; holds six of its ticks
SAMPLES = 6  # looks at memory per window


def measure(options: Options, report: Report) -> None:
    """Idle: processor and memory of the supervision"""
    window = 5.0 if options.quick else WINDOW
    windows = options.count(1, 1)
    for items in options.sizes(SIZES, (3,)):
        with laboratory(dummies(), items) as lab:
            lab.play("deploy")
            lab.play("monitor")
            lab.wait_until_ready()
            if not options.quick:
                _after_the_first_look(lab)
            _settle(options)
            cpu, memory, peak = _sample(lab.overhead, windows, window)
        theirs: dict[bool, tuple[list[float], list[float], list[float]]] = {}
        if options.peer_runs_here(report):
            for on in (True, False):
                theirs[on] = _peer(items, on, windows, min(window, PEER_WINDOW), options)
        for on, figures in theirs.items():
            word = "on" if on else "off"
            report.add(Figure(f"{items} instances: processor, Supvisors' statistics {word}", cpu, "%",
                              aim=statistics.median(figures[0]) if on else None, peer=figures[0],
                              note="ours probes every bus each second" if on else ""))
        if not theirs:
            report.add(Figure(f"{items} instances: processor", cpu, "%"))
        pss = theirs[True][1] if theirs else []
        report.add(Figure(f"{items} instances: memory (PSS)", memory, "MiB",
                          aim=statistics.median(pss) if pss else None, peer=pss,
                          note=f"highest {max(peak):.0f} MiB, while a scheduled run was at work"))


def _peer(
    items: int, statistics_on: bool, windows: int, window: float, options: Options
) -> tuple[list[float], list[float], list[float]]:
    with peer.supvisors(items, statistics_on) as other:
        watcher = machine.Watcher(other.identify)
        other.start()
        watcher.wait_for({f"scen2_srv_{item}": DUMMY_SERVICES for item in other.items}, 300, 0.2)
        other.wait_until_running()
        _settle(options)
        return _sample(other.overhead, windows, window)


def _after_the_first_look(lab: Lab) -> None:
    """Wait for the reconcile with which a monitor begins."""
    deadline = time.monotonic() + FIRST_WITHIN
    while not any(line["event"] == "run over" and line["run"].startswith("reconcile-") for line in lab.journal(0.0)):
        if time.monotonic() > deadline:
            raise TimeoutError("the monitor made no regular look within %g s" % FIRST_WITHIN)
        time.sleep(1.0)


def _settle(options: Options) -> None:
    time.sleep(2 if options.quick else 10)


def _sample(
    overhead: Callable[[], set[int]], windows: int, window: float
) -> tuple[list[float], list[float], list[float]]:
    """Per window: percent of one processor, median and highest PSS in MiB."""
    cpu, memory, peaks = [], [], []
    for _window in range(windows):
        before, begin = machine.cpu_seconds(overhead()), time.monotonic()
        sizes = []
        for sample in range(1, SAMPLES + 1):
            time.sleep(max(0.0, begin + window * sample / SAMPLES - time.monotonic()))
            sizes.append(machine.pss_mib(overhead()))
        spent = machine.cpu_seconds(overhead()) - before
        cpu.append(100 * spent / (time.monotonic() - begin))
        memory.append(statistics.median(sizes))
        peaks.append(max(sizes))
    return cpu, memory, peaks
