# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of `measure` on a site of the lab, and its observations from outside."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks import journal, machine
from tests.benchmarks.lab import BUS, DUMMY_SERVICES
from tests.integration.local_site import wait_for
from tests.lab.site import LabSite

PATIENCE = 180.0  # s until a site of many items is at rest again
Looks = Mapping[str, Callable[[], set[int]]]  # name -> what belongs to it now


@dataclass(frozen=True)
class Cost:
    """Percent of one processor; MiB, with what several processes share counted once."""

    cpu: float
    pss: float


@dataclass(frozen=True)
class Cut:
    """A power cut of a host that held so many items, in seconds since then."""

    held: int
    detected: float | None
    running: float


class Tracker:
    """Follows the programs of a site, which is deployed by the time of the first look, among all of the machine."""

    def __init__(self, site: LabSite) -> None:
        self._site = site
        self._id = ""

    def watcher(self) -> machine.Watcher:
        self._id = str(json.loads((self._site.state / "watch.json").read_text())["site_id"])
        return machine.Watcher(self._identify)

    def _identify(self, environment: dict[str, str]) -> tuple[str, str, str] | None:
        """Processes of instances of this site, once they carry their epoch."""
        if "MUSTER_EPOCH" not in environment or "MUSTER_INSTANCE" not in environment:
            return None
        if environment.get("MUSTER_SITE") != self._id:
            return None
        return environment["MUSTER_INSTANCE"], environment["MUSTER_PROGRAM"], environment["MUSTER_EPOCH"]


def any_phase(period: float) -> float:
    """Seconds to let go by, so that a fault meets what is regular at any phase of it."""
    return 2 + random.uniform(0, period)


def instances(site: LabSite) -> list[str]:
    return sorted(name for name in site.claims() if name.startswith("scen2_srv_"))


def overhead(site: LabSite, host: str) -> set[int]:
    """Every process of a host but the programs and buses of applications and services."""
    return {pid for pid in site.pids(host) if "MUSTER_INSTANCE" not in machine.environment(pid)}


def idle(looks: Looks, window: float) -> dict[str, Cost]:
    """The cost of each of these hosts while nothing happens, all measured in one window of so many seconds."""
    before = {name: machine.cpu_seconds(look()) for name, look in looks.items()}
    began = time.monotonic()
    time.sleep(window)
    spent = time.monotonic() - began
    return {name: Cost(100 * (machine.cpu_seconds(look()) - before[name]) / spent, machine.pss_mib(look()))
            for name, look in looks.items()}


def settle(site: LabSite) -> None:
    """Every host on and used, everything running and watched, a run parked."""
    site.lab.switch.heal()
    site.lab.boot(*site.lab.names.managed)
    site.good("reconcile")  # a host that came back is observed before it counts again
    wait_for(lambda: len(instances(site)) == len(site.status()["items"]), "every instance is claimed",
             site.monitor_log, PATIENCE)  # fmt: skip
    wait_for(lambda: all(claim["phase"] == "running" for claim in site.claims().values()), "all run",
             site.monitor_log, PATIENCE)  # fmt: skip
    wait_for(lambda: all(host["state"] == "up" for host in site.status()["hosts"]), "all up",
             site.monitor_log, PATIENCE)  # fmt: skip
    ready(site)


def ready(site: LabSite) -> None:
    wait_for(lambda: journal.is_ready(site.state), "a monitor at rest with a parked run", site.monitor_log, PATIENCE)


def rebalance(site: LabSite) -> None:
    """Every server holds its share again, so that each power cut is about the same number of items."""
    names = instances(site)
    site.good("stop", instances=names)
    site.good("start", instances=names)


def crash(site: LabSite, tracker: Tracker, number: int) -> tuple[float, float | None]:
    """Kill the bus of one of the instances, in turn; seconds until it runs again, and from intent to code there."""
    names = instances(site)
    name = names[number % len(names)]
    if number >= len(names):
        site.good("reset", instances=[name])  # of crashes in a row each next restart waits longer
    ready(site)
    watcher = tracker.watcher()
    time.sleep(random.uniform(0, 1))
    seen = machine.crash(watcher, name, BUS, comes_back=True)
    ready(site)
    code = journal.intent_to_code(journal.lines(site.monitor_log(), seen.at), site.state / "artifacts", name)
    assert seen.running is not None
    return seen.running, code


def power_cut(site: LabSite, tracker: Tracker) -> Cut:
    """Cut the power of a server; everything is as before afterwards."""
    settle(site)
    home = site.claims()[instances(site)[0]]["host"]
    names = [name for name in instances(site) if site.claims()[name]["host"] == home]
    watcher = tracker.watcher()
    watcher.ignore(process.pid for name in names for process in watcher.of(name).values())
    time.sleep(random.uniform(0, 1))
    at = time.time()
    site.lab.power_cut(home)
    running = watcher.wait_for(dict.fromkeys(names, DUMMY_SERVICES), PATIENCE, 0.01) - at
    down = journal.first(journal.lines(site.monitor_log(), at), "host", host=home, state="down")
    settle(site)
    rebalance(site)
    return Cut(len(names), None if down is None else float(down["at"]) - at, running)


def everywhere(site: LabSite, name: str) -> dict[tuple[str, int], set[str]]:
    """(host, epoch) -> programs of an instance that live there."""
    copies: dict[tuple[str, int], set[str]] = {}
    for process in site.processes(name):
        if process.epoch:
            copies.setdefault((process.host, process.epoch), set()).add(process.program)
    return copies


def overlap(site: LabSite, home: str, way: str) -> tuple[float, float]:
    """Pull the cable of a host that holds something; seconds until it runs elsewhere, and during which both ran."""
    name = next(name for name in instances(site) if site.claims()[name]["host"] == home)
    epoch = site.claims()[name]["epoch"]
    began = time.monotonic()
    site.lab.switch.pull(home, way)
    moved = twice = healed = 0.0
    last = began
    while time.monotonic() - began < 120:
        copies = everywhere(site, name)
        now = time.monotonic()
        if len({host for host, _epoch in copies}) > 1:
            twice += now - last
        last = now
        if not moved and any(later > epoch and found >= DUMMY_SERVICES for (_h, later), found in copies.items()):
            moved = now - began
        if moved and not healed and now - began > moved + 5:  # as if somebody had noticed the plug
            site.lab.switch.heal(home)
            healed = now
        if healed and len({host for host, _epoch in copies}) == 1:
            break
        time.sleep(0.02)
    return moved, twice
