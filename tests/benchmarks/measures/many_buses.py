# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the cost of a monitor that watches many data buses, and how soon it sees one of them die or hang.

The buses answer real round trips; they live in one process of the bench (`buses`), at the places where the site expects
them. The probes are in shadow: the monitor judges as always and restarts nothing, so that each fault is about one bus.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any

from monitor.judge.watch_list import parse
from tests.benchmarks import machine
from tests.benchmarks.buses import Buses, Place, buses, files_for
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.journal import ROUNDED
from tests.benchmarks.lab import BUS, Lab, dummies, laboratory
from tests.benchmarks.options import Options

BUSES = (1000,)
WINDOW = 30.0  # s
PER_SERVER = 80  # supervisord reads all of its groups again, one after the other, when one is placed
FAULTS = 100  # of each kind
TOGETHER = 20  # within SPREAD, at most a tenth of the buses
SPREAD = 3.0  # s
WITHIN = 60.0  # s until a fault must be known


def measure(options: Options, report: Report) -> None:
    """Many buses watched, each asked for a round trip every second: processor, memory, detection"""
    for count in options.sizes(BUSES, (30,)):
        why = files_for(count)
        if why:
            report.skip(why)
            continue
        with laboratory(_site(), count, servers=math.ceil(count / PER_SERVER), consoles=0) as lab, buses() as servers:
            _deploy(lab)
            places = _places(lab)
            for place in places.values():
                servers.order("open", place)
            lab.play("monitor")
            lab.wait_until_ready(180)
            cpu, memory = _cost(lab, options)
            killed, hung = (_detected(lab, servers, places, fault, options.count(FAULTS, 6))
                            for fault in ("kill", "hang"))
        report.add(Figure(f"{count} buses: processor of the monitor", cpu, "%"))
        report.add(Figure(f"{count} buses: memory of the monitor (PSS)", memory, "MiB"))
        report.add(Figure(f"{count} buses: one killed -> known to be", killed))
        report.add(Figure(f"{count} buses: one hangs -> known to", hung, note="several missed answers in a row"))


def _deploy(lab: Lab) -> None:
    """Every instance runs; on a busy machine some of a thousand need another run.

    :raises TimeoutError: when they do not run after that either.
    """
    wanted = {f"scen2_srv_{item}": {BUS} for item in lab.items}
    watcher = machine.Watcher(lab.identify)
    lab.play("deploy")
    watcher.look()
    if watcher.instances().keys() != wanted.keys():
        lab.play("reconcile")
    watcher.wait_for(wanted, 60, 0.2)


def _site() -> dict[str, Any]:
    """Services of one program that only stays, one percent of load each: a thousand of them fit on one machine."""
    site = dummies()
    services = site["muster_applications"]["scen2_srv"]
    program = {**services["programs"][BUS], "expected_loading": 1, "command": ["dummy/idle"]}
    bus = {**services["bus"], "probe": "nats", "shadow": True}
    services = {**services, "bus": bus, "programs": {BUS: program}}
    return {**site, "muster_applications": {"scen2_srv": services}, "muster_services": {}}


def _places(lab: Lab) -> dict[str, Place]:
    """instance -> where the monitor will ask its bus."""
    instances = parse(lab.watch()).instances.values()
    return {entry.name: (entry.target.address, entry.target.port) for entry in instances if entry.target is not None}


def _cost(lab: Lab, options: Options) -> tuple[list[float], list[float]]:
    """Per window: percent of one processor, PSS in MiB; of the daemon alone, its parked run apart."""
    pid = lab.monitor_pid()
    cpu, memory = [], []
    for _window in range(1 if options.quick else 2):
        window = 3.0 if options.quick else WINDOW
        before, begin = machine.own_cpu_seconds(pid), time.monotonic()
        time.sleep(window)
        cpu.append(100 * (machine.own_cpu_seconds(pid) - before) / (time.monotonic() - begin))
        memory.append(machine.pss_mib([pid]))
    return cpu, memory


def _detected(lab: Lab, servers: Buses, places: dict[str, Place], fault: str, count: int) -> list[float]:
    """Seconds from so many faults, some of them at about the same time, until the monitor calls each bus unhealthy."""
    found: list[float] = []
    while len(found) < count:
        together = min(TOGETHER, max(1, len(places) // 10), count - len(found))
        since: dict[str, float] = {}
        for name in random.sample(sorted(places), together):
            time.sleep(random.uniform(0, 2 * SPREAD / together))
            since[name] = servers.order(fault, places[name])
        found += _known(lab, since)
        for name in since:
            servers.order("open", places[name])
        lab.wait_until_ready(120)
    return found


def _known(lab: Lab, since: dict[str, float]) -> list[float]:
    """:raises TimeoutError: naming a bus that is still taken for healthy."""
    deadline = time.monotonic() + WITHIN
    while True:
        at: dict[str, float] = {}
        for line in lab.journal(min(since.values())):
            name = line.get("name")
            unhealthy = line["event"] == "health" and line.get("state") == "unhealthy"
            if unhealthy and line["at"] >= since.get(name, math.inf) - ROUNDED:
                at.setdefault(name, line["at"] - since[name])
        if at.keys() == since.keys():
            return [max(0.0, seconds) for seconds in at.values()]
        if time.monotonic() > deadline:
            raise TimeoutError(f"{sorted(since.keys() - at.keys())[0]} is not known to be unhealthy")
        time.sleep(0.2)
