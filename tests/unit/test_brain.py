# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's brain, step by step: what it is told, and what it has its hands do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from monitor.brain import LOOK_APART, SERVICES_APART, Brain
from monitor.decide import BusKey, ServiceKey
from monitor.health import Health, Kind, Result
from monitor.hosts import DOWN, SUSPECT, Signal
from monitor.intents import Intents
from monitor.schedule import APART, FINISH_APART, Schedule
from monitor.watch import Host, Instance, Watch
from tests.unit.monitor_data import common_bus, entry, health, watch

WALL = 1_700_000_000.0
NAMES = ("server_1", "server_2", "server_3", "console_1", "console_2")
PROGRAMS = {"scen2_srv": {"data_processing": "restart_process", "common_bus_interface": "continue"}}
Result_ = dict[str, Any]


def seen(*instances: Instance, **more: Any) -> Watch:
    more.setdefault("hosts", dict.fromkeys(NAMES, "up"))
    by = more.pop("by", "")
    machines = {name: Host(name, by=by) for name in NAMES}
    return watch(*instances, machines=machines, programs=PROGRAMS, observe_interval=0.0, host_down_after=2.0, **more)


class Scene:
    """A brain whose hands note what they are to do."""

    def __init__(self, *instances: Instance, lines: bool = True, **more: Any) -> None:
        self.orders: list[tuple[str, Mapping[str, Any]]] = []
        self.reconciles: list[tuple[str, list[str]]] = []
        self.said: list[tuple[str, str]] = []
        self.parked = self.can_reconcile = True
        self.buses: dict[BusKey, Health] = {}
        self.services: dict[ServiceKey, Health] = {}
        self.brain = Brain(self, self.buses, self.services, Intents("t"), Schedule(0.0))
        self.show(*instances, **more)
        for name in NAMES if lines else ():
            self.brain.line_changed(name, Signal.FINE, "", 0.0)

    def show(self, *instances: Instance, now: float = 0.0, **more: Any) -> None:
        self.brain.take_watch(seen(*instances, **more), now)

    def turn(self, now: float) -> None:
        self.brain.turn(now, WALL + now)

    def lose(self, at: float, *names: str) -> None:
        for name in names:
            self.brain.line_changed(name, Signal.LOST, "%s is silent" % name, at)

    def is_lost(self, at: float, host: str, instance: str, epoch: int = 1) -> None:
        """Its line and its bus fall silent; it had answered until then."""
        self.brain.line_changed(host, Signal.FINE, "", at)
        self.lose(at, host)
        self.buses[instance, epoch] = health(Kind.UNREACHABLE, at)

    @property
    def intents(self) -> list[Mapping[str, Any]]:
        return [intent for _run, order in self.orders for intent in order.get("intents", ())]

    # The hands.

    def send(self, order: Mapping[str, Any]) -> str | None:
        if not self.parked:
            return None
        self.orders.append(("run-%d" % (len(self.orders) + 1), order))
        return self.orders[-1][0]

    def reconcile(self, why: str, leave_out: list[str]) -> bool:
        self.reconciles.append((why, leave_out))
        return self.can_reconcile

    def say(self, event: str, why: str = "", **facts: Any) -> None:
        self.said.append((event, why))


def planned(**more: Any) -> Result_:
    plan = {"run": "7", "actions": [], "intents": [], "waits": {}, **more.pop("plan", {})}
    return {"plan": plan, "results": {}, **more}


# Buses.


def test_a_bus_that_crashes_becomes_one_intent_and_one_run() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.turn(5.0)
    scene.turn(5.1)
    [(run, order)] = scene.orders
    assert [(i["instance"], i["what"], i["at"]) for i in order["intents"]] == [("scen2_srv_01", "restart", WALL + 5.0)]
    assert "suspects" not in order
    assert ("run", "1 intents sent") in scene.said and run == "run-1"


def test_what_was_stopped_to_be_tried_elsewhere_is_placed_at_once() -> None:
    scene = Scene(entry("scen2_srv_01"), entry("scen2_srv_02"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.turn(5.0)
    wanted = {"scen2_srv_01": "started", "scen2_srv_02": "stopped"}
    scene.show(now=5.5, wanted=wanted)
    came = {"scen2_srv_01": {"result": "stopped"}, "scen2_srv_02": {"result": "stopped"}}
    scene.brain.run_over("run-1", planned(results=came), "", 5.5)
    scene.turn(5.6)
    [(why, _out)] = scene.reconciles
    assert "scen2_srv_01" in why and "scen2_srv_02" not in why


def test_an_intent_waits_until_a_run_is_parked() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.parked = False
    scene.turn(5.0)
    assert scene.orders == []
    scene.parked = True
    scene.turn(9.0)
    assert len(scene.intents) == 1


def test_what_a_run_did_not_do_is_sent_again_and_a_reconcile_is_asked_for_once() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.turn(5.0)
    scene.brain.run_over("run-1", {}, "it was killed", 6.0)
    scene.turn(6.0)
    assert len(scene.orders) == 1, "not at once"
    due = scene.brain.next_time(6.0)
    assert due is not None
    scene.turn(due)
    assert len(scene.orders) == 2
    assert [why for why, _out in scene.reconciles] == [
        "run run-1 did not do it: the internal bus of scen2_srv_01 on server_1 crashed: because"
    ]


def test_a_new_epoch_in_the_watch_list_satisfies_it() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.turn(5.0)
    scene.show(entry("scen2_srv_01", epoch=2, phase="starting"), now=5.2, revision=2)
    scene.brain.run_over("run-1", planned(results={"scen2_srv_01": {"result": "running"}}), "", 6.0)
    scene.turn(6.0)
    assert len(scene.brain.intents) == 0 and len(scene.orders) == 1 and scene.reconciles == []


# Programs other than the bus.


def test_a_program_that_ends_becomes_a_repair() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.program_ended("scen2_srv_01", 1, "data_processing", "ended with code 3", WALL + 5)
    scene.turn(5.0)
    [intent] = scene.intents
    assert (intent["what"], intent["programs"]) == ("repair", ["data_processing"])
    assert intent["why"] == "of scen2_srv_01 on server_1, data_processing ended with code 3"


def test_one_whose_strategy_is_continue_only_has_somebody_look() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.program_ended("scen2_srv_01", 1, "common_bus_interface", "was killed by a signal", WALL + 5)
    scene.turn(APART)
    assert scene.orders == []
    assert [why for why, _out in scene.reconciles] == [
        "common_bus_interface of scen2_srv_01 on server_1 was killed by a signal"
    ]


@pytest.mark.parametrize(("epoch", "program"), [(2, "data_processing"), (1, "a_gate")])
def test_the_end_of_another_incarnation_or_of_a_gate_means_nothing(epoch: int, program: str) -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.program_ended("scen2_srv_01", epoch, program, "ended with code 0", WALL)
    scene.turn(60.0)
    assert scene.orders == [] and scene.reconciles == []


def test_a_repair_is_asked_for_once_and_what_it_did_not_do_is_left_to_a_reconcile() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.program_ended("scen2_srv_01", 1, "data_processing", "ended with code 3", WALL + 5)
    scene.turn(5.0)
    failed = {"scen2_srv_01": {"result": "refused", "reason": "server_1 is busy"}}
    scene.brain.run_over("run-1", planned(results=failed), "", 6.0)
    for now in (6.0, 12.0, 60.0):
        scene.turn(now)
    assert len(scene.orders) == 1
    assert len(scene.reconciles) == 1


def test_the_end_of_a_program_is_forgotten_with_its_epoch() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.parked = False
    scene.brain.program_ended("scen2_srv_01", 1, "data_processing", "ended with code 3", WALL + 5)
    scene.turn(5.0)
    scene.show(entry("scen2_srv_01", epoch=2), now=6.0, revision=2)
    scene.parked = True
    scene.turn(6.0)
    assert scene.orders == [] and scene.brain.exits == {}


# Hosts.


def test_a_host_with_two_lost_signals_is_evacuated_with_the_time_of_the_first_one() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.is_lost(10.0, "server_1", "scen2_srv_01")
    scene.turn(10.0)
    assert scene.orders == []
    assert scene.brain.next_time(10.0) == 12.0
    scene.turn(12.0)
    [intent] = scene.intents
    assert (intent["host"], intent["what"], intent["began"]) == ("server_1", "evacuate", WALL + 10.0)


def test_what_happens_on_a_host_that_is_silent_waits_for_its_verdict() -> None:
    scene = Scene(entry("scen2_srv_01"), entry("scen2_srv_02"))
    scene.lose(10.0, "server_1")
    scene.buses["scen2_srv_01", 1] = health(Kind.MISSED, 8.0, times=3)
    scene.buses["scen2_srv_02", 1] = health(Kind.ANSWERED, 10.0)
    scene.turn(10.5)
    assert scene.brain.verdicts["server_1"].state == SUSPECT
    assert scene.orders == []
    scene.brain.line_changed("server_1", Signal.FINE, "", 11.0)
    scene.turn(11.0)
    assert [i["instance"] for i in scene.intents] == ["scen2_srv_01"]


def test_suspects_ride_along_with_other_intents() -> None:
    scene = Scene(entry("scen2_srv_01"), entry("scen2_srv_02", host="server_2"))
    scene.lose(10.0, "server_1")
    scene.buses["scen2_srv_02", 1] = health(Kind.GONE, 10.0)
    scene.turn(10.0)
    [(_run, order)] = scene.orders
    assert order["suspects"] == {"server_1": "server_1 is silent"}


def test_suspects_ride_along_with_what_people_ask() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.lose(10.0, "server_1")
    scene.brain.ask({"kind": "start", "instances": ["scen2_srv_02"]}, lambda _answer: None)
    scene.turn(10.0)
    [(_run, order)] = scene.orders
    assert order["request"]["kind"] == "start"
    assert order["suspects"] == {"server_1": "server_1 is silent"}


def test_a_host_that_came_back_while_it_was_noted_as_down_is_looked_at() -> None:
    scene = Scene(entry("scen2_srv_01"))
    noted = {"hosts": {**dict.fromkeys(NAMES, "up"), "server_2": "down"}, "now": 20.0}
    scene.show(entry("scen2_srv_01"), by="eve", **noted)
    scene.turn(20.0)
    assert scene.reconciles == [], "a person knows better than the line"
    scene.show(entry("scen2_srv_01"), now=21.0)
    scene.show(entry("scen2_srv_01"), by="monitor", **noted)
    scene.turn(22.0)
    assert [why for why, _out in scene.reconciles] == ["server_2 answers: it is looked at before it is used"]


def test_a_host_without_its_service_manager_is_looked_at_once_what_was_there_is_moved() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.line_changed("console_1", Signal.GONE, "the service manager of console_1 is gone", 10.0)
    scene.turn(12.5)
    down = {"hosts": {**dict.fromkeys(NAMES, "up"), "console_1": "down"}, "by": "monitor"}
    scene.show(entry("scen2_srv_01"), now=12.6, **down)
    scene.turn(12.6)
    assert scene.reconciles == []
    for now in (12.7, 13.7):
        scene.brain.run_over("run-1", planned(), "", now)
        scene.turn(now)
        scene.brain.reconciling = False
    assert scene.reconciles == [("console_1: the service manager of console_1 is gone", [])]


def test_a_host_that_a_run_just_reached_is_not_taken_for_down_on_older_signs() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.line_changed("console_1", Signal.GONE, "the service manager of console_1 is gone", 10.0)
    scene.turn(12.5)
    assert [i["host"] for i in scene.intents] == ["console_1"]
    scene.show(entry("scen2_srv_01"), now=12.6, hosts={**dict.fromkeys(NAMES, "up"), "console_1": "down"}, by="monitor")
    scene.brain.run_over("run-1", planned(), "", 12.7)
    scene.show(entry("scen2_srv_01"), now=20.0)
    scene.turn(20.0)
    assert scene.brain.verdicts["console_1"].state == SUSPECT
    assert len(scene.intents) == 1


def test_one_lost_signal_has_a_run_look_once() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.lose(10.0, "server_1")
    for now in (10.0, 12.5, 13.0, 14.0):
        scene.turn(now)
        scene.brain.reconciling = False
    assert [why for why, _out in scene.reconciles] == ["server_1: server_1 is silent"]


def test_what_that_run_finds_makes_the_host_down() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.lose(10.0, "server_1")
    scene.turn(10.0)
    scene.turn(12.5)
    found = planned(unreachable={"server_1": "no answer on port 22"}, answered=["server_2"])
    scene.brain.reconcile_over(found, 12.5)
    scene.turn(16.0)
    assert scene.brain.verdicts["server_1"].state == DOWN
    assert [i["host"] for i in scene.intents] == ["server_1"]


def test_a_run_that_began_before_the_loss_says_nothing_about_it() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.lose(10.0, "server_1")
    scene.brain.reconcile_over(planned(unreachable={"server_1": "no answer on port 22"}), 5.0)
    scene.turn(60.0)
    assert scene.brain.verdicts["server_1"].state == SUSPECT
    assert scene.orders == []


def test_a_bus_that_misses_answers_makes_its_host_no_longer_lost_than_that() -> None:
    scene = Scene(entry("scen2_srv_01"), lines=False)
    known = Health(0.0, failures=3, interval=1.0, timeout=1.0)
    known.note(Result(Kind.ANSWERED, 1.0, latency=0.001))
    scene.buses["scen2_srv_01", 1] = known
    scene.turn(900.0)
    for at in (901.0, 902.0):
        known.note(Result(Kind.MISSED, at, "no answer"))
    scene.turn(902.0)
    verdict = scene.brain.verdicts["server_1"]
    assert (verdict.state, verdict.since) == (SUSPECT, 902.0)


@pytest.mark.parametrize(("kind", "state"), [(Kind.UNREACHABLE, DOWN), (Kind.MISSED, SUSPECT)])
def test_silence_of_the_whole_machine_counts_from_its_last_answer(kind: Kind, state: str) -> None:
    """Power loss at 10.0: the line answered last at 9.9, and two questions and the bus's connection got no answer."""
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.line_changed("server_1", Signal.FINE, "", 9.9)
    scene.brain.line_changed("server_1", Signal.DOUBT, "no answer", 11.9)
    scene.lose(12.85, "server_1")
    scene.buses["scen2_srv_01", 1] = health(kind, 10.5, times=3)
    scene.turn(12.85)
    assert scene.brain.verdicts["server_1"].state == SUSPECT
    due = scene.brain.next_time(12.86)
    assert due is not None and due < 13.0
    scene.turn(due)
    assert scene.brain.verdicts["server_1"].state == state


def test_a_bus_that_hangs_alone_on_a_host_without_a_line_is_restarted_once_a_run_got_there() -> None:
    scene = Scene(entry("scen2_srv_01"), lines=False)
    scene.buses["scen2_srv_01", 1] = health(Kind.MISSED, 8.0, times=3)
    scene.turn(10.0)
    scene.turn(13.0)
    assert scene.orders == [] and len(scene.reconciles) == 1
    scene.brain.reconcile_over(planned(answered=["server_1"]), 13.0)
    scene.turn(14.0)
    assert [i["what"] for i in scene.intents] == ["restart"]


def test_runs_leave_out_hosts_that_are_believed_down_and_silent() -> None:
    scene = Scene(hosts={**dict.fromkeys(NAMES, "up"), "server_1": "down", "server_2": "down", "server_3": "down"})
    scene.lose(1.0, "server_1")
    scene.brain.line_changed("server_2", Signal.GONE, "its service manager is gone", 1.0)
    assert scene.brain.left_out() == ["server_1"], "one that is there without its service manager needs a run"
    scene.brain.line_changed("server_1", Signal.FINE, "", 2.0)
    assert scene.brain.left_out() == []


def test_a_host_without_a_line_that_is_believed_down_is_left_out_and_looked_at_now_and_then() -> None:
    scene = Scene(hosts={**dict.fromkeys(NAMES, "up"), "server_1": "down"}, lines=False)
    scene.turn(1.0)
    assert scene.brain.left_out() == [], "nobody has looked yet"
    silent = planned(unreachable={"server_1": "no answer on port 22"})
    for now in (10.0, 12.0, 17.0):
        scene.brain.schedule.soon("somebody asks", 0.0)
        scene.turn(now)
        scene.brain.reconcile_over(silent, now)
        scene.turn(now + 0.1)
    assert scene.brain.left_out() == ["server_1"] and scene.brain.left_out(asked=True) == []
    scene.brain.schedule.soon("somebody asks", 0.0)
    scene.turn(20.0)
    assert [out for _why, out in scene.reconciles[-4:]] == [[], [], [], ["server_1"]]
    scene.brain.reconcile_over(planned(), 20.0)
    scene.turn(32.0)
    assert scene.reconciles[-1] == ("server_1: no answer on port 22", [])


def test_a_host_that_runs_do_not_reach_is_not_looked_at_again_and_again() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.schedule.soon("somebody asks", 0.0)
    for second in range(600):
        scene.turn(float(second))
        if scene.brain.reconciling:
            scene.brain.reconcile_over(planned(unreachable={"server_2": "no answer on port 22"}), float(second))
    assert len(scene.reconciles) < 12


@pytest.mark.parametrize("back", [Signal.FINE, Signal.GONE])
def test_a_host_that_shows_itself_again_is_looked_at_at_once(back: Signal) -> None:
    scene = Scene(hosts={**dict.fromkeys(NAMES, "up"), "server_1": "down"}, lines=False)
    scene.lose(1.0, "server_1")
    scene.turn(2.0)
    assert scene.reconciles == []
    scene.brain.line_changed("server_1", back, "", 3.0)
    scene.turn(3.0)
    assert scene.reconciles == [("server_1 answers again: it is looked at before it is used", [])]


def test_in_a_storm_nothing_is_done_and_then_it_is() -> None:
    scene = Scene(entry("scen2_srv_01"), entry("scen2_srv_02", host="server_2"))
    for name in NAMES[:3]:
        scene.lose(10.0, name)
    scene.buses["scen2_srv_02", 1] = scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 10.0)
    scene.brain.schedule.soon("somebody asks", 0.0)
    for now in (10.0, 15.0, 60.0):
        scene.turn(now)
    assert (scene.orders, scene.reconciles) == ([], [])
    assert [event for event, _why in scene.said if event.startswith("storm")] == ["storm"]
    for name in NAMES[:3]:
        scene.brain.line_changed(name, Signal.FINE, "", 61.0)
    scene.turn(61.0)
    assert {i["instance"] for i in scene.intents} == {"scen2_srv_01", "scen2_srv_02"}
    assert len(scene.reconciles) == 1
    assert ("storm over", "enough hosts answer again") in scene.said


# Reconciles.


def test_what_a_plan_waits_for_is_planned_again_once_nobody_is_at_work_on_it() -> None:
    busy = entry("scen2_srv_01", phase="starting", deadline=WALL + 30)
    scene = Scene(busy)
    scene.brain.run_over("run-1", planned(plan={"waits": {"scen2_srv_01": WALL + 30}}), "", 5.0)
    scene.turn(29.0)
    assert scene.reconciles == []
    scene.show(entry("scen2_srv_01"), now=29.5, revision=2)
    scene.turn(29.0 + FINISH_APART)
    assert "is over, and something is left to do" in scene.reconciles[0][0]


def test_a_refusal_has_somebody_look() -> None:
    scene = Scene(entry("scen2_srv_01"))
    refused = {"scen2_srv_01": {"result": "refused", "reason": "its service manager does not run"}}
    scene.brain.run_over("run-1", planned(results=refused), "", 5.0)
    scene.turn(APART)
    assert [why for why, _out in scene.reconciles] == ["scen2_srv_01: its service manager does not run"]


def test_one_reconcile_at_a_time() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.schedule.soon("this", 0.0)
    scene.turn(5.0)
    scene.brain.schedule.soon("that", 0.0)
    scene.turn(50.0)
    assert len(scene.reconciles) == 1
    scene.brain.reconcile_over(planned(), 5.0)
    scene.turn(51.0)
    assert [why for why, _out in scene.reconciles] == ["this", "that"]


def test_what_a_reconcile_was_for_is_not_lost_with_it() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.schedule.soon("server_2 answers again", 0.0)
    begun = []
    for second in range(120):
        scene.turn(float(second))
        if scene.brain.reconciling:
            begun.append(second)
            scene.brain.reconcile_over({}, float(second))  # ended at its deadline, or broken
    assert {why for why, _out in scene.reconciles} == {"server_2 answers again"}
    assert 4 <= len(begun) <= 6, "later each time"


def test_a_reconcile_that_could_not_be_started_is_tried_again() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.can_reconcile = False
    scene.brain.schedule.soon("this", 0.0)
    scene.turn(5.0)
    scene.can_reconcile = True
    scene.turn(5.0 + SERVICES_APART - 0.1)
    assert len(scene.reconciles) == 1
    scene.turn(5.0 + SERVICES_APART)
    assert [why for why, _out in scene.reconciles] == ["this", "this"]


def test_a_host_service_that_is_silent_leads_to_a_reconcile_and_not_to_many() -> None:
    scene = Scene(services=[common_bus("server_1")])
    silent = health(Kind.GONE, 40.0)
    scene.services["common_data_bus", "server_1"] = silent
    scene.brain.health_changed(("common_data_bus", "server_1"), silent, 40.0)
    scene.turn(40.0)
    scene.brain.reconcile_over(planned(), 40.0)
    scene.brain.health_changed(("common_data_bus", "server_1"), silent, 41.0)
    scene.turn(41.0 + LOOK_APART)
    assert len(scene.reconciles) == 1


# What people ask.


class TestAsks:
    def scene(self) -> tuple[Scene, list[dict[str, Any]]]:
        scene, answers = Scene(entry("scen2_srv_01")), []  # type: tuple[Scene, list[dict[str, Any]]]
        request = {"kind": "stop", "instances": ["scen2_srv_01"], "who": "eve"}
        scene.brain.ask(request, answers.append)
        scene.turn(1.0)
        assert scene.orders == [("run-1", {"request": request})]
        return scene, answers

    def test_one_is_answered_when_its_run_is_over(self) -> None:
        scene, answers = self.scene()
        stopped = {"scen2_srv_01": {"result": "stopped"}}
        scene.brain.run_over("run-1", planned(results=stopped, sentences=["stop ..."]), "", 2.0)
        assert answers == [{"ok": True, "said": ["stop ..."], "refused": False, "run": "7", "results": stopped}]
        scene.turn(3.0)
        assert len(scene.orders) == 1 and not scene.brain.asks

    def test_a_refusal_is_said_and_not_ok(self) -> None:
        scene, answers = self.scene()
        plan = {"actions": [{"action": "refuse", "reason": "there is no such thing"}]}
        scene.brain.run_over("run-1", planned(plan=plan, sentences=["refuse ..."]), "", 2.0)
        assert [(a["ok"], a["refused"], a["said"]) for a in answers] == [(False, True, ["there is no such thing"])]

    def test_a_failure_is_not_ok(self) -> None:
        scene, answers = self.scene()
        failed = {"scen2_srv_01": {"result": "failed", "reason": "it does not end"}}
        scene.brain.run_over("run-1", planned(results=failed, outcome=["scen2_srv_01 failed"]), "", 2.0)
        assert [(a["ok"], a["refused"], a["said"]) for a in answers] == [(False, False, ["scen2_srv_01 failed"])]

    def test_a_run_that_was_lost_before_it_planned_is_replaced_once(self) -> None:
        scene, answers = self.scene()
        scene.brain.run_over("run-1", {}, "it was killed", 2.0)
        assert answers == []
        scene.turn(2.0)
        assert len(scene.orders) == 2
        scene.brain.run_over("run-2", {}, "it was killed", 3.0)
        assert [(a["ok"], a["said"]) for a in answers] == [(False, ["the run was lost: it was killed"])]
        scene.turn(4.0)
        assert len(scene.orders) == 2 and not scene.brain.asks

    def test_one_that_was_lost_after_it_committed_is_not_sent_again(self) -> None:
        scene, answers = self.scene()
        scene.brain.run_over("run-1", planned(), "it was killed", 2.0)
        assert [a["ok"] for a in answers] == [False]
        scene.turn(3.0)
        assert len(scene.orders) == 1

    def test_they_wait_for_a_parked_run_and_go_one_by_one(self) -> None:
        scene, answers = Scene(), []  # type: tuple[Scene, list[dict[str, Any]]]
        scene.parked = False
        for kind in ("stop", "start"):
            scene.brain.ask({"kind": kind}, answers.append)
        scene.turn(1.0)
        scene.parked = True
        scene.turn(2.0)
        scene.turn(2.1)
        scene.turn(2.2)
        assert [order["request"]["kind"] for _run, order in scene.orders] == ["stop", "start"]
        scene.brain.run_over("run-2", planned(), "", 3.0)
        assert len(answers) == 1 and [ask.request["kind"] for ask in scene.brain.asks] == ["stop"]

    def test_they_are_carried_out_in_a_storm_too(self) -> None:
        scene, answers = Scene(), []  # type: tuple[Scene, list[dict[str, Any]]]
        for name in NAMES[:3]:
            scene.lose(10.0, name)
        scene.turn(20.0)
        assert scene.brain.hosts.storm
        scene.brain.ask({"kind": "confirm_down", "host": "server_1"}, answers.append)
        scene.turn(21.0)
        assert [order["request"]["kind"] for _run, order in scene.orders] == ["confirm_down"]
