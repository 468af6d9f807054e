# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server is lost: until everything it held runs elsewhere; detection and recovery apart.

Without power its machine still refuses connections; frozen, it takes them and is silent. Of Supvisors the server may
be the Master or another one; to muster all are alike.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.benchmarks import machine, peer
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import DUMMY_SERVICES, ROOT, SERVERS, Lab, dummies, laboratory, with_nats
from tests.benchmarks.options import Options

ITEMS = 6
AIM = 4.0
POWER_CUT, FREEZE = "power_cut", "freeze"
# What an earlier measurement of Supvisors showed, for where it does not run beside: medians of 8, 4 and 15.
PLAIN, MASTER, SILENT = 6.9, 18.6, 11.3


@dataclass(frozen=True)
class Loss:
    """One lost server, in seconds since the fault; `suspected` is None where it is not reported."""

    suspected: float | None
    detected: float
    running: float


def measure(options: Options, report: Report) -> None:
    """A server lost: all its items running elsewhere"""
    ours: dict[str, list[Loss]] = {POWER_CUT: [], FREEZE: []}
    with laboratory(with_nats(dummies()), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        for number in range(options.count(5, 1)):
            for how, losses in ours.items():
                losses.append(_once(lab, SERVERS[number % len(SERVERS)], how))
    theirs: dict[str, list[Loss]] = {"plain": [], "master": [], "silent": []}
    if options.peer_runs_here(report):
        for _run in range(options.count(2, 1)):
            theirs["plain"].append(_peer(POWER_CUT, of_master=False))
            theirs["master"].append(_peer(POWER_CUT, of_master=True))
            theirs["silent"].append(_peer(FREEZE, of_master=False))
    _report(report, "without power, beside a plain server", ours[POWER_CUT], theirs["plain"], PLAIN)
    _report(report, "without power, beside the Master's", ours[POWER_CUT], theirs["master"], MASTER)
    _report(report, "frozen, beside a silent plain server", ours[FREEZE], theirs["silent"], SILENT)


def _report(report: Report, what: str, ours: list[Loss], theirs: list[Loss], cited: float) -> None:
    report.add(Figure(f"server {what}: all its items elsewhere", [loss.running for loss in ours], aim=AIM,
                      peer=[loss.running for loss in theirs], cited=cited))
    suspected = [loss.suspected for loss in ours if loss.suspected is not None]
    if suspected:
        report.add(Figure("   stage: until it is suspected", suspected))
    report.add(Figure("   stage: until it is believed down", [loss.detected for loss in ours],
                      peer=[loss.detected for loss in theirs]))
    report.add(Figure("   stage: recovery", [loss.running - loss.detected for loss in ours],
                      peer=[loss.running - loss.detected for loss in theirs]))


def _once(lab: Lab, host: str, how: str) -> Loss:
    """One fault at any phase of the probes, and everything as before afterwards."""
    watcher = machine.Watcher(lab.identify)
    watcher.wait_for({f"scen2_srv_{item}": DUMMY_SERVICES for item in lab.items}, 60)
    lab.wait_until_ready()
    there = lab.held(host)
    before = {process.pid for name in there for process in watcher.of(name).values()}
    time.sleep(random.uniform(0.5, 1.5))
    watcher.ignore(before)
    _switch(lab, how, host)
    at = (lab.folder / "hosts" / host / "power").stat().st_mtime  # the switch writes it before it sends signals
    running = watcher.wait_for(dict.fromkeys(there, DUMMY_SERVICES), 60, 0.005) - at
    said = [line for line in lab.journal(at) if line["event"] == "host" and line.get("host") == host]
    moments = {word: next((line["at"] - at for line in said if line.get("state") == word), None)
               for word in ("suspect", "down")}
    if moments["down"] is None:
        raise TimeoutError(f"{host} was never believed down, although its items run elsewhere: {said}")
    _switch(lab, "power_on" if how == POWER_CUT else "thaw", host)
    _wait_until_used(lab, host, before)
    _rebalance(lab)
    return Loss(moments["suspect"], moments["down"], running)


def _switch(lab: Lab, what: str, host: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "bin" / "machine"), "--dir", str(lab.folder), what, host], check=True)


def _wait_until_used(lab: Lab, host: str, old: Iterable[int]) -> None:
    """Until a host that is back counts again, and what came back with it is gone."""
    deadline = time.monotonic() + 60
    while lab.watch()["hosts"][host]["state"] != "up" or any(machine.alive(pid) for pid in old):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{host} was not used again")
        time.sleep(0.1)


def _rebalance(lab: Lab) -> None:
    """Every server holds its share again, so that each fault is about the same number of items."""
    names = [f"scen2_srv_{item}" for item in lab.items]
    lab.play("stop", muster_instances=names)
    lab.play("start", muster_instances=names)


def _peer(how: str, of_master: bool) -> Loss:
    """The same with Supvisors, which is set up again for each measurement."""
    with peer.supvisors(ITEMS) as other:
        watcher = machine.Watcher(other.identify)
        other.start()
        wanted = {f"scen2_srv_{item}": DUMMY_SERVICES for item in other.items}
        watcher.wait_for(wanted, 120, 0.1)
        other.wait_until_running()
        master = other.master_host()
        host = master if of_master else next(name for name in ("h3", "h2") if name != master)
        time.sleep(2 + random.uniform(0, 5))  # its ticks are 5 s apart: any phase
        at = time.time()
        watcher.ignore(other.freeze(host) if how == FREEZE else other.power_cut(host))
        detected = other.wait_until_lost(host) - at
        return Loss(None, detected, watcher.wait_for(wanted, 120, 0.01) - at)
