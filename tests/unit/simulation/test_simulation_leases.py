# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The histories of the monitor on a site whose hosts need leases: no rule has an exception for hosts out of sight."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from monitor.core.decide import alone
from monitor.core.decide.known import Known
from monitor.core.plan import intents
from monitor.judge.fencing import Fencing
from tests.unit.simulation.alone import SimAlone
from tests.unit.simulation.leases import SimLeases
from tests.unit.simulation.story import simulate

SEEDS, EACH_TIME, CHUNK = 1000, 50, 50
LATER = [pytest.param(first, marks=pytest.mark.long) for first in range(EACH_TIME, SEEDS, CHUNK)]


@pytest.mark.parametrize("first", [*range(0, EACH_TIME, CHUNK), *LATER])
def test_no_instance_lives_twice_in_any_history(first: int) -> None:
    broken, counted = [], Counter[str]()
    for seed in range(first, first + CHUNK):
        try:
            counted.update(simulate(seed, leases=True))
        except AssertionError as error:
            broken.append("seed %d: %s (python -m tests.unit.simulation.story --leases %d)" % (seed, error, seed))
    assert not broken, "\n".join(broken)
    assert counted["starts by hosts"] > CHUNK / 10, "hardly any host helped itself: %s" % counted
    assert counted["starts"] > CHUNK and counted["faults"] > CHUNK, "hardly anything happened: %s" % counted


def moves_at_once(patch: pytest.MonkeyPatch) -> None:
    """Neither the monitor nor the plan waits for the fence."""
    patch.setattr(Fencing, "sift", lambda _self, wishes, *_unused: (list(wishes), []))
    patch.setattr(intents, "not_fenced", lambda *_unused: "")


def starts_without(patch: pytest.MonkeyPatch) -> None:
    """A host whose lease ended starts things all the same, and what it ran lives on."""
    patch.setattr(SimLeases, "_end", lambda *_unused: None)


@pytest.mark.parametrize("sabotage", [moves_at_once, starts_without])
def test_without_the_fence_or_its_effect_some_do(sabotage: Callable[[Any], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sabotage(patch)
        for seed in range(200):
            try:
                simulate(seed, leases=True)
            except AssertionError as error:
                assert "I1" in str(error) or "lives on" in str(error), error
                return
    raise AssertionError("the rules notice nothing")


def uses_epochs_of_others(patch: pytest.MonkeyPatch) -> None:
    """The next start by a run has the next epoch, whatever the host may have used."""
    patch.setattr(Known, "known_epoch", lambda self, name: max(
        self.claim(name).epoch, self.claim(name).highest, self._highest.get(name, 0)))  # fmt: skip


def outlasts_a_stop(patch: pytest.MonkeyPatch) -> None:
    """A stop leaves standing what the host may do."""
    begun = SimAlone.begun
    patch.setattr(SimAlone, "begun", lambda self, host, order: begun(self, host, dict(order, do="start")))
    ended = SimAlone.ended
    patch.setattr(SimAlone, "ended", lambda self, host, order, result: ended(
        self, host, order, dict(result, result="refused") if order["do"] == "stop" else result))  # fmt: skip


def counts_it_again(patch: pytest.MonkeyPatch) -> None:
    """What a host did by itself is charged by every run that hears of it."""
    count = alone.count

    def again(draft: Any, name: str) -> str:
        found = count(draft, name)
        claim = draft.claim(name)
        if claim.ahead is not None:
            draft.set_claim(name, dataclasses.replace(claim, ahead=dataclasses.replace(claim.ahead, used=0)))
        return found

    patch.setattr(alone, "count", again)


@pytest.mark.parametrize("sabotage", [uses_epochs_of_others, outlasts_a_stop, counts_it_again])
def test_a_host_that_helps_itself_without_a_safeguard_is_noticed(sabotage: Callable[[Any], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sabotage(patch)
        for seed in range(100):
            try:
                simulate(seed, leases=True)
            except AssertionError:
                return
    raise AssertionError("the rules notice nothing")
