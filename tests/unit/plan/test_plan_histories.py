# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that always hold, over random histories of a fleet: concurrent and cut runs, lost answers, dead hosts.

`World` itself checks at every start that no other copy that muster started lives and that the epoch is new, and at
every commit that no epoch goes back and no limit is passed.
"""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.core.model.plan import ACTS
from monitor.core.model.site import Site
from tests.small_site import CONSOLES, SERVERS, small_site
from tests.unit.plan.fleet_in_memory import Copy, World

SITES = {items: small_site(items=items) for items in (2, 3, 4, 5)}


def with_policy(site: Site, policy: str) -> Site:
    applications = tuple(dataclasses.replace(application, conflicts=policy) for application in site.applications)
    return dataclasses.replace(site, applications=applications)


CAUSES = ["bus crash", "bus hang", "gate open", "request"]
T = TypeVar("T")

pick = st.integers(0, 1000)
ALONE = 99  # a run that ends before anything else happens
steps = st.sampled_from([ALONE, ALONE, ALONE, 4, 3, 2, 1])


class Contended(RuleBasedStateMachine):
    """Few instances and many runs at once, cut short, overtaken, and with answers lost."""

    items = 2
    policy = "keep_claimed"

    def __init__(self) -> None:
        super().__init__()
        self.sites = {items: with_policy(site, self.policy) for items, site in SITES.items()}
        self.world = World(self.sites[self.items])
        names = self.world.site.by_name()
        self.services = [n for n, i in names.items() if not i.application.on_request]
        self.windows = [n for n, i in names.items() if i.application.on_request][:2]
        self.consoles = list(CONSOLES)
        self.hosts = [*SERVERS, *self.consoles]
        self.ended: dict[str, int] = {}  # windows that ended -> how often they had been started by then
        self.world.finish(self.world.begin("deploy"))
        for name, console in zip(self.windows, self.consoles):
            self.world.finish(self.world.begin("open", instances=[name], host=console))

    def one(self, things: list[T], which: int) -> T:
        return things[which % len(things)]

    def begin(self, count: int, kind: str, **more: object) -> None:
        run = self.world.begin(kind, **more)
        while count and not run.done:
            self.world.step(run)
            count -= 1

    def starts_of(self, name: str) -> int:
        return sum(1 for started, _ in self.world.starts if started == name)

    def windows_end_with(self, host: str) -> None:
        """A console loses its processes: its windows must not be opened again automatically."""
        if self.world.runs or self.world.on_the_way:
            return
        for name in self.windows:
            claim = self.world.state["claims"].get(name) or {}
            lives = self.world.hosts[host].copies.get(name)
            if lives and claim.get("phase") == "running" and claim["host"] == host and claim["epoch"] == lives.epoch:
                self.ended[name] = self.starts_of(name)

    # --- time and runs

    @rule(seconds=st.sampled_from([0.1, 1, 20, 100, 130, 700]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(kind=st.sampled_from(["reconcile", "reconcile", "deploy"]), slow=st.booleans(), count=steps)
    def reconcile(self, kind: str, slow: bool, count: int) -> None:
        self.begin(count, kind, slow_commit=slow)

    @rule(kind=st.sampled_from(["start", "stop", "restart"]), which=pick, count=steps)
    def ask(self, kind: str, which: int, count: int) -> None:
        self.begin(count, kind, instances=[self.one(self.services, which)])

    @rule(kind=st.sampled_from(["drain", "drain", "undrain"]), which=pick, force=st.booleans(),
          at_a_time=st.sampled_from([0, 1, 1, 2]), until=st.sampled_from([None, 30.0, 500.0]), count=steps)  # fmt: skip
    def drain(self, kind: str, which: int, force: bool, at_a_time: int, until: float | None, count: int) -> None:
        until = None if until is None else self.world.now + until
        host = self.one(self.hosts, which)
        self.begin(count, kind, host=host, force=force, at_a_time=at_a_time, until=until)

    @rule(kind=st.sampled_from(["pause", "pause", "resume"]), which=pick, until=st.sampled_from([None, 50.0, 900.0]),
          count=steps)  # fmt: skip
    def pause(self, kind: str, which: int, until: float | None, count: int) -> None:
        items = [item.id for item in self.world.site.items]
        until = None if until is None else self.world.now + until
        about = {"site": True} if which % 5 == 0 else {"item": self.one(items, which)}
        self.begin(count, kind, until=until, **about)

    @rule(which=pick, count=steps)
    def reset(self, which: int, count: int) -> None:
        name = self.one([*self.services, *self.windows], which)
        if name not in self.windows:
            self.begin(count, "reset", instances=[name])

    @rule(which=pick, cause=st.sampled_from(CAUSES), late=st.booleans(), count=steps)
    def alert(self, which: int, cause: str, late: bool, count: int) -> None:
        claims = [(n, c) for n, c in sorted(self.world.state["claims"].items()) if c["epoch"]]
        if claims:
            name, claim = self.one(claims, which)
            epoch = claim["epoch"] - (1 if late else 0)
            intent = {"id": "i", "instance": name, "epoch": epoch, "cause": cause, "what": "stop", "at": self.world.now}
            self.begin(count, "intents", intents=[intent])

    @rule(which=pick, where=pick, take=st.booleans(), count=steps)
    def open(self, which: int, where: int, take: bool, count: int) -> None:
        # A person who takes over from a console that does not answer must know that it is gone.
        take = take and all(self.world.hosts[console].reachable for console in self.consoles)
        name = self.one(self.windows, which)
        self.ended.pop(name, None)
        self.begin(count, "open", instances=[name], host=self.one(self.consoles, where), take=take)

    @rule(which=pick)
    def close(self, which: int) -> None:
        name = self.one(self.windows, which)
        self.world.finish(self.world.begin("close", instances=[name]))
        if not self.world.runs:
            self.ended[name] = self.starts_of(name)

    @precondition(lambda self: self.world.runs)
    @rule(which=pick, count=st.integers(1, 6))
    def a_run_goes_on(self, which: int, count: int) -> None:
        run = self.one(self.world.runs, which)
        for _ in range(count):
            if not run.done:
                self.world.step(run)

    @precondition(lambda self: self.world.runs)
    @rule(which=pick)
    def a_run_is_cut(self, which: int) -> None:
        self.world.cut(self.one(self.world.runs, which))

    @precondition(lambda self: self.world.on_the_way)
    @rule(which=pick, fate=st.sampled_from(["arrives", "arrives and its answer is lost", "is lost"]))
    def something_on_the_way(self, which: int, fate: str) -> None:
        delivery = self.one(self.world.on_the_way, which)
        if fate == "is lost":
            delivery.until = 0.0
        self.world.deliver(delivery, answer_lost="answer" in fate)

    @rule()
    def all_runs_end(self) -> None:
        for run in list(self.world.runs):
            self.world.finish(run)
        self.world.on_the_way.clear()

    # --- hosts

    @rule(which=pick)
    def host_reboots(self, which: int) -> None:
        host = self.one(self.hosts, which)
        self.windows_end_with(host)
        there = self.world.hosts[host]
        there.die()
        there.powered += 1
        there.boots += 1
        there.on = there.manager = True

    @rule(which=pick)
    def host_gets_cut_off_or_back(self, which: int) -> None:
        host = self.one(["server_1", "server_2", "console_1"], which)
        if host not in CONSOLES or not any(run.request.get("take") for run in self.world.runs):
            self.world.hosts[host].reachable = not self.world.hosts[host].reachable

    # --- what must hold

    @invariant()
    def windows_that_ended_stay_away(self) -> None:
        for name, count in self.ended.items():
            assert self.starts_of(name) == count, f"{name} came back by itself"

    @invariant()
    def every_action_has_a_reason(self) -> None:
        for plan in self.world.plans:
            assert all(action["reason"] for action in plan["actions"])

    @invariant()
    def nothing_automatic_acts_on_what_is_paused(self) -> None:
        for plan in self.world.plans:
            if plan["asked"]["kind"] not in ("reconcile", "deploy", "drain"):
                continue
            for action in plan["actions"]:
                if action["action"] in ACTS and action["instance"].rpartition("_")[2] in plan["paused"]:
                    wanted = (plan["after"]["wanted"].get(action["instance"]) or {}).get("state")
                    assert (action["action"], wanted) == ("stop", "stopped"), action  # what a person began

    @invariant()
    def a_drained_host_is_left_in_turn(self) -> None:
        for plan in self.world.plans:
            for host, record in plan["after"]["hosts"].items():
                leave = [a for a in plan["actions"] if a["host"] == host and a["action"] == "stop" and a["target"]
                         and f"{host} is drained, so" in a["reason"]]  # fmt: skip
                assert len(leave) <= ((record.get("drain") or {}).get("at_a_time") or 99), leave
        self.world.plans.clear()

    def settle_conflicts(self) -> None:
        """Those that wait for a person."""

    def teardown(self) -> None:
        """When the faults end, the fleet settles: a last reconcile finds nothing to do, and all that can run runs."""
        world = self.world
        world.runs.clear()
        world.on_the_way.clear()
        for name, host in world.hosts.items():
            if not host.manager:
                self.windows_end_with(name)
            host.on = host.reachable = host.manager = True
        world.stubborn.clear()
        world.now += 1000
        for key in sorted(world.state["pauses"]):
            about = {"site": True} if key == "site" else {"item": key.partition("/")[2]}
            world.finish(world.begin("resume", **about))
        self.settle_conflicts()
        for _ in range(14):
            world.now += 150
            world.finish(world.begin("reconcile"))
            acts = [a for a in world.plans[-1]["actions"] if a["action"] not in ("hold", "refuse")]
            if not acts and not world.plans[-1]["changes"]:
                break
        else:
            raise AssertionError(f"the fleet does not settle: {world.plans[-1]}")
        lives = {}
        for host in world.hosts.values():
            for name, copy in host.copies.items():
                assert name not in lives, f"{name} lives on {host.name} and on {lives[name]}"
                assert not copy.by_hand
                lives[name] = host.name
        held = {a["instance"] for a in world.plans[-1]["actions"]}
        for name, claim in world.state["claims"].items():
            wanted = (world.state["wanted"].get(name) or {}).get("state", "stopped")
            if wanted == "started" and name in world.site.by_name():
                assert lives.get(name) == claim["host"] or name in held, (name, claim)
            else:
                assert name not in lives
        for name in lives:
            assert world.state["claims"][name]["host"] == lives[name]
        self.windows_that_ended_stay_away()


class Faulty(Contended):
    """More instances, and everything that may go wrong or be done outside muster."""

    items = 5

    @rule(hosts=st.lists(st.sampled_from([*SERVERS, *CONSOLES]), min_size=1, unique=True), count=steps)
    def reconcile_with_limit(self, hosts: list[str], count: int) -> None:
        self.begin(count, "reconcile", limit=hosts)

    @rule(which=pick, where=pick, count=steps)
    def start_there(self, which: int, where: int, count: int) -> None:
        self.begin(count, "start", instances=[self.one(self.services, which)], host=self.one(self.hosts, where))

    @rule(which=pick, count=steps)
    def restart_windows(self, which: int, count: int) -> None:
        name = self.one(self.windows, which)
        if name not in self.ended:
            self.begin(count, "restart", instances=[name])

    @rule(which=pick)
    def service_manager_dies(self, which: int) -> None:
        host = self.one(self.hosts, which)
        self.windows_end_with(host)
        self.world.hosts[host].die()
        self.world.hosts[host].manager = False

    @rule(host=st.sampled_from(["server_1", "console_1"]), by=st.sampled_from(["eve", "monitor"]))
    def host_loses_power_and_is_confirmed_down(self, host: str, by: str) -> None:
        self.windows_end_with(host)
        there = self.world.hosts[host]
        there.die()
        there.on = False
        record = {"state": "down", "incarnation": "", "since": self.world.now, "evidence": "no power", "by": by}
        self.world.commit(self.world.revision, {"hosts": {host: record}})

    @rule(where=pick, which=pick)
    def a_program_dies(self, where: int, which: int) -> None:
        copies = self.world.hosts[self.one(self.hosts, where)].copies
        if copies:
            copy = self.one([copies[name] for name in sorted(copies)], which)
            if len(copy.programs) > 1:
                copy.programs.pop(which % len(copy.programs))

    @rule(where=pick, which=pick)
    def somebody_stops_an_instance_past_the_tool(self, where: int, which: int) -> None:
        copies = self.world.hosts[self.one(self.hosts, where)].copies
        if copies:
            copies.pop(self.one(sorted(copies), which))

    @rule(host=st.sampled_from(SERVERS), which=pick, epoch=st.integers(0, 3))
    def somebody_starts_a_copy_past_the_tool(self, host: str, which: int, epoch: int) -> None:
        name = self.one(self.services, which)
        self.world.hosts[host].copies.setdefault(name, Copy(epoch, ["data_processing"], by_hand=True))

    @rule(which=pick)
    def an_instance_cannot_start_any_more_or_can_again(self, which: int) -> None:
        self.world.fails ^= {self.one([*self.services[:2], self.windows[0]], which)}

    @rule(which=pick)
    def an_instance_cannot_be_stopped_any_more_or_can_again(self, which: int) -> None:
        self.world.stubborn ^= {self.one([*self.services[:2], self.windows[0]], which)}

    @rule(host=st.sampled_from(SERVERS))
    def the_common_bus_fails_or_returns(self, host: str) -> None:
        self.world.hosts[host].common_bus = not self.world.hosts[host].common_bus

    @rule(which=pick)
    def its_configuration_changes(self, which: int) -> None:
        name = self.one([*self.services[:2], self.windows[0]], which)
        self.world.digests[name] = self.world.digests.get(name, "") + "x"

    @rule(items=st.sampled_from([3, 4, 5]))
    def items_leave_or_join_the_site(self, items: int) -> None:
        self.world.site = self.sites[items]


class StopAll(Faulty):
    """The same, where a second copy ends all of them."""

    policy = "stop_all"


class Ask(Faulty):
    """The same, where a second copy waits for a person, who decides now and then."""

    policy = "ask"

    @rule(which=pick, where=pick, count=steps)
    def somebody_decides(self, which: int, where: int, count: int) -> None:
        name, host = self.one(self.services, which), self.one(self.hosts, where)
        self.begin(count, "resolve", instances=[name], host=host)

    def settle_conflicts(self) -> None:
        world = self.world
        world.finish(world.begin("reconcile"))
        for notice in [n for n in world.state["notices"].values() if n["what"] == "conflict" and n["open"]]:
            name = notice["instance"]
            alive = [host for host in SERVERS if name in world.hosts[host].copies]
            for host in reversed(alive):
                world.finish(world.begin("resolve", instances=[name], host=host))
                if not any(action["action"] == "refuse" for action in world.plans[-1]["actions"]):
                    break
            else:  # that host has no room, or is drained
                world.finish(world.begin("stop", instances=[name]))


for machine, examples in ((Contended, 120), (Faulty, 60), (StopAll, 25), (Ask, 40)):
    machine.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )

TestContended = Contended.TestCase
TestFaulty = Faulty.TestCase
TestStopAll = StopAll.TestCase
TestAsk = Ask.TestCase
