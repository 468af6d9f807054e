# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a figure of a program grows: the slope of the straight line through its points."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

SHORTEST_SECONDS = 1800.0  # what is younger grows because it has just started
APART_SECONDS = 10.0  # by which a time and an age may differ
WARMING_SECONDS = 300.0  # after its start, in which a program fills its caches


def starts(points: Sequence[Sequence[Optional[float]]], age: int) -> List[int]:
    """The positions at which a program had been started again since the point before.

    :param points: oldest first; the first value of each is its time in seconds.
    :param age: position of the seconds since the start. Where nobody looked for long it may have grown although the
        program was started meanwhile: it is younger than that time then.
    """
    found: List[int] = []
    before: Optional[Tuple[float, float]] = None  # when it was seen, and its age then
    for position, point in enumerate(points):
        at, old = point[0], point[age]
        if at is None or old is None:
            continue
        if before is not None and (old < before[1] or old < at - before[0] - APART_SECONDS):
            found.append(position)
        before = (at, old)
    return found


def current_run(points: Sequence[Sequence[Optional[float]]], age: int) -> List[Sequence[Optional[float]]]:
    """The points since the program started last. The parameters are those of `starts`."""
    begin = ([0] + starts(points, age))[-1]
    return [point for point in points[begin:] if (point[age] or 0.0) >= WARMING_SECONDS]


def per_hour(points: Sequence[Sequence[Optional[float]]], column: int) -> Optional[float]:
    """Growth per hour of a column, by least squares; None where the time is too short to say.

    :param points: of one run, oldest first; the first value of each is its time in seconds.
    """
    known: List[Tuple[float, float]] = []
    for point in points:
        at, value = point[0], point[column]
        if at is not None and value is not None:
            known.append((at, value))
    if not known or known[-1][0] - known[0][0] < SHORTEST_SECONDS:
        return None
    middle = sum(at for at, _unused in known) / len(known)
    mean = sum(value for _unused, value in known) / len(known)
    spread = sum((at - middle) ** 2 for at, _unused in known)
    together = sum((at - middle) * (value - mean) for at, value in known)
    return 3600.0 * together / spread if spread else None
