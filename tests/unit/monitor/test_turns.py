# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run may begin beside others, the clock of a run, and when a machine is busy."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from monitor.base import usage
from monitor.runs.turns import MOST_SECONDS, OwnTime, Turn, UnderWay, cold, finished, may_look, may_park

COMING = UnderWay(standby=True, begun=False, age=1.0)
STUCK = UnderWay(standby=True, begun=True, age=20.0)
STARTING = UnderWay(standby=False, begun=False, age=1.0)
WORKING = UnderWay(standby=False, begun=True, age=5.0)


class TestWhoMayBegin:
    def test_on_a_busy_machine_one_run_at_a_time(self) -> None:
        for others in ([COMING], [STUCK], [STARTING], [WORKING]):
            assert cold(others, 60.0, 1.0, busy=True) is Turn.WAIT
            assert not may_park(others, busy=True)
            assert not may_look(others, busy=True)
        assert cold([], 60.0, 1.0, busy=True) is Turn.BEGIN
        assert may_park([], busy=True) and may_look([], busy=True)

    def test_a_run_whose_hosts_wait_in_a_gate_holds_up_nobody(self) -> None:
        in_a_gate = UnderWay(standby=False, begun=True, age=9.0, at_work=4.0)
        planning = UnderWay(standby=False, begun=True, age=9.0, at_work=1.0)
        for others in ([in_a_gate], [in_a_gate, in_a_gate]):
            assert cold(others, 60.0, 1.0, busy=True) is Turn.BEGIN
            assert may_park(others, busy=True) and may_look(others, busy=True)
        assert not may_park([in_a_gate, planning], busy=True)
        assert cold([in_a_gate, planning], 60.0, 1.0, busy=True) is Turn.WAIT

    def test_an_order_waits_for_the_standby_that_is_about_to_park(self) -> None:
        assert cold([COMING], 60.0, 1.0, busy=False) is Turn.WAIT
        assert cold([], 2.9, 1.0, busy=False) is Turn.WAIT

    def test_a_standby_that_does_not_get_ready_gives_way_where_that_costs_nothing(self) -> None:
        assert cold([STUCK], 4.0, 1.0, busy=False) is Turn.INSTEAD
        assert cold([STUCK], 4.0, 30.0, busy=False) is Turn.WAIT, "the one before took as long"

    def test_never_two_at_once_begin_for_orders_that_wait(self) -> None:
        assert cold([STARTING], 4.0, 1.0, busy=False) is Turn.WAIT
        assert cold([WORKING], 4.0, 1.0, busy=False) is Turn.BEGIN
        assert cold([WORKING] * 4, 4.0, 1.0, busy=False) is Turn.WAIT


class TestTheClockOfARun:
    def test_stands_while_the_run_waits_for_a_processor(self) -> None:
        own = OwnTime(100.0)
        own.advance(110.0, 0.0)
        own.advance(200.0, 85.0)
        assert (own.seconds, own.waited) == (15.0, 85.0)

    def test_goes_on_when_processes_that_had_waited_end(self) -> None:
        own = OwnTime(0.0)
        own.advance(10.0, 8.0)
        own.advance(20.0, 1.0)
        assert own.seconds == 12.0

    def test_many_processes_that_wait_at_once_do_not_turn_it_back(self) -> None:
        own = OwnTime(0.0)
        own.advance(10.0, 50.0)
        assert own.seconds == 0.0
        assert not own.too_long(600.0, until=60.0)
        assert own.too_long(60.0 + MOST_SECONDS + 1, until=60.0), "there is an end to it all the same"

    def test_does_not_count_the_time_parked(self) -> None:
        own = OwnTime(0.0)
        own.advance(3.0, 1.0)
        own.rest(1800.0, 1.0)
        own.advance(1801.0, 1.0)
        assert own.seconds == 3.0
        assert not own.too_long(1801.0, until=10.0)


@pytest.mark.parametrize(
    ("report", "done"),
    [
        ({}, False),
        ({"plan": None, "outcome": []}, False),
        ({"plan": {"actions": [{"action": "restart"}]}, "results": {}}, False),
        ({"plan": {"actions": [{"action": "restart"}]}, "outcome": []}, True),
        ({"plan": {"actions": [{"action": "hold"}, {"action": "free"}]}}, True),
        ({"plan": {"actions": []}}, True),
        ([], False),
    ],
)
def test_a_run_has_done_its_work_when_its_outcome_is_there_or_nothing_was_to_be_done(report: Any, done: bool) -> None:
    assert finished(report) is done


@pytest.mark.parametrize(
    ("pressure", "load", "processors", "busy"),
    [
        ("some avg10=95.00 avg60=90.00 avg300=9.00 total=1\n", 30.0, 2, True),
        ("some avg10=0.50 avg60=90.00 avg300=9.00 total=1\n", 30.0, 2, False),
        ("some avg10=95.00 avg60=90.00 avg300=9.00 total=1\n", 3.0, 2, False),
        ("", 30.0, 2, True),
        ("", 30.0, 32, False),
        ("nonsense", 30.0, 2, True),
    ],
)
def test_a_machine_is_busy_when_much_runs_and_somebody_waits(
    pressure: str, load: float, processors: int, busy: bool
) -> None:
    assert usage.is_busy(pressure, load, processors) is busy


def test_a_process_that_does_nothing_has_waited_for_no_processor() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert usage.children(os.getpid()).count(child.pid) == 1
        assert usage.waited(child.pid) < 30.0
        assert usage.waited(os.getpid()) >= usage.waited(child.pid)
    finally:
        child.kill()
        child.wait()
    assert usage.waited(child.pid) == 0.0
