# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of instances: who saw them, what lives on after a cut, why something ended, and what a wrong clock did.

Sources: muster's own campaign on booted hosts (healthy copies and windows ended after a heal, conflicts that were
over, items "operational" that nobody saw); ClusterLabs/crmsh PR#1024 (ports closed to the controller);
Supervisor/supervisor#888, #729 (orders to the service manager past muster), #281, #1043, #802, #895,
sonic-net/sonic-buildimage PR#1311 (a clock that is set back); ralphlange/procServ#35 (a port that is not free yet), its
restart modes (a program that ends with 0).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from monitor.core.decide.failures import charges
from monitor.core.model.records import Claim, Failure
from monitor.core.model.site import Settings
from monitor.core.plan.plan import make_plan
from monitor.core.report import attention, status, status_text
from monitor.core.report.verdict import verdicts
from monitor.judge.health import Health, Kind, Result
from tests.small_site import SERVERS, quiet_host, running, small_site, small_state
from tests.unit.monitor.brain_alone import WALL, Scene
from tests.unit.monitor.watch_lists import entry, health
from tests.unit.plan.fleet_in_memory import World

NAME, WINDOW = "scen2_srv_01", "scen2_hci_01"
STARTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 0.0}
PROGRAMS = ["internal_data_bus", "data_processing", "common_bus_interface"]
NOW = 1_700_000_000.0
YEARS = 4 * 365 * 86400.0


def down(host: str, now: float) -> dict[str, Any]:
    return {"hosts": {host: {"state": "down", "incarnation": "", "since": now, "evidence": "silent", "by": "monitor"}}}


def cut(world: World, *names: str) -> None:
    """They are silent, believed down, and a reconcile draws the conclusions."""
    for name in names:
        world.hosts[name].reachable = False
        for copy in world.hosts[name].copies.values():
            copy.by_hand = True  # what is cut off may live twice: the rule of the fleet is about what can be known
        assert world.commit(world.revision, down(name, world.now))
    world.finish(world.begin("reconcile"))


def heal(world: World) -> None:
    for host in world.hosts.values():
        host.reachable = True
    world.now += 30
    world.finish(world.begin("reconcile"))


class TestWhatLivesUnderItsLastEpoch:
    def alone(self) -> World:
        """One server only may run it, so that nothing replaces it."""
        site = small_site(items=1)
        services = dataclasses.replace(site.application("scen2_srv"), identifiers=SERVERS[:1])
        world = World(dataclasses.replace(site, applications=(services, site.application("scen2_hci"))))
        world.finish(world.begin("deploy"))
        return world

    def test_is_kept_when_its_host_is_back(self) -> None:
        world = self.alone()
        copy = world.hosts["server_1"].copies[NAME]
        cut(world, "server_1")
        assert world.state["claims"][NAME]["phase"] == "free"
        heal(world)
        claim = world.state["claims"][NAME]
        assert (claim["phase"], claim["host"], claim["epoch"]) == ("running", "server_1", 1)
        assert world.hosts["server_1"].copies[NAME] is copy
        assert len(world.starts) == 1, "nothing was started or stopped"
        world.finish(world.begin("reconcile"))
        assert not [action for action in world.plans[-1]["actions"] if action["action"] != "hold"]

    def test_starts_again_when_a_part_of_it_ended(self) -> None:
        world = self.alone()
        cut(world, "server_1")
        world.hosts["server_1"].copies[NAME].programs.remove("data_processing")
        heal(world)
        assert (world.state["claims"][NAME]["phase"], len(world.starts)) == ("running", 2)

    def test_is_ended_when_another_copy_has_replaced_it(self) -> None:
        world = World(small_site(items=1))
        world.finish(world.begin("deploy"))
        cut(world, "server_1")
        heal(world)
        assert [host.name for host in world.hosts.values() if NAME in host.copies] == ["server_2"]

    def test_is_ended_when_a_person_has_stopped_it_meanwhile(self) -> None:
        world = self.alone()
        cut(world, "server_1")
        world.finish(world.begin("stop", instances=[NAME]))
        heal(world)
        assert not world.hosts["server_1"].copies

    def test_a_window_stays_open_on_a_console_that_was_only_cut_off(self) -> None:
        world = World(small_site(items=1))
        world.finish(world.begin("deploy"))
        world.finish(world.begin("open", instances=[WINDOW], console="console_1"))
        window = world.hosts["console_1"].copies[WINDOW]
        cut(world, "console_1")
        assert world.state["wanted"][WINDOW]["state"] == "stopped"
        heal(world)
        assert world.hosts["console_1"].copies.get(WINDOW) is window
        wanted = world.state["wanted"][WINDOW]
        assert (wanted["state"], wanted["host"]) == ("started", "console_1")

    def test_a_window_that_died_with_its_console_does_not_come_back(self) -> None:
        world = World(small_site(items=1))
        world.finish(world.begin("deploy"))
        world.finish(world.begin("open", instances=[WINDOW], console="console_1"))
        cut(world, "console_1")
        world.hosts["console_1"].die()
        heal(world)
        assert world.state["wanted"][WINDOW]["state"] == "stopped" and not world.hosts["console_1"].copies

    def test_a_window_that_a_person_closed_meanwhile_is_closed(self) -> None:
        world = World(small_site(items=1))
        world.finish(world.begin("deploy"))
        world.finish(world.begin("open", instances=[WINDOW], console="console_1"))
        cut(world, "console_1")
        world.finish(world.begin("close", instances=[WINDOW]))
        heal(world)
        assert not world.hosts["console_1"].copies


class TestOperationalNeedsAWitness:
    def found(self, monitor: dict[str, Any], seen_at: float | None = None) -> dict[str, Any]:
        state = small_state(wanted={NAME: STARTED}, claims={NAME: running("server_1", since=NOW - 3600)})
        copy = {"epochs": [1], "claim": 1, "programs": {p: {"pid": 1} for p in PROGRAMS}}
        host = {**quiet_host("server_1", instances={NAME: copy}), "at": seen_at}
        seen = {} if seen_at is None else {"server_1": host}
        site = small_site(items=1)
        return dict(status.status_document(site, state, 1, seen, monitor, NOW)["items"][0])

    def monitor(self, host: dict[str, Any], bus: str = "unknown", began: float = 3600.0) -> dict[str, Any]:
        buses = {NAME: {"epoch": 1, "state": bus, "why": "", "since": 1.0}}
        return {"state": "running", "at": NOW - 1, "since": NOW - began, "hosts": {"server_1": host}, "buses": buses}

    def silent(self, ago: float) -> dict[str, Any]:
        return {"state": "suspect", "line": "lost", "why": "no line to server_1", "since": ago}

    def test_its_bus_its_line_or_a_run_is_one(self) -> None:
        up = {"state": "up", "line": "fine", "why": "", "since": 100.0}
        assert self.found(self.monitor(self.silent(40.0), "healthy"))["verdict"] == "operational"
        assert self.found(self.monitor(up))["verdict"] == "operational"
        assert self.found({}, NOW - 60)["verdict"] == "operational"

    def test_who_saw_it_before_its_host_fell_silent_is_none(self) -> None:
        found = self.found(self.monitor(self.silent(12.0)), NOW - 30)
        assert found["verdict"] == "unknown"
        said = "nobody has seen scen2_srv_01 on server_1 since "
        assert found["cause"].startswith(said) and found["cause"].endswith(": no line to server_1")

    def test_a_run_that_saw_it_since_then_is_one(self) -> None:
        assert self.found(self.monitor(self.silent(12.0)), NOW - 3)["verdict"] == "operational"

    def test_a_controller_that_has_just_booted_knows_nothing_of_a_dead_host(self) -> None:
        found = self.found(self.monitor(self.silent(5.0), began=6.0), NOW - 70)
        assert found["verdict"] == "unknown"

    def test_without_a_monitor_a_look_counts_for_a_while(self) -> None:
        assert self.found({}, NOW - 200)["verdict"] == "unknown"
        assert self.found({})["verdict"] == "unknown"


class TestAPortThatNeverAnswered:
    def test_leads_to_one_look_and_never_to_a_restart(self) -> None:
        scene = Scene(entry(NAME))
        known = scene.buses[NAME, 1] = health()
        for second in range(300):
            if known.note(Result(Kind.REFUSED, float(second), "nothing listens")):
                scene.do(scene.brain.health_changed((NAME, 1), known, float(second)))
            scene.turn(float(second))
        assert scene.orders == []
        assert len(scene.reconciles) == 1 and "has never answered here" in scene.reconciles[0][0]

    def test_is_a_crash_when_its_host_says_that_the_program_ended(self) -> None:
        scene = Scene(entry(NAME, bus_program="internal_data_bus"))
        known = scene.buses[NAME, 1] = health()
        for second in range(4):
            known.note(Result(Kind.REFUSED, float(second), "nothing listens"))
        scene.do(scene.brain.program_ended(NAME, 1, "internal_data_bus", "was killed by a signal", WALL + 60))
        scene.turn(60.0)
        [intent] = scene.intents
        assert (intent["what"], intent["cause"]) == ("restart", "bus crash")
        assert "internal_data_bus on server_1 was killed by a signal" in intent["why"]

    def test_of_a_bus_that_has_just_started_is_a_crash_by_the_word_of_its_host_too(self) -> None:
        """It was killed before the probe had reached it: without that word, three questions would have to fail."""
        scene = Scene(entry(NAME, bus_program="internal_data_bus"))
        known = scene.buses[NAME, 1] = Health(0.0, failures=3, interval=1.0, timeout=1.0, grace=30.0)
        known.note(Result(Kind.GONE, 1.0, "its connection ended"))
        scene.turn(1.0)
        assert scene.orders == []
        scene.do(scene.brain.program_ended(NAME, 1, "internal_data_bus", "was killed by a signal", WALL + 1))
        scene.turn(1.0)
        assert [intent["cause"] for intent in scene.intents] == ["bus crash"]
        scene.do(scene.brain.program_ended(NAME, 1, "internal_data_bus", "was killed by a signal", WALL + 2))
        scene.turn(2.0)
        assert len(scene.intents) == 1


class TestWhyItEnded:
    def plan(self, endings: dict[str, str] | None, **claim: Any) -> Any:
        up = {name: {"state": "up", "incarnation": "boot/1", "since": 0.0} for name in SERVERS}
        state = small_state(wanted={NAME: STARTED}, claims={NAME: running("server_1", **claim)}, hosts=up)
        gone = {"epoch": 1, "epochs": [], "claim": 1, "last_epoch": 1, "digest": "d", "programs": {}, "deferred": [],
                "failed": {}, "endings": endings or {}}  # fmt: skip
        seen = {name: quiet_host(name) for name in SERVERS}
        seen["server_1"] = quiet_host("server_1", instances={NAME: gone})
        return make_plan(small_site(items=1), state, 7, seen, {"kind": "reconcile"}, NOW, "8", {NAME: "d"})

    def told(self, plan: Any) -> list[str]:
        return [line["what"] for line in plan.trail if line["result"] == "drift"]

    def test_an_order_past_muster_is_called_that_and_costs_nothing(self) -> None:
        plan = self.plan({"internal_data_bus": "stopped", "data_processing": "stopped", "check_internal_data_bus": "x"})
        (told,) = self.told(plan)
        assert told.startswith("drift: somebody stopped scen2_srv_01 on server_1 by an order to its service manager")
        assert [action.kind for action in plan.acts] == ["start"]
        assert plan.changes["claims"][NAME]["failures"] == []

    @pytest.mark.parametrize("how", ["exited with 0", "exited with 1 (OSError: [Errno 98] Address already in use)"])
    def test_what_ended_by_itself_is_nobodys_doing_and_costs_as_a_crash(self, how: str) -> None:
        plan = self.plan({"internal_data_bus": "stopped", "data_processing": how})
        assert self.told(plan) == []
        ((_at, host, why),) = plan.changes["claims"][NAME]["failures"]
        assert (host, why) == ("server_1", "scen2_srv_01 ended by itself on server_1: data_processing %s" % how)

    def test_what_nobody_knows_blames_nobody(self) -> None:
        plan = self.plan(None)
        assert self.told(plan) == ["drift: scen2_srv_01 no longer runs on server_1, and muster did not stop it"]
        assert len(plan.changes["claims"][NAME]["failures"]) == 1


class TestAConflict:
    def world(self) -> World:
        world = World(small_site(items=1))
        world.finish(world.begin("deploy"))
        cut(world, "server_1")
        assert world.state["claims"][NAME]["host"] == "server_2"
        return world

    def shown(self, world: World) -> list[bool]:
        return [conflict["open"] for conflict in attention.part(world.state, world.now)["conflicts"]]

    def test_is_over_when_its_copy_is_confirmed_stopped(self) -> None:
        world = self.world()
        heal(world)
        assert self.shown(world) == [False], "the run that ended it says so, not the next one"

    def test_is_not_shown_as_open_once_its_claim_is_another_one(self) -> None:
        world = self.world()
        world.stubborn.add(NAME)
        heal(world)
        assert self.shown(world) == [True]
        claim = {**world.state["claims"][NAME], "host": "server_3", "epoch": 9}
        assert world.commit(world.revision, {"claims": {NAME: claim}})
        assert self.shown(world) == [False]


class TestAClockThatWasSetBack:
    def state(self, **claim: Any) -> dict[str, Any]:
        up = {name: {"state": "up", "incarnation": "boot/1", "since": 0.0} for name in SERVERS}
        return small_state(wanted={NAME: STARTED}, claims={NAME: running("server_1", **claim)}, hosts=up)

    def test_a_deadline_further_away_than_a_run_may_take_counts_as_that(self) -> None:
        state = self.state(phase="starting", actor={"run": "5", "deadline": NOW + YEARS})
        seen = {name: quiet_host(name) for name in SERVERS}
        site = small_site(items=1)
        plan = make_plan(site, state, 7, seen, {"kind": "reconcile"}, NOW, "8", {NAME: "d"})
        assert plan.acts == []
        claim = plan.changes["claims"][NAME]
        assert claim["actor"] == {"run": "5", "deadline": NOW + site.settings.run_timeout}
        state["claims"][NAME] = claim
        later = NOW + site.settings.run_timeout + 1
        plan = make_plan(site, state, 8, seen, {"kind": "start", "instances": [NAME]}, later, "9", {NAME: "d"})
        assert [action.kind for action in plan.acts] == ["start"]

    def test_failures_of_the_future_do_not_count_for_ever(self) -> None:
        settings = Settings()
        future = tuple(Failure(NOW + YEARS, "server_1", "x") for _unused in range(5))
        for phase in ("running", "failed"):
            assert charges(Claim("server_1", 1, phase, failures=future, since=NOW), NOW, settings) == ()
        soon = (Failure(NOW + 1, "server_1", "x"),)
        assert charges(Claim("server_1", 1, "failed", failures=soon), NOW, settings) == soon

    def test_a_wait_until_then_is_over(self) -> None:
        crashes = [[NOW + YEARS, "server_1", "x"]] * 3
        state = self.state(phase="failed", until=NOW + YEARS, crashes=crashes, reason="it crashed")
        seen = {name: quiet_host(name) for name in SERVERS}
        plan = make_plan(small_site(items=1), state, 7, seen, {"kind": "reconcile"}, NOW, "8", {NAME: "d"})
        assert [action.kind for action in plan.acts] == ["start"]


def test_verdicts_by_themselves_know_no_monitor() -> None:
    state = small_state(wanted={NAME: STARTED}, claims={NAME: running("server_1", since=NOW - 5)})
    assert verdicts(small_site(items=1), state, {}, {}, NOW)["01"]["verdict"] == "operational"


def test_a_host_that_may_only_be_cut_off_says_what_may_live_twice() -> None:
    """From the campaign on booted hosts (B2): every item of a cut host lived twice, and nothing said so."""
    world = World(small_site(items=1))
    world.finish(world.begin("deploy"))
    cut(world, "server_1")
    document = status.status_document(world.site, world.state, 1, {}, {}, world.now)
    assert {h["host"]: h["left_behind"] for h in document["hosts"] if h["left_behind"]} == {"server_1": [NAME]}
    assert document["instances"][NAME]["left_behind"] == ["server_1"]
    assert "second copies may live there until it answers: %s" % NAME in " ".join(
        status_text.render_table(document, width=400).split())  # fmt: skip
    heal(world)
    document = status.status_document(world.site, world.state, 1, {}, {}, world.now)
    assert not any(host["left_behind"] for host in document["hosts"])
    world.hosts["server_1"].reachable = False
    assert world.commit(world.revision, down("server_1", world.now))
    world.finish(world.begin("confirm_down", host="server_1", force=True, confirm="server_1"))
    document = status.status_document(world.site, world.state, 1, {}, {}, world.now)
    assert not any(host["left_behind"] for host in document["hosts"])
