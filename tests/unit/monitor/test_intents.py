# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue: an intent stays until the watch list shows it satisfied, even when the run that had it is lost."""

from __future__ import annotations

from dataclasses import replace

from monitor.core.model.words import BUS_CRASH, GATE_OPEN, HOST_DOWN, PROGRAM_EXIT
from monitor.judge.intents import DELAYS, Intents
from monitor.judge.wishes import Wish
from tests.unit.monitor.watch_lists import entry, watch

CRASHED = Wish("scen2_srv_01", 1, BUS_CRASH, "restart", "its bus crashed")
OPEN = Wish("scen2_srv_01", 1, GATE_OPEN, "continue", "the common bus answers")
EVACUATE = Wish("", 0, HOST_DOWN, "evacuate", "server_1 is silent", host="server_1", age=4.0)
REPAIR = Wish("scen2_srv_01", 1, PROGRAM_EXIT, "repair", "a program ended", programs=("data_processing",))
RUNNING = watch(entry("scen2_srv_01"))


def queue(*wishes: Wish) -> Intents:
    intents = Intents("t")
    intents.offer(wishes, wall=1700000000.0)
    return intents


def test_a_wish_becomes_an_intent_with_id_and_time() -> None:
    [intent] = queue(CRASHED).ready(RUNNING, 0.0)
    assert intent.to_json() == {
        "id": "t-1",
        "instance": "scen2_srv_01",
        "epoch": 1,
        "cause": "bus crash",
        "what": "restart",
        "why": "its bus crashed",
        "at": 1700000000.0,
    }


def test_the_same_wish_again_is_the_same_intent() -> None:
    intents = queue(CRASHED)
    assert intents.offer([CRASHED], 1.0) == []
    assert [intent.id for intent in intents] == ["t-1"]


def test_a_wish_that_is_withdrawn_before_it_was_sent_is_forgotten() -> None:
    intents = queue(CRASHED)
    intents.offer([], 1.0)
    assert len(intents) == 0


def test_an_intent_that_a_run_has_stays_although_the_bus_answers_again() -> None:
    intents = queue(CRASHED)
    intents.taken(intents, "run-1")
    intents.offer([], 1.0)
    assert len(intents) == 1


def test_a_crash_replaces_a_gate_that_was_not_sent_yet() -> None:
    intents = queue(OPEN)
    intents.offer([CRASHED], 1.0)
    assert [intent.wish.cause for intent in intents] == [BUS_CRASH]


def test_a_run_gets_each_intent_once() -> None:
    intents = queue(CRASHED)
    intents.taken(intents.ready(RUNNING, 0.0), "run-1")
    assert intents.ready(RUNNING, 0.0) == []


def test_an_intent_waits_while_another_run_acts_on_its_instance() -> None:
    assert queue(CRASHED).ready(watch(entry("scen2_srv_01", phase="stopping")), 0.0) == []


def test_a_new_epoch_satisfies_it() -> None:
    [(intent, how)] = queue(CRASHED).settle(watch(entry("scen2_srv_01", epoch=2, phase="starting")))
    assert (intent.id, how) == ("t-1", "it is at epoch 2 now")


def test_a_claim_that_is_gone_satisfies_it() -> None:
    assert [how for _, how in queue(CRASHED).settle(watch())] == ["it is no longer claimed"]


def test_a_failed_claim_satisfies_it() -> None:
    assert len(queue(CRASHED).settle(watch(entry("scen2_srv_01", phase="failed")))) == 1


def test_the_same_epoch_running_does_not_satisfy_a_crash() -> None:
    assert queue(CRASHED).settle(RUNNING) == []


def test_a_gate_is_satisfied_when_nothing_is_deferred_any_more() -> None:
    intents = queue(OPEN)
    assert intents.settle(watch(entry("scen2_srv_01", deferred=("check",)))) == []
    assert len(intents.settle(RUNNING)) == 1


def test_a_run_that_satisfied_nothing_gives_its_intents_back_later_each_time() -> None:
    intents, now = queue(CRASHED), 0.0
    pauses = []
    for attempt in range(7):
        assert intents.ready(RUNNING, now)
        intents.taken(intents, "run-%d" % attempt)
        assert [intent.attempts for intent in intents.returned("run-%d" % attempt, now)] == [attempt + 1]
        due = intents.next_time(now)
        assert due is not None
        assert intents.ready(RUNNING, due - 0.01) == []
        pauses.append(due - now)
        now = due
    assert pauses == [*DELAYS, *[DELAYS[-1]] * (7 - len(DELAYS))]


def test_intents_of_another_run_are_not_given_back() -> None:
    intents = queue(CRASHED)
    intents.taken(intents, "run-1")
    assert intents.returned("run-2", 0.0) == []


def test_a_bus_that_answers_again_after_a_run_did_nothing_is_left_alone() -> None:
    intents = queue(CRASHED)
    intents.taken(intents, "run-1")
    intents.returned("run-1", 0.0)
    intents.offer([], 1.0)
    assert len(intents) == 0


def test_a_wish_about_a_host_carries_the_host_and_when_it_began() -> None:
    [intent] = queue(EVACUATE).ready(watch(), 0.0)
    told = intent.to_json()
    assert (told["host"], told["began"], told["instance"]) == ("server_1", 1700000000.0 - 4.0, "")


def test_it_is_satisfied_when_the_ledger_says_down_or_the_host_left_the_site() -> None:
    intents = queue(EVACUATE)
    assert intents.settle(watch(hosts={"server_1": "suspect"})) == []
    [(_, how)] = queue(EVACUATE).settle(watch(hosts={"server_1": "down"}))
    assert how == "server_1 is noted as down"
    assert [how for _, how in intents.settle(watch(hosts={"server_2": "up"}))] == ["it is no longer in the site"]


def test_a_host_and_an_instance_on_it_are_two_intents() -> None:
    assert [intent.wish.key for intent in queue(EVACUATE, CRASHED)] == ["host server_1", "scen2_srv_01"]


def test_ended_programs_are_sent_with_a_repair() -> None:
    [intent] = queue(REPAIR).ready(RUNNING, 0.0)
    assert intent.to_json()["programs"] == ["data_processing"]


def test_a_crash_replaces_a_repair_that_was_not_sent_yet() -> None:
    intents = queue(REPAIR)
    intents.offer([CRASHED], 1.0)
    assert [intent.wish.cause for intent in intents] == [BUS_CRASH]


def test_only_what_this_run_had_of_this_cause_is_dropped() -> None:
    intents = queue(REPAIR, EVACUATE)
    intents.taken(intents, "run-1")
    assert intents.dropped("run-2", PROGRAM_EXIT) == []
    assert [intent.wish.cause for intent in intents.dropped("run-1", PROGRAM_EXIT)] == [PROGRAM_EXIT]
    assert [intent.wish.cause for intent in intents] == [HOST_DOWN]


def test_a_wish_in_shadow_is_never_queued() -> None:
    assert len(queue(Wish("scen2_srv_01", 1, BUS_CRASH, "restart", "its bus crashed", shadow=True))) == 0


def test_a_queued_intent_is_withdrawn_when_its_item_is_paused() -> None:
    intents = queue(CRASHED)
    intents.offer([replace(CRASHED, paused=True)], 1.0)
    assert len(intents) == 0
