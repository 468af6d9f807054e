# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The histories of the monitor on a site whose hosts need leases: no rule has an exception for hosts out of sight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from monitor.core.plan import intents
from monitor.judge.fencing import Fencing
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
