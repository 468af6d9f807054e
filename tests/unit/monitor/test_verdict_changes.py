# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of verdicts run hooks: those that last, once per item and change, for hooks that want the verdict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.site import Hook
from monitor.judge.verdict_changes import FLAPPING_DEBOUNCES, Change, Changes, hook_key

UP, BAD, HALF = "operational", "not operational", "degraded"
WALL = 1_700_000_000.0


def items(**verdicts: str) -> list[dict[str, str]]:
    return [{"item": item[1:], "verdict": verdict, "cause": "because " + verdict} for item, verdict in verdicts.items()]


def changes(*on: str, debounce: float = 5.0) -> Changes:
    return Changes(Hook(("/bin/true",), on or ("all",), debounce))


def offer(one: Changes, now: float, **verdicts: str) -> list[Change]:
    one.offer(items(**verdicts), now, WALL + now)
    return one.due(now)


def test_the_first_verdict_is_no_change() -> None:
    one = changes()
    assert offer(one, 0.0, i01=BAD, i02=UP) == []
    assert one.next_time() is None


def test_a_change_is_reported_after_the_debounce() -> None:
    one = changes()
    offer(one, 0.0, i01=UP)
    assert offer(one, 10.0, i01=BAD) == []
    assert one.next_time() == 15.0
    assert one.due(14.9) == []
    assert one.due(15.0) == [Change("01", BAD, UP, "because not operational", WALL + 10.0)]
    assert one.due(99.0) == [] and offer(one, 99.0, i01=BAD) == []


def test_a_change_shorter_than_the_debounce_is_not_reported() -> None:
    one = changes()
    offer(one, 0.0, i01=UP)
    offer(one, 1.0, i01=BAD)
    assert offer(one, 3.0, i01=UP) == []
    assert one.next_time() is None


def test_a_second_change_restarts_the_debounce_and_keeps_the_last_reported_verdict() -> None:
    one = changes()
    offer(one, 0.0, i01=UP)
    offer(one, 1.0, i01=BAD)
    assert offer(one, 4.0, i01=HALF) == [] and one.due(6.0) == []
    [change] = one.due(9.0)
    assert (change.before, change.verdict, change.since) == (UP, HALF, WALL + 4.0)


def test_an_item_that_keeps_changing_is_reported_after_five_debounces() -> None:
    one = changes()
    offer(one, 0.0, i01=UP)
    told: list[Change] = []
    now = 0.0
    while not told:
        now += 2.0
        told = offer(one, now, i01=BAD if now % 4 else HALF)
    assert now >= 2.0 + FLAPPING_DEBOUNCES * 5.0 and now <= 4.0 + FLAPPING_DEBOUNCES * 5.0
    assert len(told) == 1


def test_only_wanted_verdicts_are_reported_but_all_are_recorded() -> None:
    one = changes(BAD, debounce=0)
    offer(one, 0.0, i01=UP)
    assert offer(one, 1.0, i01=HALF) == []
    [change] = offer(one, 2.0, i01=BAD)
    assert (change.before, change.verdict) == (HALF, BAD)
    assert offer(one, 3.0, i01=UP) == []


def test_an_item_that_leaves_the_site_is_forgotten() -> None:
    one = changes()
    offer(one, 0.0, i01=UP, i02=UP)
    offer(one, 1.0, i01=UP, i02=BAD)
    offer(one, 2.0, i01=UP)
    assert one.due(99.0) == [] and one.told == {"01": UP}
    assert offer(one, 100.0, i01=UP, i02=BAD) == []


def test_a_hook_keeps_its_identity_with_other_times_but_not_with_another_command_or_verdict() -> None:
    assert hook_key(Hook(("/a",), debounce=1)) == hook_key(Hook(("/a",), debounce=2, timeout=9))
    assert len({hook_key(hook) for hook in (Hook(("/a",)), Hook(("/b",)), Hook(("/b",), (BAD,)))}) == 3


@given(st.lists(st.tuples(st.floats(0.1, 20), st.sampled_from([UP, BAD, HALF])), max_size=40))
def test_reported_changes_form_a_chain_that_ends_at_the_current_verdict(history: list[tuple[float, str]]) -> None:
    one = changes()
    offer(one, 0.0, i01=UP)
    now, told, last = 0.0, [], UP
    for wait, verdict in history:
        while (at := one.next_time()) is not None and at <= now + wait:
            told += one.due(at)
        now += wait
        told += offer(one, now, i01=verdict)
        last = verdict
    told += one.due(now + 1000)
    before = UP
    for change in told:
        assert change.before == before != change.verdict
        before = change.verdict
    assert before == last
