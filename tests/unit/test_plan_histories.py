# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that always hold, over random histories of a fleet: concurrent and cut runs, lost answers, dead hosts."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.small_site import CONSOLES, SERVERS, small_site
from tests.unit.fleet_world import Copy, World

SITES = {items: small_site(items=items) for items in (3, 4, 5)}
SITE = SITES[5]
SERVICES = [n for n, i in SITE.by_name().items() if not i.application.on_request]
WINDOWS = [n for n, i in SITE.by_name().items() if i.application.on_request]
ALL_HOSTS = [*SERVERS, *CONSOLES]
CAUSES = ["bus crash", "bus hang", "gate open", "request"]

pick = st.integers(0, 1000)
far = st.sampled_from([99, 99, 99, 99, 4, 3, 2, 1, 0])  # steps a run takes at once; most runs are alone


class Fleet(RuleBasedStateMachine):
    """Whatever happens: no instance starts twice, epochs grow, no host holds more than its limit."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(SITE)
        self.world.finish(self.world.begin("deploy"))
        self.ended: dict[str, int] = {}  # windows that ended -> starts seen by then

    # --- time, runs

    @rule(seconds=st.sampled_from([0.1, 1, 20, 100, 200, 700]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    def _begin(self, steps: int, kind: str, **more: object) -> None:
        run = self.world.begin(kind, **more)
        while steps and not run.done:
            self.world.step(run)
            steps -= 1

    @rule(kind=st.sampled_from(["reconcile", "reconcile", "deploy"]), slow=st.booleans(), steps=far)
    def reconcile(self, kind: str, slow: bool, steps: int) -> None:
        self._begin(steps, kind, slow_commit=slow)

    @rule(hosts=st.lists(st.sampled_from(ALL_HOSTS), min_size=1, unique=True), steps=far)
    def reconcile_with_limit(self, hosts: list[str], steps: int) -> None:
        self._begin(steps, "reconcile", limit=hosts)

    @rule(kind=st.sampled_from(["start", "stop", "restart"]), name=st.sampled_from(SERVICES), steps=far)
    def ask(self, kind: str, name: str, steps: int) -> None:
        self._begin(steps, kind, instances=[name])

    @rule(name=st.sampled_from(SERVICES), host=st.sampled_from(SERVERS), steps=far)
    def start_there(self, name: str, host: str, steps: int) -> None:
        self._begin(steps, "start", instances=[name], host=host)

    @rule(name=st.sampled_from(WINDOWS[:2]), host=st.sampled_from(CONSOLES), take=st.booleans(), steps=far)
    def open(self, name: str, host: str, take: bool, steps: int) -> None:
        # A person who takes over from a console that does not answer must know that it is gone.
        take = take and all(self.world.hosts[console].reachable for console in CONSOLES)
        self.ended.pop(name, None)
        self._begin(steps, "open", instances=[name], host=host, take=take)

    @rule(name=st.sampled_from(WINDOWS[:2]), steps=far)
    def restart_windows(self, name: str, steps: int) -> None:
        if name not in self.ended:
            self._begin(steps, "restart", instances=[name])

    @rule(name=st.sampled_from(WINDOWS[:2]))
    def close(self, name: str) -> None:
        self.world.finish(self.world.begin("close", instances=[name]))
        if not any(run.request.get("instances") == [name] for run in self.world.runs):
            self.ended[name] = sum(1 for n, _ in self.world.starts if n == name)

    @rule(kind=st.sampled_from(["drain", "drain", "undrain"]), host=st.sampled_from(ALL_HOSTS), steps=far)
    def drain(self, kind: str, host: str, steps: int) -> None:
        self._begin(steps, kind, host=host)

    @rule(which=pick, cause=st.sampled_from(CAUSES), late=st.booleans(), steps=far)
    def alert(self, which: int, cause: str, late: bool, steps: int) -> None:
        claims = [(n, c) for n, c in sorted(self.world.state["claims"].items()) if c["epoch"]]
        if claims:
            name, claim = claims[which % len(claims)]
            epoch = claim["epoch"] - (1 if late else 0)
            intent = {"id": "i", "instance": name, "epoch": epoch, "cause": cause, "what": "stop", "at": self.world.now}
            self._begin(steps, "intents", intents=[intent])

    @precondition(lambda self: self.world.runs)
    @rule(which=pick, count=st.integers(1, 12))
    def a_run_goes_on(self, which: int, count: int) -> None:
        for _ in range(count):
            if self.world.runs:
                self.world.step(self.world.runs[which % len(self.world.runs)])

    @precondition(lambda self: self.world.runs)
    @rule(which=pick)
    def a_run_is_cut(self, which: int) -> None:
        self.world.cut(self.world.runs[which % len(self.world.runs)])

    @precondition(lambda self: self.world.on_the_way)
    @rule(which=pick, lost=st.booleans())
    def something_on_the_way_arrives(self, which: int, lost: bool) -> None:
        self.world.deliver(self.world.on_the_way[which % len(self.world.on_the_way)], lost)

    # --- faults

    @rule(host=st.sampled_from(ALL_HOSTS))
    def host_reboots(self, host: str) -> None:
        there = self.world.hosts[host]
        there.die()
        there.boots += 1
        there.on = there.manager = True

    @rule(host=st.sampled_from(ALL_HOSTS))
    def service_manager_dies(self, host: str) -> None:
        self.world.hosts[host].die()
        self.world.hosts[host].manager = False

    @rule(host=st.sampled_from(["server_1", "server_2", "console_1"]))
    def host_gets_cut_off_or_back(self, host: str) -> None:
        if host in CONSOLES and any(run.request.get("take") for run in self.world.runs):
            return
        self.world.hosts[host].reachable = not self.world.hosts[host].reachable

    @rule(host=st.sampled_from(["server_1", "console_1"]), by=st.sampled_from(["eve", "monitor"]))
    def host_loses_power_and_is_confirmed_down(self, host: str, by: str) -> None:
        there = self.world.hosts[host]
        there.die()
        there.on = False
        record = {"state": "down", "incarnation": "", "since": self.world.now, "evidence": "no power", "by": by}
        self.world.commit(self.world.revision, {"hosts": {host: record}})

    @rule(host=st.sampled_from(ALL_HOSTS), which=pick)
    def a_program_dies(self, host: str, which: int) -> None:
        copies = self.world.hosts[host].copies
        if copies:
            copy = copies[sorted(copies)[which % len(copies)]]
            if len(copy.programs) > 1:
                copy.programs.pop(which % len(copy.programs))

    @rule(host=st.sampled_from(ALL_HOSTS), which=pick)
    def somebody_stops_an_instance_past_the_tool(self, host: str, which: int) -> None:
        copies = self.world.hosts[host].copies
        if copies:
            copies.pop(sorted(copies)[which % len(copies)])

    @rule(host=st.sampled_from(SERVERS), name=st.sampled_from(SERVICES), epoch=st.integers(0, 3))
    def somebody_starts_a_copy_past_the_tool(self, host: str, name: str, epoch: int) -> None:
        self.world.hosts[host].copies.setdefault(name, Copy(epoch, ["data_processing"], by_hand=True))

    @rule(name=st.sampled_from(SERVICES[:2] + WINDOWS[:1]))
    def an_instance_cannot_start_any_more_or_can_again(self, name: str) -> None:
        self.world.fails ^= {name}

    @rule(name=st.sampled_from(SERVICES[:2] + WINDOWS[:1]))
    def an_instance_cannot_be_stopped_any_more_or_can_again(self, name: str) -> None:
        self.world.stubborn ^= {name}

    @rule(host=st.sampled_from(SERVERS))
    def the_common_bus_fails_or_returns(self, host: str) -> None:
        self.world.hosts[host].common_bus = not self.world.hosts[host].common_bus

    @rule(name=st.sampled_from(SERVICES[:2] + WINDOWS[:1]))
    def its_configuration_changes(self, name: str) -> None:
        self.world.digests[name] = self.world.digests.get(name, "") + "x"

    @rule(items=st.sampled_from(sorted(SITES)))
    def items_leave_or_join_the_site(self, items: int) -> None:
        self.world.site = SITES[items]

    # --- what must hold

    @invariant()
    def closed_windows_stay_closed(self) -> None:
        for name, count in self.ended.items():
            assert sum(1 for n, _ in self.world.starts if n == name) == count

    @invariant()
    def every_action_has_a_reason(self) -> None:
        for plan in self.world.plans:
            assert all(action["reason"] for action in plan["actions"])
        self.world.plans.clear()

    def teardown(self) -> None:
        """When the faults end, the fleet settles: a last reconcile finds nothing to do, and all that can run runs."""
        world = self.world
        world.runs.clear()
        world.on_the_way.clear()
        for host in world.hosts.values():
            host.on = host.reachable = host.manager = True
        world.stubborn.clear()
        world.now += 1000
        for _ in range(14):
            world.now += 150
            run = world.begin("reconcile")
            world.finish(run)
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
        held = {a["instance"]: a["reason"] for a in world.plans[-1]["actions"]}
        for name, claim in world.state["claims"].items():
            wanted = (world.state["wanted"].get(name) or {}).get("state", "stopped")
            if wanted == "started" and name in world.site.by_name():
                assert lives.get(name) == claim["host"] or name in held, (name, claim)
            else:
                assert name not in lives
        for name in lives:
            assert world.state["claims"][name]["host"] == lives[name]
        self.closed_windows_stay_closed()


Fleet.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestFleet = Fleet.TestCase
