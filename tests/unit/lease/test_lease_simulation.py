# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated histories of leases: never two copies; and each safeguard that is taken away makes some.

A sabotage is tried with histories that show it, which a search over thousands found.
"""

from __future__ import annotations

import pytest

from tests.unit.lease.sabotages import SABOTAGES, lesser_fence
from tests.unit.lease.world import World

SEEDS, EACH_TIME, CHUNK = 1000, 100, 50  # the rest in `make long`
LATER = [pytest.param(first, marks=pytest.mark.long) for first in range(EACH_TIME, SEEDS, CHUNK)]
SHOWN = {
    "moved without waiting": (0, 1, 3, 5),
    "a witness born again answers at once": (142, 161, 294, 555),
    "fence at one witness too few": (0, 6, 8, 16),
    "deadline counted from the answer": (41, 52, 58, 69),
    "clocks worse than allowed for": (1696, 1752, 2215),
    "armed after programs may start": (652,),
    "the death signal comes after the checks": (31, 35, 93, 98),
    "a start of an earlier lease counts": (17, 24, 34, 68),
    "a former set of witnesses is forgotten": (6, 8, 64, 70),
    "an old proof counts": (171, 195, 1112),
}


@pytest.mark.parametrize("first", [*range(0, EACH_TIME, CHUNK), *LATER])
def test_never_two_copies(first: int) -> None:
    moves = 0
    for seed in range(first, first + CHUNK):
        world = World(seed, count=5 if seed % 4 == 3 else 3).run()
        assert not world.doubles, "seed %d: two copies for %.2f s" % (seed, world.longest)
        moves += world.moves
    assert moves > CHUNK, "hardly anything happened"


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_without_a_safeguard_there_are_two(sabotage: str) -> None:
    with lesser_fence(sabotage):
        assert any(World(seed, sabotage).run().doubles for seed in SHOWN[sabotage]), "the rule notices nothing"
