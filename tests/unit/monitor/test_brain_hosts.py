# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The brain's effects when hosts fall silent, fail and return."""

from __future__ import annotations

import pytest

from monitor.core.model.words import DOWN, SUSPECT
from monitor.judge.health import Health, Kind, Result
from monitor.judge.hosts import Signal
from tests.unit.monitor.brain_alone import NAMES, WALL, Scene, planned
from tests.unit.monitor.watch_lists import entry, health


def test_a_host_with_two_lost_signals_is_evacuated_with_the_time_of_the_first_one() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.is_lost(10.0, "server_1", "scen2_srv_01")
    scene.turn(10.0)
    assert scene.orders == []
    assert scene.brain.next_time(10.0) == 12.0
    scene.turn(12.0)
    [intent] = scene.intents
    assert (intent["host"], intent["what"], intent["began"]) == ("server_1", "evacuate", WALL + 10.0)


def test_events_on_a_silent_host_wait_for_the_verdict_about_it() -> None:
    scene = Scene(entry("scen2_srv_01"), entry("scen2_srv_02"))
    scene.lose(10.0, "server_1")
    scene.buses["scen2_srv_01", 1] = health(Kind.MISSED, 8.0, times=3)
    scene.buses["scen2_srv_02", 1] = health(Kind.ANSWERED, 10.0)
    scene.turn(10.5)
    assert scene.brain.verdicts["server_1"].state == SUSPECT
    assert scene.orders == []
    scene.line("server_1", Signal.FINE, 11.0)
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
    scene.ask({"kind": "start", "instances": ["scen2_srv_02"]})
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
    assert [why for why, _out in scene.reconciles] == ["server_2 answers: it is observed before it is used"]


def test_a_host_without_its_service_manager_is_looked_at_once_what_was_there_is_moved() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.line("console_1", Signal.GONE, 10.0, "the service manager of console_1 is gone")
    scene.turn(12.5)
    down = {"hosts": {**dict.fromkeys(NAMES, "up"), "console_1": "down"}, "by": "monitor"}
    scene.show(entry("scen2_srv_01"), now=12.6, **down)
    scene.turn(12.6)
    assert scene.reconciles == []
    for now in (12.7, 13.7):
        scene.run_over("run-1", planned(), now)
        scene.turn(now)
        scene.brain.reconciling = False
    assert scene.reconciles == [("console_1: the service manager of console_1 is gone", [])]


def test_a_host_that_a_run_just_reached_is_not_taken_for_down_on_older_signs() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.line("console_1", Signal.GONE, 10.0, "the service manager of console_1 is gone")
    scene.turn(12.5)
    assert [i["host"] for i in scene.intents] == ["console_1"]
    scene.show(entry("scen2_srv_01"), now=12.6, hosts={**dict.fromkeys(NAMES, "up"), "console_1": "down"}, by="monitor")
    scene.run_over("run-1", planned(), 12.7)
    scene.show(entry("scen2_srv_01"), now=20.0)
    scene.turn(20.0)
    assert scene.brain.verdicts["console_1"].state == SUSPECT
    assert len(scene.intents) == 1


def test_one_lost_signal_leads_to_one_run_that_looks() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.lose(10.0, "server_1")
    for now in (10.0, 12.5, 13.0, 14.0):
        scene.turn(now)
        scene.brain.reconciling = False
    assert [why for why, _out in scene.reconciles] == ["server_1: server_1 is silent"]


def test_the_result_of_that_run_makes_the_host_down() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.lose(10.0, "server_1")
    scene.turn(10.0)
    scene.turn(12.5)
    found = planned(unreachable={"server_1": "no answer on port 22"}, answered=["server_2"])
    scene.reconcile_over(found, 12.5)
    scene.turn(16.0)
    assert scene.brain.verdicts["server_1"].state == DOWN
    assert [i["host"] for i in scene.intents] == ["server_1"]


def test_a_run_that_began_before_the_loss_says_nothing_about_it() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.lose(10.0, "server_1")
    scene.reconcile_over(planned(unreachable={"server_1": "no answer on port 22"}), 5.0)
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
    scene.line("server_1", Signal.FINE, 9.9)
    scene.heard(9.9, "scen2_srv_01")
    scene.line("server_1", Signal.DOUBT, 11.9, "no answer")
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
    scene.reconcile_over(planned(answered=["server_1"]), 13.0)
    scene.turn(14.0)
    assert [i["what"] for i in scene.intents] == ["restart"]


def test_runs_leave_out_hosts_that_are_believed_down_and_silent() -> None:
    scene = Scene(hosts={**dict.fromkeys(NAMES, "up"), "server_1": "down", "server_2": "down", "server_3": "down"})
    scene.lose(1.0, "server_1")
    scene.line("server_2", Signal.GONE, 1.0, "its service manager is gone")
    assert scene.brain.left_out() == ["server_1"], "one that is there without its service manager needs a run"
    scene.line("server_1", Signal.FINE, 2.0)
    assert scene.brain.left_out() == []


def test_a_host_without_a_line_that_is_believed_down_is_left_out_and_looked_at_now_and_then() -> None:
    scene = Scene(hosts={**dict.fromkeys(NAMES, "up"), "server_1": "down"}, lines=False)
    scene.turn(1.0)
    assert scene.brain.left_out() == [], "nobody has looked yet"
    silent = planned(unreachable={"server_1": "no answer on port 22"})
    for now in (10.0, 12.0, 17.0):
        scene.brain.schedule.soon("somebody asks", 0.0)
        scene.turn(now)
        scene.reconcile_over(silent, now)
        scene.turn(now + 0.1)
    assert scene.brain.left_out() == ["server_1"] and scene.brain.left_out(asked=True) == []
    scene.brain.schedule.soon("somebody asks", 0.0)
    scene.turn(20.0)
    assert [out for _why, out in scene.reconciles[-4:]] == [[], [], [], ["server_1"]]
    scene.reconcile_over(planned(), 20.0)
    scene.turn(32.0)
    assert scene.reconciles[-1] == ("server_1: no answer on port 22", [])


def test_a_host_that_runs_do_not_reach_is_not_looked_at_again_and_again() -> None:
    scene = Scene(entry("scen2_srv_01"))
    scene.brain.schedule.soon("somebody asks", 0.0)
    for second in range(600):
        scene.turn(float(second))
        if scene.brain.reconciling:
            scene.reconcile_over(planned(unreachable={"server_2": "no answer on port 22"}), float(second))
    assert len(scene.reconciles) < 12


@pytest.mark.parametrize("back", [Signal.FINE, Signal.GONE])
def test_a_host_that_shows_itself_again_is_looked_at_at_once(back: Signal) -> None:
    scene = Scene(hosts={**dict.fromkeys(NAMES, "up"), "server_1": "down"}, lines=False)
    scene.lose(1.0, "server_1")
    scene.turn(2.0)
    assert scene.reconciles == []
    scene.line("server_1", back, 3.0)
    scene.turn(3.0)
    assert scene.reconciles == [("server_1 answers again: it is observed before it is used", [])]


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
        scene.line(name, Signal.FINE, 61.0)
    scene.turn(61.0)
    scene.turn(61.1)  # what crashed together goes together
    assert {i["instance"] for i in scene.intents} == {"scen2_srv_01", "scen2_srv_02"}
    assert len(scene.reconciles) == 1
    assert ("storm over", "enough hosts answer again") in scene.said
