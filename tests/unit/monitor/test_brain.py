# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's brain, step by step: what is passed in, and the effects that it returns."""

from __future__ import annotations

import pytest

from monitor.judge.brain import LOOK_APART_SECONDS, SERVICES_APART_SECONDS, TOGETHER_SECONDS
from monitor.judge.effects import Reconcile, Send, Wake
from monitor.judge.health import Kind
from monitor.judge.hosts import Signal
from monitor.judge.schedule import FINISH_APART_SECONDS, RECONCILES_APART_SECONDS
from tests.unit.monitor.brain_alone import NAMES, WALL, Scene, planned
from tests.unit.monitor.watch_lists import common_bus, entry, health

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


def test_an_instance_that_was_stopped_to_be_tried_elsewhere_is_placed_at_once() -> None:
    scene = Scene(entry("scen2_srv_01"), entry("scen2_srv_02"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.turn(5.0)
    wanted = {"scen2_srv_01": "started", "scen2_srv_02": "stopped"}
    scene.show(now=5.5, wanted=wanted)
    came = {"scen2_srv_01": {"result": "stopped"}, "scen2_srv_02": {"result": "stopped"}}
    scene.run_over("run-1", planned(results=came), 5.5)
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


def test_an_intent_that_a_run_did_not_satisfy_is_sent_again_and_one_reconcile_is_requested() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.turn(5.0)
    scene.run_over("run-1", {}, 6.0, "it was killed")
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
    scene.run_over("run-1", planned(results={"scen2_srv_01": {"result": "running"}}), 6.0)
    scene.turn(6.0)
    assert len(scene.brain.intents) == 0 and len(scene.orders) == 1 and scene.reconciles == []


def test_an_effect_that_was_not_carried_out_is_returned_again() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.buses["scen2_srv_01", 1] = health(Kind.GONE, 5.0)
    scene.brain.schedule.soon("this", 0.0)
    scene.do(scene.brain.ask({"kind": "stop"}, "eve"))
    scene.line("server_1", Signal.FINE, 5.0)
    for now in (5.0, 6.0):
        sends = [effect for effect in scene.brain.turn(now, WALL + now) if isinstance(effect, Send)]
        assert [list(send.order) for send in sends] == [["intents"], ["request"]]
        assert scene.brain.reconcile_due(now, WALL + now) == [Reconcile("this", (), now)]
    for send in sends:
        scene.do(scene.brain.sent(send, "run-1"))
    scene.do(scene.brain.reconcile_begun(Reconcile("this", (), 6.0), begun=True))
    assert scene.brain.turn(7.0, WALL + 7.0) == [] and scene.brain.reconcile_due(7.0, WALL + 7.0) == []


def test_an_input_that_changes_nothing_has_no_effects() -> None:
    scene = Scene(entry("scen2_srv_01"))
    assert scene.brain.line_changed("server_1", Signal.FINE, "", 1.0) == []
    assert scene.brain.line_changed("server_1", Signal.DOUBT, "no answer", 2.0) == [Wake()]
    assert scene.brain.line_changed("no_such_host", Signal.LOST, "no answer", 2.0) == []
    assert scene.brain.program_ended("scen2_srv_01", 1, "a_gate", "ended with code 0", WALL) == []


# Programs other than the bus.


def test_a_program_that_ends_becomes_a_repair() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.do(scene.brain.program_ended("scen2_srv_01", 1, "data_processing", "ended with code 3", WALL + 5))
    scene.turn(5.0)
    [intent] = scene.intents
    assert (intent["what"], intent["programs"]) == ("repair", ["data_processing"])
    assert intent["why"] == "of scen2_srv_01 on server_1, data_processing ended with code 3"


def test_the_end_of_a_program_with_strategy_continue_only_leads_to_a_look() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.do(scene.brain.program_ended("scen2_srv_01", 1, "common_bus_interface", "was killed by a signal", WALL + 5))
    scene.turn(RECONCILES_APART_SECONDS)
    assert scene.reconciles == [], "it may be the first sign that its whole host is lost"
    assert scene.brain.next_time(RECONCILES_APART_SECONDS) == RECONCILES_APART_SECONDS + TOGETHER_SECONDS
    scene.turn(RECONCILES_APART_SECONDS + TOGETHER_SECONDS + 0.01)
    assert scene.orders == []
    assert [why for why, _out in scene.reconciles] == [
        "common_bus_interface of scen2_srv_01 on server_1 was killed by a signal"
    ]


@pytest.mark.parametrize(("epoch", "program"), [(2, "data_processing"), (1, "a_gate")])
def test_the_end_of_another_incarnation_or_of_a_gate_means_nothing(epoch: int, program: str) -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.do(scene.brain.program_ended("scen2_srv_01", epoch, program, "ended with code 0", WALL))
    scene.turn(60.0)
    assert scene.orders == [] and scene.reconciles == []


def test_a_repair_is_asked_for_once_and_what_it_did_not_do_is_left_to_a_reconcile() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.do(scene.brain.program_ended("scen2_srv_01", 1, "data_processing", "ended with code 3", WALL + 5))
    scene.turn(5.0)
    failed = {"scen2_srv_01": {"result": "refused", "reason": "server_1 is busy"}}
    scene.run_over("run-1", planned(results=failed), 6.0)
    for now in (6.0, 12.0, 60.0):
        scene.turn(now)
    assert len(scene.orders) == 1
    assert len(scene.reconciles) == 1


def test_the_end_of_a_program_is_forgotten_with_its_epoch() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.parked = False
    scene.do(scene.brain.program_ended("scen2_srv_01", 1, "data_processing", "ended with code 3", WALL + 5))
    scene.turn(5.0)
    scene.show(entry("scen2_srv_01", epoch=2), now=6.0, revision=2)
    scene.parked = True
    scene.turn(6.0)
    assert scene.orders == [] and scene.brain.exits == {}


# Reconciles.


def test_an_instance_that_waits_for_another_run_is_planned_again_after_that_run() -> None:
    busy = entry("scen2_srv_01", phase="starting", deadline=WALL + 30)
    scene = Scene(busy)
    scene.run_over("run-1", planned(plan={"waits": {"scen2_srv_01": WALL + 30}}), 5.0)
    scene.turn(29.0)
    assert scene.reconciles == []
    scene.show(entry("scen2_srv_01"), now=29.5, revision=2)
    scene.turn(29.0 + FINISH_APART_SECONDS)
    assert "is over, and something is left to do" in scene.reconciles[0][0]


def test_a_refusal_leads_to_a_look() -> None:
    scene = Scene(entry("scen2_srv_01"))
    refused = {"scen2_srv_01": {"result": "refused", "reason": "its service manager does not run"}}
    scene.run_over("run-1", planned(results=refused), 5.0)
    scene.turn(RECONCILES_APART_SECONDS)
    assert [why for why, _out in scene.reconciles] == ["scen2_srv_01: its service manager does not run"]


def test_one_reconcile_at_a_time() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.schedule.soon("this", 0.0)
    scene.turn(5.0)
    scene.brain.schedule.soon("that", 0.0)
    scene.turn(50.0)
    assert len(scene.reconciles) == 1
    scene.reconcile_over(planned(), 5.0)
    scene.turn(51.0)
    assert [why for why, _out in scene.reconciles] == ["this", "that"]


def test_the_reasons_of_a_lost_reconcile_are_kept() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.schedule.soon("server_2 answers again", 0.0)
    begun = []
    for second in range(120):
        scene.turn(float(second))
        if scene.brain.reconciling:
            begun.append(second)
            scene.reconcile_over({}, float(second))  # ended at its deadline, or broken
    assert {why for why, _out in scene.reconciles} == {"server_2 answers again"}
    assert 4 <= len(begun) <= 6, "later each time"


def test_a_reconcile_that_could_not_be_started_is_tried_again() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.can_reconcile = False
    scene.brain.schedule.soon("this", 0.0)
    scene.turn(5.0)
    scene.can_reconcile = True
    scene.turn(5.0 + SERVICES_APART_SECONDS - 0.1)
    assert len(scene.reconciles) == 1
    scene.turn(5.0 + SERVICES_APART_SECONDS)
    assert [why for why, _out in scene.reconciles] == ["this", "this"]


def test_a_host_service_that_is_silent_leads_to_a_reconcile_and_not_to_many() -> None:
    scene = Scene(services=[common_bus("server_1")])
    silent = health(Kind.GONE, 40.0)
    scene.services["common_data_bus", "server_1"] = silent
    scene.do(scene.brain.health_changed(("common_data_bus", "server_1"), silent, 40.0))
    scene.turn(40.0)
    scene.reconcile_over(planned(), 40.0)
    scene.do(scene.brain.health_changed(("common_data_bus", "server_1"), silent, 41.0))
    scene.turn(41.0 + LOOK_APART_SECONDS)
    assert len(scene.reconciles) == 1


# What people ask.


class TestAsks:
    def scene(self) -> Scene:
        scene = Scene(entry("scen2_srv_01"))
        request = {"kind": "stop", "instances": ["scen2_srv_01"], "who": "eve"}
        scene.ask(request, "eve")
        scene.turn(1.0)
        assert scene.orders == [("run-1", {"request": request})]
        return scene

    def test_one_is_answered_when_its_run_is_over(self) -> None:
        scene = self.scene()
        stopped = {"scen2_srv_01": {"result": "stopped"}}
        scene.run_over("run-1", planned(results=stopped, sentences=["stop ..."]), 2.0)
        content = {"ok": True, "said": ["stop ..."], "refused": False, "run": "7", "results": stopped}
        assert scene.answers == [("eve", content)]
        scene.turn(3.0)
        assert len(scene.orders) == 1 and not scene.brain.asks

    def test_a_refusal_is_said_and_not_ok(self) -> None:
        scene = self.scene()
        plan = {"actions": [{"action": "refuse", "reason": "there is no such thing"}]}
        scene.run_over("run-1", planned(plan=plan, sentences=["refuse ..."]), 2.0)
        [(_who, answer)] = scene.answers
        assert (answer["ok"], answer["refused"], answer["said"]) == (False, True, ["there is no such thing"])

    def test_a_failure_is_not_ok(self) -> None:
        scene = self.scene()
        failed = {"scen2_srv_01": {"result": "failed", "reason": "it does not end"}}
        scene.run_over("run-1", planned(results=failed, outcome=["scen2_srv_01 failed"]), 2.0)
        [(_who, answer)] = scene.answers
        assert (answer["ok"], answer["refused"], answer["said"]) == (False, False, ["scen2_srv_01 failed"])

    def test_a_run_that_was_lost_before_it_planned_is_replaced_once(self) -> None:
        scene = self.scene()
        scene.run_over("run-1", {}, 2.0, "it was killed")
        assert scene.answers == []
        scene.turn(2.0)
        assert len(scene.orders) == 2
        scene.run_over("run-2", {}, 3.0, "it was killed")
        assert [(a["ok"], a["said"]) for _who, a in scene.answers] == [(False, ["the run was lost: it was killed"])]
        scene.turn(4.0)
        assert len(scene.orders) == 2 and not scene.brain.asks

    def test_one_that_was_lost_after_it_committed_is_not_sent_again(self) -> None:
        scene = self.scene()
        scene.run_over("run-1", planned(), 2.0, "it was killed")
        assert [a["ok"] for _who, a in scene.answers] == [False]
        scene.turn(3.0)
        assert len(scene.orders) == 1

    def test_they_wait_for_a_parked_run_and_go_one_by_one(self) -> None:
        scene = Scene()
        scene.parked = False
        for kind in ("stop", "start"):
            scene.ask({"kind": kind}, kind)
        scene.turn(1.0)
        scene.parked = True
        scene.turn(2.0)
        scene.turn(2.1)
        scene.turn(2.2)
        assert [order["request"]["kind"] for _run, order in scene.orders] == ["stop", "start"]
        scene.run_over("run-2", planned(), 3.0)
        assert [waiter for waiter, _content in scene.answers] == ["start"]
        assert [ask.request["kind"] for ask in scene.brain.asks] == ["stop"]

    def test_they_are_carried_out_in_a_storm_too(self) -> None:
        scene = Scene()
        for name in NAMES[:3]:
            scene.lose(10.0, name)
        scene.turn(20.0)
        assert scene.brain.hosts.storm
        scene.ask({"kind": "confirm_down", "host": "server_1"})
        scene.turn(21.0)
        assert [order["request"]["kind"] for _run, order in scene.orders] == ["confirm_down"]
