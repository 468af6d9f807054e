# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories of leases from which one safeguard after the other is taken away.

    python -m tests.unit.lease.sabotages [HISTORIES [SABOTAGE]]
"""

from __future__ import annotations

import sys

from tests.unit.lease.world import World

SABOTAGES = (
    "moved without waiting",
    "a witness born again answers at once",
    "fence at one witness too few",
    "deadline counted from the answer",
    "clocks worse than allowed for",
    "armed after programs may start",
    "the death signal comes after the checks",
    "a start of an earlier lease counts",
    "a former set of witnesses is forgotten",
    "an old proof counts",
)


def main(histories: int, sabotages: list[str]) -> None:
    """Print what many histories show."""
    for sabotage in sabotages:
        for count in (3, 5):
            moves = doubles = 0
            longest = 0.0
            with lesser_fence(sabotage):
                for seed in range(histories):
                    world = World(seed, sabotage, count).run()
                    moves, doubles = moves + world.moves, doubles + world.doubles
                    longest = max(longest, world.longest)
            print("%d witnesses, %s: %d moves, %d with two copies, %.2f s at most"
                  % (count, sabotage or "as designed", moves, doubles, longest), flush=True)  # fmt: skip


class lesser_fence:
    """While it is entered, and the sabotage is that one, one witness less makes a fence."""

    def __init__(self, sabotage: str) -> None:
        self._on = sabotage == "fence at one witness too few"

    def __enter__(self) -> None:
        from monitor.watch import fence

        self._module, self._real = fence, fence.fence_size
        if self._on:
            fence.fence_size = lambda count: self._real(count) - 1

    def __exit__(self, *_unused: object) -> None:
        self._module.fence_size = self._real


if __name__ == "__main__":
    chosen = sys.argv[2:] or ["", *SABOTAGES]
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, chosen)
