# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wishes that are reported once and never carried out: of a probe in shadow, or of a paused item.

Pure: `wall` is seconds since 1970, for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .wishes import Wish

_Key = tuple[str, int, str, str]


class Shadows:
    """The wishes of the last turn that are only reported."""

    def __init__(self) -> None:
        self._reported: dict[_Key, tuple[Wish, float]] = {}

    def note(self, wishes: Iterable[Wish], wall: float) -> list[Wish]:
        """Take in all wishes of a turn. :return: those to report: only reported, and not there in the turn before."""
        there = {(wish.key, wish.epoch, wish.what, wish.cause): wish for wish in wishes if wish.only_reported}
        new = [wish for key, wish in there.items() if key not in self._reported]
        if there or self._reported:
            self._reported = {key: self._reported.get(key, (wish, wall)) for key, wish in there.items()}
        return new

    def to_json(self) -> list[dict[str, Any]]:
        """For the status file: what would be done now, and since when."""
        return [
            {
                "instance": wish.instance,
                "epoch": wish.epoch,
                "cause": wish.cause,
                "what": wish.what,
                "why": wish.why,
                "paused": wish.paused,
                "at": round(at, 3),
            }
            for wish, at in self._reported.values()
        ]
