# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a duration fell into which bucket. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

# s; the peer of a bus answers in a millisecond, a run takes seconds
ANSWERS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
RUNS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 900.0)


class Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        """:param bounds: s, rising; a duration belongs to the first bound that is not smaller."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def note(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def to_json(self) -> dict[str, Any]:
        """{bounds, counts, sum}: one count more than bounds, for what was longer than the last."""
        return {"bounds": list(self._bounds), "counts": list(self._counts), "sum": round(self._sum, 6)}
