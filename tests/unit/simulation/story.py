# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A seeded history: faults and people, then quiet for the time that is promised, then everything must be as wanted.

`simulate(seed)` runs one; `python -m tests.unit.simulation.story SEED` shows it, and `... 0-999` runs many;
with `--leases`, hosts need leases, with `--rollouts`, people deploy other configurations.
What is random comes from the seed alone.
"""

from __future__ import annotations

import dataclasses
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from monitor.core.decide.failures import WAITS
from monitor.core.model.plan import Plan
from monitor.core.model.site import Site
from monitor.core.report import watch_list
from monitor.judge.watch_list import Watch, parse
from tests.small_site import small_site
from tests.unit.simulation.alone import SimAlone
from tests.unit.simulation.faults import Faults
from tests.unit.simulation.hosts import BUS, SimHost
from tests.unit.simulation.leases import SimLeases
from tests.unit.simulation.monitor import Monitor
from tests.unit.simulation.people import People
from tests.unit.simulation.rollouts import RULES, SimRollouts
from tests.unit.simulation.runs import Run, Runs
from tests.unit.simulation.world import SimWorld

ROUNDS = 3
GIVEN_UP = ("stays failed", "start it by hand")  # how a reason says that the budget is spent
BURST = 20.0  # s in which faults begin and people ask
CAPACITY = 4  # services that one server takes


def promised(site: Site) -> float:
    """s after the last fault within which everything is as wanted: three regular looks and one run that is lost."""
    return 3 * site.settings.observe_interval + site.settings.run_timeout


def make_site(rng: random.Random, observe_interval: float) -> Site:
    """3 to 6 hosts; one server alone has room for all services but in the largest site."""
    whole = small_site(
        items=rng.choice([2, 3, 4]), observe_interval=observe_interval, run_timeout=16.0, stable_after=2.0,
        failure_budget=rng.choice([3, 5]),
    )  # fmt: skip
    servers = whole.groups["servers"][: rng.choice([2, 3, 3])]
    consoles = whole.groups["consoles"][: rng.choice([1, 2])]
    kept = {"scen2_srv": servers, "scen2_hci": consoles}
    return dataclasses.replace(
        whole,
        hosts=tuple(h for h in whole.hosts if h.name in servers + consoles),
        groups={"servers": servers, "consoles": consoles},
        applications=tuple(dataclasses.replace(a, identifiers=kept[a.name]) for a in whole.applications),
        services=tuple(dataclasses.replace(s, hosts=servers) for s in whole.services),
    )


class Simulation:
    """One history. :raises AssertionError: when a rule does not hold."""

    def __init__(
        self, seed: int, tell: Callable[[str], None] | None = None, observe_interval: float = 10.0,
        leases: bool = False, rollouts: bool = False,
    ) -> None:
        self.rng = rng = random.Random(seed)
        site = make_site(rng, observe_interval)
        if rollouts:
            site = dataclasses.replace(site, rollout=RULES)
        if leases:
            site = dataclasses.replace(site, settings=dataclasses.replace(site.settings, exclusion="witnesses"))
        self.world = SimWorld(site, rng, self._tell if tell else _nobody)
        self.world.leases = SimLeases(self.world) if leases else None
        self._line = tell
        self.runs = Runs(self.world)
        self.runs.on_commit, self.runs.on_plan = self._committed, self._planned
        self.names = self.world.site.by_name()
        self.services = [n for n, i in self.names.items() if not i.application.on_request]
        self.windows = [n for n, i in self.names.items() if i.application.on_request]
        self.servers = [self.world.hosts[name] for name in self.world.site.groups["servers"]]
        self.consoles = [self.world.hosts[name] for name in self.world.site.groups["consoles"]]
        self.lines = rng.random() < 0.75  # whether lines are held to hosts, as on this machine; else as over SSH
        self.slow = rng.choice([1.0, 1.0, 1.0, 1.0, 4.0])  # how long runs take to be ready, for a busy machine
        if leases and self.lines:  # a host without a line is never told to help itself
            self.world.helps = SimAlone(self.world)
        if self.lines:
            self.world.listening = {host for host in self.world.hosts if rng.random() < 0.8}
        self.world.asked_for = self._asked_for  # type: ignore[method-assign]
        self._watch = Watch()
        self._published = -1
        self.publishes = True
        self._opened: dict[str, float] = {}
        self._requests: dict[str, dict[str, Any]] = {}
        self.monitors = 0
        self.monitor: Monitor | None = None
        self.rollouts = SimRollouts(self) if rollouts else None
        self.people = People(self)
        self.faults = Faults(self)

    def begin(self) -> None:
        """A site in operation, with its monitor and a window on each console."""
        self.people.playbook("deploy")
        self.world.run(4.0)
        self.new_monitor()
        for name, console in zip(self.windows, self.consoles):
            self.people.ask("open", instances=[name], host=console.name)
        self.world.run(6.0)

    def run(self) -> dict[str, int]:
        """The whole history; what is counted of it."""
        world = self.world
        self.begin()
        for _unused in range(ROUNDS):
            self._round()
        return {
            "starts": len(world.start_times),
            "runs": world.asked,
            "monitors": self.monitors,
            "duplicates under partition": world.excused,
            "faults": self.faults.count,
            **({"starts by hosts": world.helps.count} if world.helps is not None else {}),
            "requests": self.people.count,
            **({"rollouts": self.rollouts.count} if self.rollouts is not None else {}),
        }

    def _round(self) -> None:
        world = self.world
        self.runs.hurt = self.rng.choice([0.0, 0.0, 0.05])
        for _unused in range(self.rng.choice([1, 2, 2, 3, 5])):
            world.after(self.rng.uniform(0, BURST / 2) if self.rng.random() < 0.6 else 1.0, self.faults.begin)
        for _unused in range(self.rng.choice([0, 1, 2, 4, 7])):
            world.after(self.rng.uniform(0, BURST), self.people.something)
        world.run(BURST)
        self.runs.hurt = 0.0
        self.faults.heal()
        self.people.tidy()
        world.tell("--- the faults are over")
        world.run(promised(world.site))
        self._crashes_in_a_row()
        if self.rollouts is not None:
            self.rollouts.settled()
        self._settled()
        self._idle()

    def _tell(self, what: str) -> None:
        assert self._line is not None
        self._line("%8.3f  %s" % (self.world.t, what))

    # --- what runs and monitors have in common

    def new_monitor(self) -> None:
        self.monitors += 1
        self.monitor = Monitor(self.runs, self.monitors, self._watch_list, self.lines, self.slow)

    def _watch_list(self) -> Watch:
        """The watch list that is published at this moment."""
        if self.publishes and self._published != self.world.revision:
            self._published = self.world.revision
            world = self.world
            self._watch = parse(watch_list.watch_document(world.site, world.state, world.revision))
        return self._watch

    def _committed(self) -> None:
        self._watch_list()
        if self.monitor is not None and self.rng.random() < 0.95:  # else the file event is lost
            self.monitor.wake(0.003)

    def _planned(self, run: Run, plan: Plan) -> None:
        if any(action.kind == "refuse" for action in plan.actions):
            return
        self._requests[run.number] = run.request
        if self.rollouts is not None:
            self.rollouts.planned(run, plan)
        for name in run.request.get("instances") or ():
            if run.request["kind"] in ("open", "start", "restart"):
                self._opened[name] = self.world.t
                self.world.shown_on[name] = run.request.get("host") or self.world.shown_on.get(name, "")
                if run.request.get("take"):
                    self.world.taken_over[name] = self.world.t
            waits = any(action.kind == "hold" and action.instance == name for action in plan.actions)
            if run.request["kind"] in ("reset", "start", "restart", "open") and not waits:
                self.world.trouble[name] = 1  # the same run may find that something is missing
        for name, record in (plan.changes.get("wanted") or {}).items():
            if record and record["state"] == "stopped" and name in self.windows:
                self.world.windows_over[name] = (self.world.t, "it was stopped (%s)" % record["why"])
        self._only_lost_hosts_are_down(run, plan)

    def _only_lost_hosts_are_down(self, run: Run, plan: Plan) -> None:
        world = self.world
        for name, record in (plan.changes.get("hosts") or {}).items():
            if record["state"] != "down" or record["by"] != "monitor":
                continue
            host = world.hosts[name]
            world.demand(host.lost or not host.manager or max(host.back_at, host.managed_at) > world.t - 30, "down",
                         "%s is believed down by run %s, and was never away" % (name, run.number))  # fmt: skip
            since = self.faults.controller_cut_at
            cut = self.lines and host.manager and since is not None and host.lost_at >= since
            what = "%s is believed down by run %s while the controller is cut off" % (name, run.number)
            world.demand(not cut, "storm", what)

    def _asked_for(self, name: str, run: str) -> float:
        request = self._requests.get(run) or {}
        if request.get("kind") in ("open", "start", "restart") and name in (request.get("instances") or ()):
            return float("inf")
        return self._opened.get(name, -1.0)

    # --- what must hold when the promised time is over

    def alive(self, name: str) -> list[SimHost]:
        """Hosts within sight on which it lives."""
        return [host for host in self.world.hosts.values() if name in host.copies and not host.lost]

    def _crashes_in_a_row(self) -> None:
        """A broken instance is restarted with growing delays; only after the last restart it is given up."""
        world = self.world
        for _unused in WAITS:
            claims = [world.state["claims"].get(name) or {} for name in world.broken]
            until = max((claim.get("until") or 0.0 for claim in claims), default=0.0)
            tried = any(claim.get("actor") for claim in claims)  # now, for the next time
            if not tried and until + promised(world.site) <= world.wall:
                return
            world.run(max(0.0, until - world.wall) + promised(world.site))

    def _settled(self) -> None:
        world = self.world
        world.tell("--- the promised time is over")
        self.people.all_answered()
        world.demand(self.monitor is not None and not self.monitor.brain.hosts.storm, "storm", "it never ended")
        for host in world.hosts.values():
            state = (world.state["hosts"].get(host.name) or {}).get("state", "up")
            world.demand(host.lost or state == "up", "back", "%s is there and taken for %s" % (host.name, state))
        for name in self.names:
            hosts = self.alive(name)
            world.demand(len(hosts) <= 1, "I1", "%s still lives on %s" % (name, [h.name for h in hosts]))
            wanted = (world.state["wanted"].get(name) or {}).get("state", "stopped")
            asked = self.people.may_want(name)
            what = "%s is wanted %s, people asked for %s" % (name, wanted, asked)
            world.demand(wanted in asked or name in self.windows, "wanted", what)
            self.people.settled(name, wanted)
            if wanted != "started":
                world.demand(not hosts, "stopped", "%s lives on %s" % (name, [h.name for h in hosts]))
            else:
                self._runs_as_wanted(name, hosts)

    def _runs_as_wanted(self, name: str, hosts: list[SimHost]) -> None:
        world, claim = self.world, self.world.state["claims"].get(name) or {}
        if self.quarantined(name):
            return
        if name in world.broken:
            # One that hangs takes a whole run's time, and holds up the outcome of all that start in the same run.
            world.demand("hangs" in world.broken.values(), "I6", "%s is broken and %s: %s" % (
                name, claim.get("phase"), claim.get("reason")))  # fmt: skip
            return
        if name in self.windows:
            holder = world.hosts.get(claim.get("host") or "")
            if claim.get("phase") == "failed" or (holder is not None and holder.lost):
                return  # the person who opened it saw it fail; a console out of sight keeps it
        world.demand(len(hosts) == 1, "I5", "%s is wanted and does not run: %s" % (name, claim))
        host = hosts[0]
        copy = host.copies[name]
        world.demand((claim["host"], claim["epoch"], claim["phase"]) == (host.name, copy.epoch, "running"), "I3",
                     "%s lives on %s under epoch %d, claimed: %s" % (name, host.name, copy.epoch, claim))  # fmt: skip
        world.demand(world.bus(host.name, name) != "hangs", "I5", "the bus of %s still hangs" % name)
        expected = {p.name for p in self.names[name].application.programs if not p.wait_exit}
        if not host.common_bus:
            expected.discard("common_bus_interface")
        world.demand(set(copy.programs) >= expected or self._mildly_short(name, expected - set(copy.programs)), "I5",
                     "%s runs without %s" % (name, expected - set(copy.programs)))  # fmt: skip

    def _mildly_short(self, name: str, missing: set[str]) -> bool:
        """Programs whose end needs no action, as their running_failure_strategy says."""
        application = self.names[name].application
        return BUS not in missing and all(
            application.program(program).running_failure_strategy == "continue" for program in missing
        )

    def quarantined(self, name: str) -> bool:
        """Failed for good, with a reason and after as much trouble as its budget allows."""
        world, claim = self.world, self.world.state["claims"].get(name) or {}
        if claim.get("phase") != "failed" or not any(words in claim["reason"] for words in GIVEN_UP):
            return False
        budget = world.site.settings.failure_budget
        world.demand(world.trouble.get(name, 0) >= budget, "I6",
                     "%s is given up after %d failures: %s" % (name, world.trouble.get(name, 0), claim))  # fmt: skip
        world.demand(not self.alive(name) or name in world.stubborn, "I6", "%s is given up and lives" % name)
        return True

    def _idle(self) -> None:
        """After the time promised nothing happens any more."""
        world = self.world
        starts, revision = len(world.start_times), world.revision
        world.run(world.site.settings.observe_interval + 5)
        again = [s for s in world.start_times[starts:] if s[1] not in world.broken]
        world.demand(not again, "I6", "without any reason these started again: %s" % again)
        if not world.broken:
            world.demand(world.revision == revision, "idle", "the ledger changed although nothing happened")


def _nobody(what: str) -> None:
    return


def simulate(
    seed: int, tell: Callable[[str], None] | None = None, leases: bool = False, rollouts: bool = False
) -> dict[str, int]:
    """One history; what is counted of it. :raises AssertionError: when a rule does not hold.

    :param leases: whether hosts need them: then only a person makes a second copy.
    :param rollouts: whether people deploy other configurations meanwhile.
    """
    return Simulation(seed, tell, leases=leases, rollouts=rollouts).run()


def _main(seeds: list[str]) -> int:
    """Show one history; of `FIRST-LAST` only those in which a rule does not hold, and what was counted."""
    how = {word: "--" + word in seeds for word in ("leases", "rollouts")}
    seeds = [word for word in seeds if not word.startswith("--")]
    if len(seeds) != 1:
        print(__doc__)
        return 2
    first, _unused, last = seeds[0].partition("-")
    if not last:
        print(simulate(int(first), print, **how))
        return 0
    broken, counted = 0, Counter[str]()
    for seed in range(int(first), int(last) + 1):
        try:
            counted.update(simulate(seed, **how))
        except AssertionError as error:
            broken += 1
            print("%d: %s" % (seed, error))
    print("%d histories, in %d a rule did not hold; %s" % (int(last) - int(first) + 1, broken, dict(counted)))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
