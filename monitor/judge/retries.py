# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a reconcile that did not help is tried again: later each time, per host that it did not reach or claim that is
stuck.

Pure: `now` is seconds of a monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..core.model.moments import Ladder

# s before the 1st, 2nd, ... try of a reconcile. A host that boots or reloads its network is back within some seconds,
# so the first tries are close. Each one looks at every host: from 60 s on, the interval of the regular look, it only
# adds to that. A caller bounds it by `longest`.
DELAYS = Ladder((2.0, 5.0, 15.0, 60.0, 120.0))

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Row:
    why: str
    at: float  # when it is due
    tries: int = 0


class Again(Generic[Key]):
    """One row of growing delays per key. A key that is forgotten starts with the first delay when it comes back."""

    def __init__(self) -> None:
        self.longest = math.inf  # s between two tries
        self._rows: dict[Key, _Row] = {}

    def note(self, key: Key, why: str, now: float) -> None:
        """Start the row of a key with the first delay; a row that exists is left as it is."""
        if key not in self._rows:
            self._rows[key] = _Row(why, now + self._delay(0), 1)

    def follow(self, found: Mapping[Key, str], now: float) -> None:
        """Keep rows for exactly these keys; a new one is due at once. :param found: key -> why."""
        self._rows = {key: self._rows.get(key) or _Row(why, now) for key, why in found.items()}

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._rows.pop(key, None)

    def due(self, now: float) -> dict[Key, str]:
        """The keys whose delay is over -> why they are to be tried."""
        return {key: row.why for key, row in self._rows.items() if row.at <= now}

    def tried(self, now: float) -> None:
        """Everything that is due is being tried: start the next delay of each."""
        for row in self._rows.values():
            if row.at <= now:
                row.at = now + self._delay(row.tries)
                row.tries += 1

    def _delay(self, tries: int) -> float:
        return min(DELAYS.wait(tries), self.longest)
