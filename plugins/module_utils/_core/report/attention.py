# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What status shows besides how things run: what people paused, and what they have to see or decide."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ..decide import notices
from ..decide import pauses as decide_pauses
from ..model import records, sentences

Json = Dict[str, Any]


def part(state: Mapping[str, Any], now: float) -> Json:
    """``{"pauses", "conflicts", "failures", "drift"}`` of the status document.

    A pause is {key, by, why, at, until, says}, a conflict {id, instance, hosts, policy, since, why, open,
    acknowledged}, a failure {id, instance, host, at, why, count, acknowledged}, a drift {id, instance, hosts, since,
    why}.
    """
    pauses = [
        dict(pause.to_json(), key=key, says=decide_pauses.sentence(key, pause, now))
        for key, pause in sorted(_now(state, now).items())
    ]
    return dict(notices.shown(state.get("notices") or {}), pauses=pauses)


def _now(state: Mapping[str, Any], now: float) -> Dict[str, records.Pause]:
    """Pauses that are not over yet, whether or not a run has noticed."""
    known = {key: records.Pause.from_json(record) for key, record in (state.get("pauses") or {}).items()}
    return {key: pause for key, pause in known.items() if pause.until is None or pause.until > now}


def mark_paused(item: Json, pauses: List[Json]) -> None:
    """Say in an item's entry that it is paused: ``paused``, and in its cause."""
    keys = (records.SITE, records.item_key(item["item"]))
    says = next((pause["says"] for key in keys for pause in pauses if pause["key"] == key), "")
    item["paused"] = bool(says)
    if says:
        item["cause"] = "%s; %s" % (item["cause"], says) if item["cause"] else says


def lines(document: Mapping[str, Any], now: float) -> List[str]:
    """The same as text, with the ids to acknowledge."""
    text = ["paused: %s" % pause["says"] for pause in document.get("pauses") or []]
    text += ["drift: %s (only reported)" % drift["why"] for drift in document.get("drift") or []]
    for conflict in document.get("conflicts") or []:
        more = "" if conflict["open"] else ", it is over"
        if conflict["acknowledged"]:
            more += ", acknowledged by %s" % conflict["acknowledged"]["by"]
        since = sentences.clock(conflict["since"] or now, now)
        text.append("conflict: %s (since %s%s) [%s]" % (conflict["why"], since, more, conflict["id"]))
    for failure in document.get("failures") or []:
        often = " (%s)" % sentences.times(failure["count"]) if failure["count"] > 1 else ""
        at = sentences.clock(failure["at"] or now, now)
        where = "%s on %s" % (failure["instance"], failure["host"])
        text.append("failed: %s at %s%s: %s [%s]" % (where, at, often, failure["why"], failure["id"]))
    return text
