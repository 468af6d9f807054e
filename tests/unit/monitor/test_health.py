# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From results of probes to a state: crash at once, hang after N misses, silence is unknown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.words import BUS_CRASH, BUS_HANG
from monitor.judge.health import Composed, Health, Kind, Result, State
from tests.unit.monitor.watch_lists import health


def test_a_bus_that_was_never_asked_is_unknown() -> None:
    assert health().state(0.0) is State.UNKNOWN


def test_one_answer_makes_it_healthy() -> None:
    assert health(Kind.ANSWERED).state(0.0) is State.HEALTHY


def test_the_end_of_its_connection_is_a_crash_at_once() -> None:
    bus = health(Kind.ANSWERED)
    assert bus.note(Result(Kind.GONE, 1.0, "its connection ended"))
    assert (bus.state(1.0), bus.cause, bus.why) == (State.UNHEALTHY, BUS_CRASH, "its connection ended")


def test_it_hangs_after_three_misses_in_a_row_and_not_before() -> None:
    bus = health(Kind.ANSWERED)
    assert not bus.note(Result(Kind.MISSED, 1.0, "no answer"))
    assert not bus.note(Result(Kind.MISSED, 2.0, "no answer"))
    assert bus.state(2.0) is State.HEALTHY
    assert bus.note(Result(Kind.MISSED, 3.0, "no answer"))
    assert (bus.state(3.0), bus.cause) == (State.UNHEALTHY, BUS_HANG)


def test_an_answer_between_two_misses_restarts_the_count() -> None:
    bus = health(Kind.MISSED, times=2)
    bus.note(Result(Kind.ANSWERED, 3.0))
    bus.note(Result(Kind.MISSED, 4.0, "no answer"))
    bus.note(Result(Kind.MISSED, 5.0, "no answer"))
    assert bus.state(5.0) is State.HEALTHY


def test_nothing_listening_is_a_crash_where_it_had_answered_and_unknown_where_it_never_did() -> None:
    """ClusterLabs/crmsh PR#1024: a firewall that rejects with a reset looks the same from here."""
    bus = health(Kind.ANSWERED)
    for second in range(1, 4):
        bus.note(Result(Kind.REFUSED, float(second), "nothing listens"))
    assert (bus.state(3.0), bus.cause) == (State.UNHEALTHY, BUS_CRASH)
    never = health()
    told = [never.note(Result(Kind.REFUSED, float(second), "nothing listens")) for second in range(600)]
    assert (never.state(600.0), never.cause) == (State.UNKNOWN, "")
    assert never.why.startswith("nothing listens; it has never answered here")
    assert told.count(True) == 1, "said once, so that one run looks"
    never.note(Result(Kind.ANSWERED, 601.0))
    assert never.state(601.0) is State.HEALTHY


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


def test_a_healthy_result_expires() -> None:
    bus = health(Kind.ANSWERED)
    assert bus.state(3.0) is State.HEALTHY
    assert bus.state(3.1) is State.UNKNOWN
    assert bus.to_json(10.0)["why"] == "no answer was taken in for 10 s"


def test_an_unhealthy_result_is_valid_until_the_bus_answers_again() -> None:
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
    expected = heard = False
    for kind, pause in results:
        now += pause
        bus.note(Result(kind, now, "x"))
        if kind in (Kind.MISSED, Kind.REFUSED):
            in_a_row += 1
        elif kind is not Kind.GONE:
            in_a_row = 0
        heard = heard or kind is Kind.ANSWERED
        if kind is Kind.ANSWERED:
            expected = False
        elif kind is Kind.GONE or (in_a_row >= failures and (heard or kind is Kind.MISSED)):
            expected = True
        assert (bus.state(now) is State.UNHEALTHY) == expected
        assert bool(bus.cause) == expected


def unsure(at: float, why: str = "turned away") -> Result:
    return Result(Kind.UNSURE, at, why)


def test_a_probe_that_is_not_admitted_makes_it_unknown_and_is_reported_once() -> None:
    bus = health(Kind.ANSWERED)
    assert bus.note(unsure(1.0))
    assert (bus.state(1.0), bus.why) == (State.UNKNOWN, "turned away")
    assert not bus.note(unsure(2.0))
    assert bus.note(unsure(3.0, "another reason"))


def test_a_probe_that_was_never_admitted_is_reported_too() -> None:
    assert health().note(unsure(1.0))


def test_a_probe_that_is_not_admitted_never_makes_it_unhealthy() -> None:
    bus = health(Kind.MISSED, times=2)
    for second in range(3, 20):
        bus.note(unsure(float(second)))
    bus.note(Result(Kind.MISSED, 20.0, "no answer"))
    assert bus.state(20.0) is State.UNKNOWN


class TestStarting:
    def starting(self) -> Health:
        return Health(0.0, failures=2, interval=1.0, timeout=1.0, grace=10.0)

    def test_nothing_counts_before_the_first_answer(self) -> None:
        bus = self.starting()
        for second, kind in enumerate((Kind.REFUSED, Kind.REFUSED, Kind.GONE, Kind.MISSED, Kind.MISSED)):
            assert not bus.note(Result(kind, float(second), "nothing listens"))
        assert (bus.state(9.0), bus.why) == (State.UNKNOWN, "it is starting: nothing listens")

    def test_once_it_answered_everything_counts(self) -> None:
        bus = self.starting()
        bus.note(Result(Kind.ANSWERED, 1.0))
        assert bus.note(Result(Kind.GONE, 2.0, "its connection ended"))
        assert (bus.state(2.0), bus.cause) == (State.UNHEALTHY, BUS_CRASH)

    def test_a_bus_that_never_answered_is_unhealthy_at_the_first_miss_after_its_time_to_start(self) -> None:
        bus = self.starting()
        for second in range(10):
            bus.note(Result(Kind.MISSED, float(second), "no answer"))
        assert bus.note(Result(Kind.MISSED, 10.0, "no answer"))
        assert (bus.state(10.0), bus.cause) == (State.UNHEALTHY, BUS_HANG)


class TestSomeOfMany:
    def bus(self, slow: float = 0.0) -> Health:
        return Health(0.0, failures=3, interval=1.0, timeout=1.0, window=5, slow=slow)

    def note(self, bus: Health, word: str, latency: float = 0.0) -> list[State]:
        """One result per letter: a(nswered), s(lowly answered), m(issed); the states after each."""
        states = []
        for second, letter in enumerate(word):
            kind = Kind.MISSED if letter == "m" else Kind.ANSWERED
            bus.note(Result(kind, float(second), "no answer" if letter == "m" else "", 0.9 if letter == "s" else 0.01))
            states.append(bus.state(float(second)))
        return states

    def test_three_of_the_last_five_are_enough_and_said_so(self) -> None:
        bus = self.bus()
        assert self.note(bus, "amama")[-1] is State.HEALTHY
        assert self.note(bus, "m")[-1] is State.UNHEALTHY
        assert (bus.cause, bus.why) == (BUS_HANG, "no answer (3 of the last 5)")

    def test_misses_further_apart_never_are(self) -> None:
        assert State.UNHEALTHY not in self.note(self.bus(), "amaamaamaama")

    def test_it_is_healthy_again_when_fewer_than_three_are_left(self) -> None:
        bus = self.bus()
        self.note(bus, "mmm")
        assert self.note(bus, "aaa") == [State.UNHEALTHY, State.UNHEALTHY, State.HEALTHY]

    def test_a_crash_is_over_with_the_first_answer(self) -> None:
        bus = self.bus()
        bus.note(Result(Kind.GONE, 0.0, "gone"))
        for second in range(1, 4):
            bus.note(Result(Kind.REFUSED, float(second), "nothing listens"))
        bus.note(Result(Kind.ANSWERED, 4.0))
        assert bus.state(4.0) is State.HEALTHY

    def test_slow_answers_are_a_warning_as_long_as_they_are_many(self) -> None:
        bus = self.bus(slow=0.5)
        assert self.note(bus, "sasa")[-1] is State.HEALTHY and bus.warning == ""
        assert bus.note(Result(Kind.ANSWERED, 4.0, "", 0.9))
        assert (bus.state(4.0), bus.warning) == (State.HEALTHY, "answers slowly: 0.9 s, more than 0.5 s")
        assert bus.to_json(4.0)["warning"] == bus.warning
        told = [bus.note(Result(Kind.ANSWERED, 5.0 + second, "", 0.01)) for second in range(3)]
        assert told.count(True) == 1 and bus.warning == ""
        assert "warning" not in bus.to_json(8.0)

    def test_a_warning_that_the_answer_brings_counts_alike(self) -> None:
        bus = Health(0.0, failures=1, interval=1.0, timeout=1.0)
        assert bus.note(Result(Kind.ANSWERED, 0.0, "", 0.01, "disk nearly full"))
        assert (bus.state(0.0), bus.warning) == (State.HEALTHY, "disk nearly full")

    def test_an_unhealthy_bus_has_no_warning(self) -> None:
        bus = self.bus(slow=0.5)
        self.note(bus, "sss")
        bus.note(Result(Kind.GONE, 3.0, "gone"))
        assert bus.warning == ""


class TestSeveral:
    def several(self, any_of: bool) -> Composed:
        return Composed(0.0, any_of, [Health(0.0, failures=2, interval=1.0, timeout=1.0) for _ in range(2)],
                        ["nats", "exec"])  # fmt: skip

    def after(self, any_of: bool, *results: tuple[int, Kind]) -> Composed:
        bus = self.several(any_of)
        for part, kind in results:
            bus.note(Result(kind, 1.0, "because" if kind is not Kind.ANSWERED else ""), part)
        return bus

    def test_all_of_needs_all(self) -> None:
        assert self.after(False, (0, Kind.ANSWERED)).state(1.0) is State.UNKNOWN
        assert self.after(False, (0, Kind.ANSWERED), (1, Kind.ANSWERED)).state(1.0) is State.HEALTHY

    def test_with_all_of_one_unhealthy_probe_is_enough_and_is_named(self) -> None:
        bus = self.after(False, (0, Kind.ANSWERED), (1, Kind.MISSED), (1, Kind.MISSED))
        assert (bus.state(1.0), bus.cause, bus.why) == (State.UNHEALTHY, BUS_HANG, "exec: because")
        assert self.after(False, (0, Kind.GONE), (1, Kind.MISSED), (1, Kind.MISSED)).cause == BUS_CRASH

    def test_an_unsure_one_of_all_is_unknown_with_its_reason(self) -> None:
        bus = self.after(False, (0, Kind.ANSWERED), (1, Kind.UNSURE))
        assert (bus.state(1.0), bus.why) == (State.UNKNOWN, "exec: because")

    def test_any_of_is_content_with_one_and_warns_about_the_other(self) -> None:
        bus = self.after(True, (0, Kind.GONE), (1, Kind.ANSWERED))
        assert (bus.state(1.0), bus.warning) == (State.HEALTHY, "nats: because")

    def test_with_any_of_it_is_unhealthy_when_no_probe_is_healthy(self) -> None:
        assert self.after(True, (0, Kind.GONE)).state(1.0) is State.UNKNOWN
        bus = self.after(True, (0, Kind.GONE), (1, Kind.MISSED), (1, Kind.MISSED))
        assert (bus.state(1.0), bus.cause, bus.why) == (State.UNHEALTHY, BUS_HANG, "nats: because; exec: because")
        assert self.after(True, (0, Kind.GONE), (1, Kind.GONE)).cause == BUS_CRASH

    def test_a_result_that_changes_nothing_is_not_reported(self) -> None:
        bus = self.after(False, (0, Kind.ANSWERED), (1, Kind.ANSWERED))
        assert not bus.note(Result(Kind.ANSWERED, 2.0), 0)
        assert bus.note(Result(Kind.GONE, 3.0, "gone"), 1)

    def test_healthy_results_expire_one_by_one(self) -> None:
        bus = self.after(False, (0, Kind.ANSWERED), (1, Kind.ANSWERED))
        bus.note(Result(Kind.ANSWERED, 5.0), 0)
        assert bus.state(5.0) is State.UNKNOWN

    def test_nested_ones_are_numbered_in_the_order_written(self) -> None:
        outer = Composed(0.0, True, [self.several(False), Health(0.0, failures=1, interval=1.0, timeout=1.0)],
                         ["all_of", "tcp"])  # fmt: skip
        outer.note(Result(Kind.ANSWERED, 1.0), 0)
        assert outer.state(1.0) is State.UNKNOWN
        outer.note(Result(Kind.ANSWERED, 1.0), 1)
        assert outer.state(1.0) is State.HEALTHY
        outer.note(Result(Kind.GONE, 1.0, "gone"), 2)
        assert outer.warning == "tcp: gone"
        parts = outer.to_json(1.0)["parts"]
        assert isinstance(parts, list)
        assert [part["probe"] for part in parts] == ["all_of", "tcp"]
