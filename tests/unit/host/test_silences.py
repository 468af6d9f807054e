# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a window is called silent, and when not: on machines that have no time for who asks, for a window, for both."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.host import windows
from monitor.core.host.windows import ANSWER, SILENT, Key, Rounds, Silences, pause_of

VIEW, CHART = Key("scen2_hci_02", 3, "sensor_view"), Key("scen2_hci_02", 3, "chart_view")
LIMITS = {VIEW: 3.0, CHART: 3.0}
SHOWN = {7: VIEW}
MOST_STALL = 20.0  # s


def test_a_window_is_silent_after_its_time_and_told_once_with_what_it_did_not_answer() -> None:
    silences = Silences()
    assert silences.note(SHOWN, [7], LIMITS, 10.0, 10.0) == []
    assert silences.note(SHOWN, [], LIMITS, 10.7, 11.5) == []
    assert silences.note(SHOWN, [], LIMITS, 12.0, 13.6) == []
    assert silences.note(SHOWN, [], LIMITS, 13.6, 13.7) == [(VIEW, SILENT, 10.7)]
    assert silences.note(SHOWN, [], LIMITS, 14.0, 15.0) == []
    assert silences.note(SHOWN, [7], LIMITS, 15.0, 15.5) == [(VIEW, ANSWER, 15.5)]
    assert silences.note(SHOWN, [], LIMITS, 16.0, 17.0) == []


def test_a_window_that_never_answered_is_never_called_silent() -> None:
    silences = Silences()
    for now in range(100):
        assert silences.note(SHOWN, [], LIMITS, float(now), now + 0.5) == []


def test_one_window_of_several_is_enough() -> None:
    silences = Silences()
    shown = {7: VIEW, 8: VIEW, 9: CHART}
    assert silences.note(shown, [7, 8, 9], LIMITS, 0.0, 0.5) == []
    assert silences.note(shown, [8, 9], LIMITS, 1.0, 4.0) == [(VIEW, SILENT, 1.0)]
    assert silences.note(shown, [7, 8, 9], LIMITS, 4.0, 5.0) == [(VIEW, ANSWER, 5.0)]


def test_a_window_that_was_closed_and_a_screen_that_is_gone_are_no_longer_silent() -> None:
    silences = Silences()
    silences.note({7: VIEW, 9: CHART}, [7, 9], LIMITS, 0.0, 0.0)
    assert len(silences.note({7: VIEW, 9: CHART}, [], LIMITS, 0.0, 3.0)) == 2
    assert silences.note({9: CHART}, [], {CHART: 3.0}, 3.0, 4.0) == [(VIEW, ANSWER, 4.0)]
    assert silences.note({}, [], {}, 5.0, 5.0) == [(CHART, ANSWER, 5.0)]
    # A number that the server gave again belongs to another window.
    assert silences.note(SHOWN, [], LIMITS, 6.0, 100.0) == []


def test_the_next_epoch_is_another_program() -> None:
    silences, later = Silences(), VIEW._replace(epoch=4)
    silences.note(SHOWN, [7], LIMITS, 0.0, 0.0)
    assert silences.note({7: later}, [7], {later: 3.0}, 0.0, 2.0) == []
    assert silences.note({7: later}, [], {later: 3.0}, 2.1, 5.0) == []


def test_nobody_is_silent_for_less_than_a_second() -> None:
    silences = Silences()
    silences.note(SHOWN, [7], {VIEW: 0.1}, 0.0, 0.0)
    assert silences.note(SHOWN, [], {VIEW: 0.1}, 0.0, 0.9) == []
    assert silences.note(SHOWN, [], {VIEW: 0.1}, 0.9, 1.0) == [(VIEW, SILENT, 0.0)]


class Machine:
    """A machine with one X server, in simulated time. It may have no time for who asks whenever that is at work."""

    def __init__(self, stall: Callable[[], float], freeze: Callable[[], float] = float) -> None:
        """:param stall: s for which the next step of who asks does not go on; `freeze`: in which nobody does."""
        self.now = 0.0
        self._stall, self._freeze = stall, freeze
        self._asked: set[int] = set()
        self._comes: list[tuple[float, int]] = []  # when an answer arrives, whose
        self._last: dict[int, float] = {}  # window -> when its last answer arrives; they come in order
        self.slow: Callable[[int], float] = lambda _number: 0.0  # s that an answer takes
        self.stopped: set[int] = set()

    def monotonic(self) -> float:
        self._step()
        return self.now

    def ping(self, numbers: Iterable[int]) -> None:
        self._step()
        self._asked = set(numbers)
        for number in sorted(self._asked - self.stopped):
            at = self._last[number] = max(self._last.get(number, 0.0), self.now + self.slow(number))
            self._comes.append((at, number))
        self._step()

    def wait(self, seconds: float) -> None:
        self._step()
        missing = [max([at for at, number in self._comes if number == one], default=float("inf"))
                   for one in self._asked]  # fmt: skip
        self.now = max(self.now, min(self.now + seconds, max(missing, default=self.now)))
        self._step()

    def answered(self) -> set[int]:
        self._step()
        found = {number for at, number in self._comes if at <= self.now}
        self._comes = [one for one in self._comes if one[0] > self.now]
        return found & self._asked

    def rest(self, seconds: float) -> None:
        self.now += seconds
        self._step()

    def _step(self) -> None:
        self.now += self._stall()
        frozen = self._freeze()
        self.now += frozen
        self._comes = [(at + frozen, number) for at, number in self._comes]
        self._last = {number: at + frozen for number, at in self._last.items()}


def turns(machine: Machine, rounds: Rounds, count: int, limits: dict[Key, float]) -> list[tuple[Key, str, float]]:
    """Rounds one after the other, as `windows.watch` has them."""
    told, rested = [], 0.0
    for _round in range(count):
        began = machine.now
        told += rounds.turn(machine, SHOWN, limits, rested)
        rested = max(0.0, pause_of(limits) - (machine.now - began))
        machine.rest(rested)
    return told


def stalls(seed: int) -> Callable[[], float]:
    """s that steps of a machine under load take beyond their work: mostly nothing, sometimes very long."""
    chance = random.Random(seed)
    return lambda: chance.choice([0.0, 0.0, 0.0, chance.uniform(0.0, 0.3), chance.uniform(0.0, MOST_STALL)])


limits_of_a_window = st.floats(1.0, 30.0)
seeds = st.integers(0, 1 << 32)


@settings(deadline=None, max_examples=300)
@given(seed=seeds, limit=limits_of_a_window)
def test_a_window_that_answers_in_time_is_never_silent_however_late_it_is_asked_and_heard(
    seed: int, limit: float
) -> None:
    machine, chance = Machine(stalls(seed)), random.Random(~seed)
    machine.slow = lambda _number: chance.choice([0.0, 0.999 * limit, chance.uniform(0.0, 0.999 * limit)])
    assert turns(machine, Rounds(machine.monotonic), 20, {VIEW: limit}) == []


@settings(deadline=None)
@given(seed=seeds, limit=limits_of_a_window)
def test_a_machine_that_stands_still_is_nobodys_silence(seed: int, limit: float) -> None:
    """A virtual machine that is moved, say: the clock goes on, and neither who asks nor the window does."""
    machine, chance = Machine(float, stalls(seed)), random.Random(~seed)
    machine.slow = lambda _number: chance.uniform(0.0, limit / 4)
    assert turns(machine, Rounds(machine.monotonic), 20, {VIEW: limit}) == []


@settings(deadline=None)
@given(seed=seeds, limit=limits_of_a_window)
def test_a_window_that_stands_still_is_told_also_by_a_machine_that_has_no_time(seed: int, limit: float) -> None:
    machine = Machine(stalls(seed))
    rounds, limits = Rounds(machine.monotonic), {VIEW: limit}
    assert turns(machine, rounds, 2, limits) == []
    machine.stopped = {7}
    [(key, state, _since)] = turns(machine, rounds, 7, limits)
    assert (key, state) == (VIEW, SILENT)
    machine.stopped = set()
    [(key, state, _since)] = turns(machine, rounds, 2, limits)
    assert (key, state) == (VIEW, ANSWER)


@given(limit=limits_of_a_window, phase=st.floats(0.0, 1.0))
def test_on_a_machine_that_has_time_it_is_told_within_one_and_a_half_of_its_time(limit: float, phase: float) -> None:
    machine = Machine(lambda: 0.001)
    rounds, limits = Rounds(machine.monotonic), {VIEW: limit}
    assert turns(machine, rounds, 2, limits) == []
    machine.rest(phase * pause_of(limits))
    machine.stopped, stopped = {7}, machine.now
    while not turns(machine, rounds, 1, limits):
        pass
    assert machine.now - stopped <= 1.5 * limit + 10 * windows.SLACK_SECONDS
