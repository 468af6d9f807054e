# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One monitor leads at a time, in 60 histories of leaders and stores that fail; and without a safeguard two do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from monitor.judge.leading import Leading
from tests.unit.lead.election import LAST_FAULT_OVER, LENGTH, World

HISTORIES = 60


def histories(kind: Callable[[str, float], Leading] = Leading, rates: float = 0.001) -> list[World]:
    return [World(seed, kind, rates).run() for seed in range(HISTORIES)]


def test_never_two_lead_and_one_does_soon_after_the_last_fault() -> None:
    worlds = histories()
    assert [seed for seed, world in enumerate(worlds) if world.both] == []
    assert all(any(monitor.leads() for monitor in world.monitors) for world in worlds)
    assert sum(len(world.store.terms) for world in worlds) > 5 * HISTORIES  # the lead changed hands, often
    assert max(world.nobody_until for world in worlds) < LAST_FAULT_OVER + 4 * LENGTH
    # What one that was overtaken still has under way, the store refuses.
    assert sum(world.overtaken for world in worlds) > 0 < sum(world.commits for world in worlds)


class FromTheAnswer(Leading):
    """Counts its lease from the answer's arrival."""

    def kept(self, asked: float, length: float) -> None:
        Leading.kept(self, asked + 0.3, length)


class ForEver(Leading):
    """Believes what etcd said last."""

    def leads(self, now: float) -> bool:
        return self.sitting.ours


class WithoutMargin(Leading):
    def leads(self, now: float) -> bool:
        return self.sitting.ours and now < self.until


@pytest.mark.parametrize(("kind", "rates"), [(FromTheAnswer, 0.001), (ForEver, 0.001), (WithoutMargin, 0.2)])
def test_without_a_safeguard_two_lead(kind: Callable[[str, float], Leading], rates: float) -> None:
    assert any(world.both for world in histories(kind, rates))
