# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From results of probes to a state: crash at once, hang after N misses, silence is unknown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.health import CRASH, HANG, Health, Kind, Result, State
from tests.unit.monitor_data import health


def test_a_bus_that_was_never_asked_is_unknown() -> None:
    assert health().state(0.0) is State.UNKNOWN


def test_one_answer_makes_it_healthy() -> None:
    assert health(Kind.ANSWERED).state(0.0) is State.HEALTHY


def test_the_end_of_its_connection_is_a_crash_at_once() -> None:
    bus = health(Kind.ANSWERED)
    assert bus.note(Result(Kind.GONE, 1.0, "its connection ended"))
    assert (bus.state(1.0), bus.cause, bus.why) == (State.UNHEALTHY, CRASH, "its connection ended")


def test_it_hangs_after_three_misses_in_a_row_and_not_before() -> None:
    bus = health(Kind.ANSWERED)
    assert not bus.note(Result(Kind.MISSED, 1.0, "no answer"))
    assert not bus.note(Result(Kind.MISSED, 2.0, "no answer"))
    assert bus.state(2.0) is State.HEALTHY
    assert bus.note(Result(Kind.MISSED, 3.0, "no answer"))
    assert (bus.state(3.0), bus.cause) == (State.UNHEALTHY, HANG)


def test_an_answer_between_two_misses_starts_the_count_anew() -> None:
    bus = health(Kind.MISSED, times=2)
    bus.note(Result(Kind.ANSWERED, 3.0))
    bus.note(Result(Kind.MISSED, 4.0, "no answer"))
    bus.note(Result(Kind.MISSED, 5.0, "no answer"))
    assert bus.state(5.0) is State.HEALTHY


def test_nothing_listening_long_enough_is_a_crash_that_happened_before_we_looked() -> None:
    bus = health(Kind.REFUSED, times=3)
    assert (bus.state(2.0), bus.cause) == (State.UNHEALTHY, CRASH)


def test_an_unreachable_machine_says_nothing_about_its_bus() -> None:
    bus = health(Kind.ANSWERED)
    for second in range(1, 10):
        bus.note(Result(Kind.UNREACHABLE, float(second), "no route"))
    assert bus.state(9.0) is State.UNKNOWN


def test_an_unreachable_machine_takes_back_the_misses_counted_so_far() -> None:
    bus = health(Kind.MISSED, times=2)
    bus.note(Result(Kind.UNREACHABLE, 3.0, "no route"))
    bus.note(Result(Kind.MISSED, 4.0, "no answer"))
    assert bus.state(4.0) is State.UNKNOWN


def test_a_healthy_word_expires() -> None:
    bus = health(Kind.ANSWERED)
    assert bus.state(3.0) is State.HEALTHY
    assert bus.state(3.1) is State.UNKNOWN
    assert bus.to_json(10.0)["why"] == "no answer was taken in for 10 s"


def test_an_unhealthy_word_stands_until_it_answers_again() -> None:
    bus = health(Kind.GONE)
    assert bus.state(1000.0) is State.UNHEALTHY
    assert bus.note(Result(Kind.ANSWERED, 1001.0))
    assert bus.state(1001.0) is State.HEALTHY


def test_since_is_when_the_state_began() -> None:
    bus = health(Kind.MISSED, times=3)
    bus.note(Result(Kind.MISSED, 50.0, "no answer"))
    assert bus.to_json(52.0)["since"] == 50.0


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.floats(0.0, 5.0)), max_size=40), st.integers(1, 5))
def test_only_a_crash_or_enough_misses_in_a_row_make_it_unhealthy(
    results: list[tuple[Kind, float]], failures: int
) -> None:
    bus, now, in_a_row = Health(0.0, failures=failures, interval=1.0, timeout=1.0), 0.0, 0
    expected = False
    for kind, pause in results:
        now += pause
        bus.note(Result(kind, now, "x"))
        if kind in (Kind.MISSED, Kind.REFUSED):
            in_a_row += 1
        elif kind is not Kind.GONE:
            in_a_row = 0
        if kind is Kind.ANSWERED:
            expected = False
        elif kind is Kind.GONE or in_a_row >= failures:
            expected = True
        assert (bus.state(now) is State.UNHEALTHY) == expected
        assert bool(bus.cause) == expected
