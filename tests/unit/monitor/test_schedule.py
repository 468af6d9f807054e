# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a reconcile is due without a probe asking for it."""

from __future__ import annotations

from dataclasses import replace

from monitor.judge.schedule import (
    CARRIER_LATE_SECONDS,
    FINISH_APART_SECONDS,
    LOOK_APART_SECONDS,
    RECONCILES_APART_SECONDS,
    RETRIES,
    ROLLOUT,
    ROLLOUT_EARLY_SECONDS,
    SETTLE_SECONDS,
    Schedule,
    variables,
)
from tests.unit.monitor.watch_lists import entry, watch

WANTED = {"scen2_srv_01": "started", "scen2_srv_02": "started"}
FULL = watch(entry("scen2_srv_01"), wanted=WANTED, observe_interval=60.0)
WELL = watch(entry("scen2_srv_01"), observe_interval=60.0)


def due_times(schedule: Schedule, seen: object, until: float, step: float = 0.5) -> list[float]:
    """When reconciles begin, if each is begun as soon as it is due."""
    found, now = [], 0.0
    while now <= until:
        if schedule.due(seen, now, 0.0):  # type: ignore[arg-type]
            found.append(now)
            schedule.started(now)
        now += step
    return found


def test_the_regular_look_comes_at_its_interval() -> None:
    schedule = Schedule(0.0)
    schedule.watch_changed(watch(), WELL, 0.0)
    assert due_times(schedule, WELL, 130.0) == [60.0, 120.0]


def test_an_interval_of_zero_means_no_regular_look() -> None:
    schedule = Schedule(0.0)
    assert due_times(schedule, watch(entry("scen2_srv_01"), observe_interval=0.0), 300.0) == []


def test_capacity_that_came_back_is_used_soon() -> None:
    schedule = Schedule(0.0)
    before = watch(entry("scen2_srv_01"), entry("scen2_srv_03"), wanted=FULL.wanted, observe_interval=60.0)
    schedule.watch_changed(watch(), before, 0.0)
    schedule.watch_changed(before, FULL, 20.0)
    assert not schedule.due(FULL, 20.0, 0.0).startswith("capacity")
    assert schedule.due(FULL, 20.0 + SETTLE_SECONDS, 0.0) == "trying again: scen2_srv_02 may find room now"


def test_a_host_that_is_used_again_is_capacity() -> None:
    schedule = Schedule(0.0)
    before = watch(entry("scen2_srv_01"), wanted=FULL.wanted, hosts={"server_1": "up", "server_2": "drained"})
    schedule.watch_changed(before, FULL, 20.0)
    assert schedule.due(FULL, 21.0, 0.0).startswith("trying again")


def test_freed_capacity_without_waiting_instances_is_no_reason() -> None:
    schedule = Schedule(0.0)
    schedule.watch_changed(watch(entry("scen2_srv_01"), entry("scen2_srv_03")), WELL, 20.0)
    assert schedule.due(WELL, 30.0, 0.0) == ""


def test_a_wanted_instance_that_does_not_run_is_tried_again_with_growing_delays() -> None:
    schedule = Schedule(0.0)
    schedule.watch_changed(watch(), FULL, 0.0)
    times = due_times(schedule, FULL, 75.0)
    assert times == [RETRIES[0], sum(RETRIES[:2]), sum(RETRIES[:3]), sum(RETRIES[:4])]


def test_another_failed_start_restarts_the_delays() -> None:
    schedule = Schedule(0.0)
    failed = watch(entry("scen2_srv_01", epoch=1, phase="failed"), observe_interval=60.0)
    schedule.watch_changed(watch(), failed, 0.0)
    due_times(schedule, failed, 16.0)
    again = watch(entry("scen2_srv_01", epoch=2, phase="failed"), observe_interval=60.0)
    schedule.watch_changed(failed, again, 16.0)
    assert schedule.due(again, 16.0 + RETRIES[0], 0.0) == "scen2_srv_01 wanted and not running"


def test_a_claim_whose_run_died_is_taken_over_past_its_deadline() -> None:
    schedule = Schedule(0.0)
    stuck = watch(entry("scen2_srv_01", phase="stopping", deadline=1000.0), observe_interval=0.0)
    schedule.watch_changed(watch(), stuck, 0.0)
    assert schedule.due(stuck, 50.0, 1000.0) == ""
    assert schedule.due(stuck, 50.0, 1002.0) == (
        "scen2_srv_01 is stopping and the run that was acting on it is past its deadline"
    )


def test_what_a_run_had_begun_that_is_gone_is_taken_over_soon_and_with_growing_delays() -> None:
    schedule = Schedule(0.0)
    starting = entry("scen2_srv_01", phase="starting", deadline=1000.0)
    begun = watch(starting, observe_interval=0.0, acting=frozenset({"p"}))
    schedule.watch_changed(watch(), begun, 0.0)
    assert due_times(schedule, begun, 50.0) == []
    killed = replace(begun, gone=frozenset({"p"}))
    schedule.watch_changed(begun, killed, 50.0)
    assert schedule.due(killed, 50.0, 0.0) == "a run ended in the middle of its work"
    assert due_times(schedule, killed, 140.0) == [50.0, 52.0, 57.0, 72.0, 132.0]


def test_a_stuck_instance_is_observed_with_growing_delays() -> None:
    schedule = Schedule(0.0)
    stuck = watch(entry("scen2_hci_01", phase="starting", deadline=-10.0), observe_interval=0.0)
    schedule.watch_changed(watch(), stuck, 0.0)
    times = due_times(schedule, stuck, 600.0)
    assert times == [5.0, 10.0, 15.0, 30.0, 90.0, 210.0, 330.0, 450.0, 570.0]
    taken_over = watch(entry("scen2_hci_01", epoch=2, phase="starting", deadline=-10.0), observe_interval=0.0)
    schedule.watch_changed(stuck, taken_over, 600.0)
    assert schedule.due(taken_over, 600.0, 0.0) != "", "another claim starts the delays again"


def test_an_unreachable_host_is_observed_with_growing_delays_which_an_answer_resets() -> None:
    schedule = Schedule(0.0)
    schedule.watch_changed(watch(), WELL, 0.0)
    schedule.unreached("server_2", "no answer on port 22", 0.0)
    schedule.unreached("server_2", "no answer on port 22", 1.0)
    assert schedule.due(WELL, LOOK_APART_SECONDS, 0.0) == "server_2: no answer on port 22"
    assert due_times(schedule, WELL, 100.0) == [2.0, 7.0, 22.0, 82.0]
    schedule.reached(["server_2"])
    assert due_times(schedule, WELL, 100.0) == []
    schedule.unreached("server_2", "no answer on port 22", 100.0)
    assert schedule.looks_at(101.0) == set() and schedule.looks_at(100.0 + LOOK_APART_SECONDS) == {"server_2"}


def test_a_claim_without_a_deadline_is_stuck_after_the_time_a_run_may_take() -> None:
    schedule = Schedule(0.0)
    stuck = watch(entry("scen2_srv_01", phase="starting"), observe_interval=0.0, run_timeout=30.0)
    schedule.watch_changed(watch(), stuck, 0.0)
    assert schedule.due(stuck, 30.0, 0.0) == ""
    assert "past its deadline" in schedule.due(stuck, 31.0, 0.0)


def test_a_reconcile_for_a_failed_run_is_requested_once_and_after_a_delay() -> None:
    schedule = Schedule(0.0)
    schedule.started(10.0)
    schedule.soon("run 7 did not do it")
    assert schedule.due(WELL, 10.0 + RECONCILES_APART_SECONDS - 0.1, 0.0) == ""
    assert schedule.due(WELL, 10.0 + RECONCILES_APART_SECONDS, 0.0) == "run 7 did not do it"
    schedule.started(20.0)
    assert schedule.due(WELL, 40.0, 0.0) == ""


def test_a_request_that_is_in_no_hurry_waits_longer_and_gives_way_to_one_that_is() -> None:
    schedule = Schedule(0.0)
    schedule.soon("the common bus is silent", apart=30.0)
    assert schedule.due(WELL, 29.0, 0.0) == ""
    assert schedule.due(WELL, 30.0, 0.0) == "the common bus is silent"
    schedule.soon("run 7 did not do it")
    assert schedule.due(WELL, RECONCILES_APART_SECONDS, 0.0) == "run 7 did not do it"


def test_the_end_of_a_drain_or_a_pause_is_looked_after() -> None:
    schedule = Schedule(0.0)
    ends = watch(entry("scen2_srv_01"), ends=(1000.0, 2000.0), observe_interval=3600.0)
    schedule.watch_changed(watch(), ends, 0.0)
    assert schedule.due(ends, 10.0, 999.0) == ""
    assert schedule.due(ends, 10.0, 1000.0) == "a drain or a pause is over"


def test_a_reconcile_that_waited_for_a_run_begins_as_soon_as_the_run_ends() -> None:
    schedule = Schedule(0.0)
    busy = watch(entry("scen2_srv_01", phase="starting", deadline=100.0), observe_interval=3600.0)
    over = watch(entry("scen2_srv_01"), observe_interval=3600.0)
    schedule.watch_changed(watch(), busy, 0.0)
    schedule.finish(["scen2_srv_01"])
    assert schedule.due(busy, 1.0, 50.0) == ""
    assert "scen2_srv_01" in schedule.due(over, 1.0, 50.0)
    schedule.started(1.0)
    assert schedule.due(over, 2.0, 50.0) == ""


def test_an_instance_that_waited_for_a_run_is_planned_again_as_soon_as_the_run_ends() -> None:
    schedule = Schedule(0.0)
    busy = watch(entry("scen2_srv_01", phase="starting", deadline=1000.0), observe_interval=0.0)
    schedule.watch_changed(watch(), busy, 0.0)
    schedule.finish(["scen2_srv_01"])
    assert schedule.due(busy, 1.0, 999.0) == ""
    done = watch(entry("scen2_srv_01"), observe_interval=0.0)
    assert schedule.due(done, FINISH_APART_SECONDS, 999.0) == (
        "the run that was at work on scen2_srv_01 is over, and something is left to do"
    )
    schedule.started(2.0)
    assert schedule.due(done, 2.0 + RECONCILES_APART_SECONDS, 999.0) == ""


def test_a_run_that_never_says_that_it_is_over_is_waited_for_until_its_deadline() -> None:
    schedule = Schedule(0.0)
    busy = watch(entry("scen2_srv_01", phase="running", deadline=1000.0), observe_interval=0.0)
    schedule.finish(["scen2_srv_01"])
    assert schedule.due(busy, 1.0, 1000.0 - 0.1) == ""
    assert schedule.due(busy, 1.0, 1000.0) != ""


def test_two_finishes_come_apart() -> None:
    schedule = Schedule(0.0)
    done = watch(entry("scen2_srv_01"), observe_interval=0.0)
    schedule.started(10.0)
    schedule.finish(["scen2_srv_01"])
    assert schedule.due(done, 10.0 + FINISH_APART_SECONDS / 2, 0.0) == ""
    assert schedule.due(done, 10.0 + FINISH_APART_SECONDS, 0.0) != ""


def test_a_host_that_is_down_holds_nothing_any_more() -> None:
    schedule = Schedule(0.0)
    lost = watch(entry("scen2_srv_01"), hosts={"server_1": "down"}, observe_interval=0.0)
    schedule.watch_changed(watch(), lost, 0.0)
    assert schedule.due(lost, RETRIES[0], 0.0) == "scen2_srv_01 wanted and not running"


ROLLING = replace(WELL, observe_interval=0.0, rollout_due=1000.0)


def test_a_rollout_goes_on_at_once_whenever_the_last_reconcile_began() -> None:
    schedule = Schedule(0.0)
    schedule.started(100.0)
    early = 1000.0 - ROLLOUT_EARLY_SECONDS
    assert not schedule.due(ROLLING, 100.0 + FINISH_APART_SECONDS, early - 1.0)
    assert schedule.due(ROLLING, 100.0 + FINISH_APART_SECONDS, early) == ROLLOUT
    assert variables(ROLLOUT, ROLLING)["muster_due"] == 1000.0, "its plan waits for that"
    assert "muster_due" not in variables("capacity", ROLLING)
    schedule.started(100.5)
    assert not schedule.due(ROLLING, 101.1, 1001.0), "one that did not help is not repeated at once"
    later = replace(ROLLING, rollout_due=1001.0)
    assert schedule.due(later, 101.2, 1001.0) == ROLLOUT


def test_a_rollout_is_left_to_the_run_that_carries_it_while_that_lives() -> None:
    carried = replace(ROLLING, rollout_carrier="boot.1/7/8", rollout_carried=True)
    schedule = Schedule(0.0)
    assert not schedule.due(carried, 50.0, 1001.0)
    assert schedule.due(replace(carried, rollout_carried=False), 51.0, 1001.0) == ROLLOUT, "it was killed"
    assert schedule.due(carried, 52.0, 1000.0 + CARRIER_LATE_SECONDS) == ROLLOUT, "it hangs"
