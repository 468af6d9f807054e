# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the points of a program say: usual, greatest and last values, and how fast they grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.report import trend
from .segments import COLUMNS

Points = Sequence[Sequence[float | None]]
GROWING = ("memory", "threads", "files")
_AGE = 1 + COLUMNS.index("age")


def summary(points: Points) -> Mapping[str, Any]:
    """Of each column but the age its mean, its greatest and its last value; growth per hour since the last start."""
    found: dict[str, Any] = {"starts": len(trend.starts(points, _AGE)), "figures": {}, "growth": {}}
    for number, column in enumerate(COLUMNS[:-1], 1):
        known = [value for point in points if (value := point[number]) is not None]
        found["figures"][column] = None if not known else {
            "mean": round(sum(known) / len(known), 2), "most": max(known), "last": known[-1]}  # fmt: skip
    run = trend.current_run(points, _AGE)
    for column in GROWING:
        growth = trend.per_hour(run, 1 + COLUMNS.index(column))
        found["growth"][column] = None if growth is None else round(growth, 2)
    return found
