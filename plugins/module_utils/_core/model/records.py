# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's records of maintenance: drained hosts, paused items and sites. Times as in `model.state`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

SITE = "site"  # the key of a pause of everything; of an item it is `item_key`


def item_key(item: str) -> str:
    return "item/%s" % item


@dataclass(frozen=True)
class Drain:
    """A person wants a host empty. It outlasts the host's being suspect or down."""

    by: str = ""
    why: str = ""
    since: float = 0.0
    until: Optional[float] = None  # the host is used again by itself from then on
    at_a_time: int = 0  # instances that leave in one round; 0: all at once

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Drain:
        until = document.get("until")
        return cls(
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("since") or 0.0),
            None if until is None else float(until),
            int(document.get("at_a_time") or 0),
        )

    def to_json(self) -> Dict[str, Any]:
        return {
            "by": self.by,
            "why": self.why,
            "since": self.since,
            "until": self.until,
            "at_a_time": self.at_a_time,
        }


@dataclass(frozen=True)
class Pause:
    """Nothing automatic acts on an item, or on the whole site."""

    by: str = ""
    why: str = ""
    at: float = 0.0
    until: Optional[float] = None  # it ends by itself then

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Pause:
        until = document.get("until")
        return cls(
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("at") or 0.0),
            None if until is None else float(until),
        )

    def to_json(self) -> Dict[str, Any]:
        return {"by": self.by, "why": self.why, "at": self.at, "until": self.until}
