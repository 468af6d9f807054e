# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when every item has its verdict: neither ledger nor hosts keep that, because verdicts are computed."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Since:
    """Follows the verdicts from one status document to the next."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}  # item -> verdict, since
        self._looked = 0.0

    def mark(self, document: Json) -> None:
        """Add ``since`` to every item: seconds since 1970, or None when it is not known.

        A change between two documents is as old as its cause, where that is known.
        """
        now, known = float(document["at"]), self._known
        self._known = {}
        for item in document["items"]:
            name, verdict = item["item"], item["verdict"]
            before = known.get(name)
            if before is not None and before[0] == verdict:
                since = before[1]
            else:
                since = cause = _cause(document, item)
                if before is not None:
                    since = cause if cause > self._looked else now
            self._known[name] = (verdict, since)
            item["since"] = round(since, 3) or None
        self._looked = now


def _cause(document: Json, item: Json) -> float:
    """When the cause of an item's verdict began, in seconds since 1970; 0 when that is not known."""
    part = item.get("services") or item.get("hci") or {}
    instance = document["instances"].get(part.get("instance")) or {}
    times = [float(instance.get("since") or 0.0)]
    if instance.get("phase") == "free":
        times.append(float((instance.get("wanted") or {}).get("at") or 0.0))
    bus = instance.get("bus") or {}
    if bus.get("health") == "unhealthy":
        times.append(float(bus.get("since") or 0.0))
    return max(times)
