# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed from one status document to the next: verdicts of items, states of hosts; and how long each lasted."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

ITEM, HOST, ALARM, MONITOR = WHAT = ("item", "host", "alarm", "monitor")  # what an entry is about
GAP = 30.0  # s between two documents, beyond which nobody knows what was between them
UNSEEN = "not watched"
LEFT = "not in the site"  # what left the site

Json = Dict[str, Any]


def changed(document: Mapping[str, Any], known: Mapping[str, Any], watched: float = 0.0) -> Tuple[Json, List[Json]]:
    """What is remembered, and the entries: {at, what, subject, before, after, why, lasted, items, hosts}.

    :param known: what this returned for the document before; empty at first. What is new has no entry.
    :param watched: when the monitor said last that it watches, which it also does while nothing changes.
    """
    now, entries = float(document["at"]), []  # type: float, List[Json]
    after: Json = {"at": now, ITEM: {}, HOST: {}}
    looked = max(float(known.get("at") or 0.0), watched)
    if known:
        entries += unwatched(now, looked)
    for item in document["items"]:
        verdict, why = str(item["verdict"]), str(item.get("cause") or "")
        entries += _one(after, known, ITEM, str(item["item"]), verdict, why, now, items=[item["item"]])
    for host in document["hosts"]:
        why = str(host.get("evidence") or "")
        entries += _one(after, known, HOST, str(host["host"]), str(host["state"]), why, now, hosts=[host["host"]])
    entries += _left(known, after, now)
    return after, entries


def unwatched(now: float, looked: float) -> List[Json]:
    """The entry about the time since a look, when that is so long that nobody watched."""
    if now - looked <= GAP:
        return []
    why = "the monitor did not watch: changes within that time are known by their ends only"
    return [_entry(now, MONITOR, "monitor", UNSEEN, "watching", why, now - looked)]


def _left(known: Mapping[str, Any], after: Json, now: float) -> List[Json]:
    return [
        _entry(now, what, name, before[0], LEFT, "", now - before[1], **{what + "s": [name]})
        for what in (ITEM, HOST) for name, before in (known.get(what) or {}).items() if name not in after[what]
    ]  # fmt: skip


def _one(
    after: Json, known: Mapping[str, Any], what: str, subject: str, state: str, why: str, now: float, **about: Any
) -> List[Json]:
    before = (known.get(what) or {}).get(subject)
    if before is not None and before[0] == state:
        after[what][subject] = before
        return []
    after[what][subject] = [state, now]
    if before is None:
        return []
    return [_entry(now, what, subject, before[0], state, why, now - before[1], **about)]


def _entry(
    now: float, what: str, subject: str, before: str, after: str, why: str, lasted: float, **about: Any
) -> Json:
    return {"at": now, "what": what, "subject": subject, "before": before, "after": after, "why": why,
            "lasted": round(max(0.0, lasted), 1), **about}  # fmt: skip
