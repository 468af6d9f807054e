# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms about items: one for each that is not well of itself, whatever kind of trouble it is by now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, Mapping, Optional

from ..model.alarm import HIGH, LOW, MEDIUM
from ..model.sentences import listing
from ..model.words import DEGRADED, FAILED, NOT_OPERATIONAL, STARTED, STOPPED, UNKNOWN, WAITING
from ..report import shown
from .failures import Failure, failures
from .picture import SETTLES, Condition, Picture

NOT_KNOWN = 10.0  # s until an item that nobody sees is an alarm
SOON = 3.0  # s until one that is not operational is an alarm
REPAIRED_WITHIN = 30.0  # s that a dead bus is left to the monitor, before it is urgent
NOTICED_WITHIN = 5.0  # s between a failure and the item's not being well
ON_ITS_WAY = 120.0  # s that a start, a stop or a move may take
PENDING = 86400.0  # s that a configuration may wait to be taken


def conditions(picture: Picture, below: Mapping[str, str], explained: Mapping[str, Any] = {}) -> Iterator[Condition]:
    """:param below: items whose trouble has another cause, which has its alarm. :param explained: such conflicts."""
    for item in picture.items:
        if item in below:
            continue
        found = _of_item(picture, item)
        if found is not None:
            if found.after >= SOON and _in_doubt(picture, item):
                found = replace(found, after=found.after + SETTLES)
            yield replace(found, items=(item,), ill=() if picture.well(item) else (item,))
    yield from _pending(picture)
    yield from _conflicts(picture, explained)
    for drift in picture.document.get("drift") or ():
        since = float(drift.get("since") or 0.0)
        owner = picture.document["instances"].get(drift.get("instance") or "", {}).get("item")
        items = (owner,) if owner else ()
        yield Condition(drift["id"], "drift", LOW, drift["why"], since, items=items, hosts=tuple(drift["hosts"]))


def _in_doubt(picture: Picture, item: str) -> bool:
    """Whether one of its hosts is in doubt, of which nobody has heard yet: if it is down, that says it all."""
    hosts = [str(part.get("host")) for _unused, part in picture.of_item.get(item, ())]
    return any(picture.silent.get(host, "") not in ("", *picture.told) for host in hosts)


def _of_item(picture: Picture, item: str) -> Optional[Condition]:
    key, entry = "item:%s" % item, picture.items[item]
    new = _newest(picture, item)
    word, detail = str(entry.get("word") or entry["verdict"]), str(entry.get("cause") or "")
    failed = [part for _n, part in picture.services(item) if part["phase"] == FAILED and not part.get("until")]
    failed = [part for part in failed if (part.get("wanted") or {}).get("state") == STARTED]
    if failed:
        why = str(failed[0].get("reason") or "it failed too often")
        return Condition(key, "quarantine", HIGH, "%s stays down: %s" % (item, shown.cut(why)), new.at if new else 0.0,
                         detail=why, past="%s was down after too many failures" % item)  # fmt: skip
    if word == shown.NO_ROOM:
        return Condition(key, "no-room", HIGH, "%s has no room: %s" % (item, shown.places(detail)), detail=detail,
                         past="%s had no room" % item)  # fmt: skip
    if new is not None:
        return _failed(picture, item, new)
    if entry["verdict"] == NOT_OPERATIONAL:
        kind = "bus" if shown.is_bus(detail) else "item"
        past = "data bus of %s did not answer" % item if kind == "bus" else "%s was not operational" % item
        soon = kind == "bus" and picture.now - picture.since.get(key, picture.now) < REPAIRED_WITHIN
        return Condition(key, kind, MEDIUM if soon else HIGH, "%s is not operational: %s" % (item, entry["short"]),
                         after=SOON, detail=detail, past=past)  # fmt: skip
    if entry["verdict"] == UNKNOWN:
        return Condition(key, "item", MEDIUM, "%s is not known: %s" % (item, entry["short"]), after=NOT_KNOWN,
                         detail=detail, past="%s was not known" % item)  # fmt: skip
    if entry["verdict"] == WAITING:
        return Condition(key, "item", MEDIUM, "%s is %s: %s" % (item, word, entry["short"]), detail=detail,
                         after=0.0 if word.startswith("held back") else ON_ITS_WAY,
                         past="%s took long to start or move" % item)  # fmt: skip
    if entry["verdict"] == DEGRADED:
        return Condition(key, "item", LOW, "%s is degraded: %s" % (item, entry["short"]), after=SOON, detail=detail,
                         past="%s was degraded" % item)  # fmt: skip
    return None


def _failed(picture: Picture, item: str, failure: Failure) -> Condition:
    """It failed, and is on its way back or back already."""
    at, host, why = failure.at, failure.host, failure.why
    how, bus = shown.happened(why), shown.is_bus(why)
    if bus:
        past = "data bus of %s %s on %s" % (item, how.rpartition(" ")[2], host)
    else:
        past = "%s failed on %s: %s" % (item, host, how)
    now = "its windows are closed" if failure.window and picture.well(item) else is_now(picture, item)
    return Condition(
        "item:%s" % item, "bus" if bus else "item", MEDIUM, "%s; %s" % (past, now), at,
        picture.well(item), max(at, picture.ended(item)), past, after=0.0, detail=why,
    )  # fmt: skip


def _newest(picture: Picture, item: str) -> Optional[Failure]:
    """The last failure: one that is new, or that has kept the item from running since; not one after which it ran."""
    found = [one for one in failures(picture, item) if not (one.told or (one.window and one.host in picture.silent))]
    if not found:
        return None
    fresh = [one for one in found if picture.memory.begun and not picture.memory.knows(item, one.at)]
    last = (fresh or found)[-1]
    since = picture.memory.ill.get(item, picture.now if picture.memory.begun else 0.0)
    kept = last.at > since - NOTICED_WITHIN and not last.at < last.over < since
    return last if fresh or (not picture.well(item) and kept) else None


def is_now(picture: Picture, item: str) -> str:
    """``runs again on server_2``"""
    entry = picture.items[item]
    word = str(entry.get("word") or entry["verdict"])
    where = (entry.get("services") or entry.get("hci") or {}).get("host")
    if entry["verdict"] == STOPPED:
        return "it is stopped"
    if picture.well(item):
        return "runs again on %s" % where if where else "it is closed"
    if word == "starting":
        return "it is started again on %s" % where if where else "it is started again"
    return "it is %s" % word


def _pending(picture: Picture) -> Iterator[Condition]:
    """Configurations that wait too long, those of one cause together."""
    for name, entry in picture.document["instances"].items():
        pending = entry.get("pending")
        if pending and picture.now - float(pending.get("first") or pending["since"]) > PENDING:
            says = "%s still runs with an older configuration: %s" % (name, pending["says"])
            yield Condition("pending:%s" % name, "pending", LOW, says, items=tuple(filter(None, [entry.get("item")])))


def _conflicts(picture: Picture, explained: Mapping[str, Any]) -> Iterator[Condition]:
    for conflict in picture.document.get("conflicts") or ():
        if conflict["id"] in explained:
            continue
        item = picture.document["instances"].get(conflict["instance"], {}).get("item")
        where = listing(conflict["hosts"])
        head = "%s %s where it must not, on %s" % (
            conflict["instance"], "runs" if conflict["open"] else "ran", where or "a host")
        yield Condition(
            conflict["id"], "conflict", HIGH if conflict["open"] else MEDIUM, head, float(conflict["since"] or 0.0),
            not conflict["open"], items=(item,) if item else (), hosts=tuple(conflict["hosts"]),
            detail=conflict["why"],
        )  # fmt: skip
