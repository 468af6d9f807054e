# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run could not help is tried again, each time later: a host that is not reached, a claim that stays stuck.

Pure: `now` is seconds of a monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

DELAYS = (2.0, 5.0, 15.0, 60.0, 120.0)  # s before the 1st, 2nd, ... try

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Row:
    why: str
    at: float  # when it is due
    tries: int = 0


class Again(Generic[Key]):
    """One growing row of delays per key; a key that is forgotten begins anew."""

    def __init__(self) -> None:
        self.longest = math.inf  # s between two tries
        self._rows: dict[Key, _Row] = {}

    def note(self, key: Key, why: str, now: float) -> None:
        """Begin a row with its first delay; one that is under way goes on."""
        if key not in self._rows:
            self._rows[key] = _Row(why, now + self._delay(0), 1)

    def follow(self, found: Mapping[Key, str], now: float) -> None:
        """Rows for exactly these keys; a new one is due at once."""
        self._rows = {key: self._rows.get(key) or _Row(why, now) for key, why in found.items()}

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._rows.pop(key, None)

    def due(self, now: float) -> dict[Key, str]:
        """Keys to be tried now, and why."""
        return {key: row.why for key, row in self._rows.items() if row.at <= now}

    def tried(self, now: float) -> None:
        """What is due is tried just now."""
        for row in self._rows.values():
            if row.at <= now:
                row.at = now + self._delay(row.tries)
                row.tries += 1

    def _delay(self, tries: int) -> float:
        return min(DELAYS[min(tries, len(DELAYS) - 1)], self.longest)
