# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of leases. Pure; all times are seconds of a clock that counts suspended time.

A host asks every witness again and again. A question sent at s (the host's clock) that is answered gives a lease until
s + `length`, however late the answer is. The lease of the host counts by its k-th newest answered question, k being a
majority of the witnesses. What it runs ends at that moment, by the kernel, within `ENDING`.

A witness that answered at r (its clock) knows that the answer counts until r + `length`, since s <= r. So who hears
that from a majority of witnesses, which answer the host no more, knows when nothing of the host can live any longer.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional

ENDING = 0.3  # s from the end of a lease until the last process that it allowed has ended
SPARE = 0.05  # s beyond what the arithmetic asks for: the grain of timers and of the system's clock
QUESTIONS_PER_LEASE = 4  # so that two lost datagrams in a row cost nothing


class Terms:
    """The numbers that host, witness and monitor share."""

    __slots__ = ("error", "length", "margin")

    def __init__(self, length: float, margin: float, error: float) -> None:
        """
        :param length: s for which an answered question counts.
        :param margin: s before the end of a lease at which the host begins to stop what it runs.
        :param error: by which fraction the rate of any clock may be wrong.
        """
        self.length = length
        self.margin = margin
        self.error = error

    @property
    def interval(self) -> float:
        """Seconds between two questions."""
        return self.length / QUESTIONS_PER_LEASE

    def elsewhere(self, seconds: float) -> float:
        """How long some seconds of another machine's clock may last by this machine's clock, at most."""
        return seconds * (1 + self.error) / (1 - self.error)


def majority(count: int) -> int:
    return count // 2 + 1


def fence_size(count: int) -> int:
    """How many of `count` witnesses must refuse a host, so that it finds no majority among the others."""
    return count - majority(count) + 1


def newest(times: Iterable[float], rank: int) -> Optional[float]:
    """The `rank`-th newest of some times; None when there are fewer."""
    ordered = sorted(times, reverse=True)
    return ordered[rank - 1] if len(ordered) >= rank else None
