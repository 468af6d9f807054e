# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of a rollout, and which configuration an instance has to have at each point of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.decide.batches import Turn, batches
from monitor.core.model.rollout import ABORTED, DONE, GOING, HALTED, PAUSED, Rollout, RolloutSettings
from monitor.core.report.rollouts import part, sentence

GROUPS = st.frozensets(st.sampled_from(["a", "b", "c", "d"]), max_size=2)
ITEMS = st.lists(st.tuples(st.booleans(), GROUPS), max_size=40).map(
    lambda turns: [Turn("%02d" % n, is_open, apart) for n, (is_open, apart) in enumerate(turns)]
)


@given(ITEMS, st.integers(0, 5), st.integers(1, 9))
def test_every_item_is_in_one_batch_and_none_is_larger_than_it_may_be(
    items: list[Turn], canary: int, parallel: int
) -> None:
    made = batches(items, min(canary, parallel), parallel)
    assert sorted(item for batch in made for item in batch) == [turn.item for turn in items]
    assert all(0 < len(batch) <= parallel for batch in made)


@given(ITEMS, st.integers(0, 5), st.integers(1, 9))
def test_items_with_open_windows_come_after_all_others(
    items: list[Turn], canary: int, parallel: int
) -> None:
    is_open = {turn.item: turn.is_open for turn in items}
    order = [is_open[item] for batch in batches(items, min(canary, parallel), parallel) for item in batch]
    assert order == sorted(order)


@given(ITEMS, st.integers(0, 5), st.integers(1, 9))
def test_items_that_must_be_apart_are_never_down_together(items: list[Turn], canary: int, parallel: int) -> None:
    groups = {turn.item: turn.apart for turn in items}
    for batch in batches(items, min(canary, parallel), parallel):
        taken = [group for item in batch for group in groups[item]]
        assert len(taken) == len(set(taken))


@pytest.mark.parametrize(
    ("written", "items", "at_a_time"), [(3, 100, 3), ("25%", 100, 25), ("25%", 3, 1), ("100%", 7, 7), ("50%", 5, 2)]
)
def test_how_many_a_batch_may_have(written: int | str, items: int, at_a_time: int) -> None:
    assert RolloutSettings(max_parallel=written).parallel(items) == at_a_time


NAMES = ("a", "b", "c")
RECORD = Rollout(
    "1", batches=(("a",), ("b",), ("c",)), targets=dict.fromkeys(NAMES, "new"), sources=dict.fromkeys(NAMES, "old")
)


def has(record: Rollout, **described: str) -> dict[str, str]:
    wanted = {**dict.fromkeys(NAMES, "new"), **described}
    return {**wanted, **record.effective(wanted)}


def at(batch: int, state: str = GOING, **more: object) -> Rollout:
    return Rollout(**{**RECORD.__dict__, "at": batch, "state": state, **more})


@pytest.mark.parametrize("state", [GOING, PAUSED, HALTED, ABORTED])
def test_what_is_not_reached_keeps_what_it_has(state: str) -> None:
    assert has(at(0, state)) == {"a": "new", "b": "old", "c": "old"}
    assert has(at(1, state)) == {"a": "new", "b": "new", "c": "old"}


def test_at_the_end_all_have_what_the_site_describes() -> None:
    assert has(at(2, DONE)) == dict.fromkeys(NAMES, "new")


def test_what_failed_has_gone_back() -> None:
    assert has(at(1, HALTED, returned=("b",))) == {"a": "new", "b": "old", "c": "old"}


def test_on_the_way_back_it_is_the_other_way_round() -> None:
    back = {"back": True, "batches": (("b",), ("a",))}
    assert has(at(0, GOING, **back)) == {"a": "new", "b": "old", "c": "old"}
    assert has(at(1, DONE, **back)) == dict.fromkeys(NAMES, "old")


def test_what_the_site_describes_otherwise_since_is_no_longer_its_concern() -> None:
    assert has(at(0), c="newest") == {"a": "new", "b": "old", "c": "newest"}


def test_a_record_is_read_as_it_was_written() -> None:
    assert Rollout.from_json(at(1, HALTED, returned=("b",), failed={"b": "it ended"}).to_json()) == at(
        1, HALTED, returned=("b",), failed={"b": "it ended"}
    )


def test_one_that_is_done_names_what_failed_until_it_is_tried_again() -> None:
    record = replace(RECORD, state=DONE, failed={"b": "it exited 3"}, returned=("b",))
    told = part({"rollouts": {"current": record.to_json()}}, 10**6)
    assert told and told["says"].endswith("done, 3 instances; b failed, and has what it ran with"
                                          " (muster rollout resume tries again)")  # fmt: skip
    assert part({"rollouts": {"current": replace(record, returned=()).to_json()}}, 10**6) is None
    assert "b failed (muster" in sentence(replace(record, returned=()), 0.0)
    assert sentence(replace(RECORD, state=DONE), 0.0).endswith("done, 3 instances")
