# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The histories of the monitor while people deploy other configurations: rollouts keep their rules, and end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from monitor.core.decide import batches, rollouts
from monitor.core.model.rollout import Rollout
from tests.unit.simulation.story import simulate

SEEDS, EACH_TIME, CHUNK = 1000, 50, 50
LATER = [pytest.param(first, marks=pytest.mark.long) for first in range(EACH_TIME, SEEDS, CHUNK)]


@pytest.mark.parametrize("first", [*range(0, EACH_TIME, CHUNK), *LATER])
def test_rollouts_keep_their_rules_in_any_history(first: int) -> None:
    broken, counted = [], Counter[str]()
    for seed in range(first, first + CHUNK):
        try:
            counted.update(simulate(seed, rollouts=True))
        except AssertionError as error:
            broken.append("seed %d: %s (python -m tests.unit.simulation.story --rollouts %d)" % (seed, error, seed))
    assert not broken, "\n".join(broken)
    assert counted["rollouts"] > CHUNK and counted["faults"] > CHUNK, "hardly anything happened: %s" % counted


def all_at_once(patch: pytest.MonkeyPatch) -> None:
    """Batches have no bound."""
    patch.setattr(batches, "_batch", lambda left, _size: list(left))


def never_well(patch: pytest.MonkeyPatch) -> None:
    """No batch is ever through, and none is ever late."""
    patch.setattr(rollouts, "_go_on", lambda _draft, record, _lost: record)


def forgets_its_turn(patch: pytest.MonkeyPatch) -> None:
    """Whatever restarts takes the newest configuration."""
    patch.setattr(Rollout, "effective", lambda _self, _wanted: {})


@pytest.mark.parametrize(
    ("sabotage", "rule"), [(all_at_once, "rollout"), (never_well, "ends"), (forgets_its_turn, "rollout")]
)
def test_without_a_safeguard_some_do_not(sabotage: Callable[[Any], None], rule: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sabotage(patch)
        for seed in range(100):
            try:
                simulate(seed, rollouts=True)
            except AssertionError as error:
                assert str(error).startswith(rule), error
                return
    raise AssertionError("the rules notice nothing")
