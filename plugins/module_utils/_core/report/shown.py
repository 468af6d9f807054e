# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word and the short cause that a row shows: what decides first, and apart what a person must tell apart. Pure.

A verdict is one of six words that programs may rely on. `waiting` means several things to people: it passes by itself
(`starting`, `moving`), it passes at a known time (`held back until 12:03`), or nobody does anything (`no room`).
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping

from ..model.sentences import clock, listing
from ..model.words import FAILED, FREE, STARTED, WAITING

NO_ROOM = "no room"
LONGEST = 90  # characters of a short cause
_FULL = re.compile(
    r"^(?P<host>\S+) has no room: (?P<used>[0-9.]+) of (?P<limit>[0-9.]+) reserved, it needs (?P<needs>[0-9.]+)"
)
_MANY = re.compile(r"^(?P<count>\d+) hosts have no room, the best of them is (?P<rest>.*)$")
_DOWN = re.compile(r"^(?P<host>\S+) is (?:believed |confirmed )?down\b")
_BUS = re.compile(r"^the internal bus of (?P<name>\S+) on (?P<host>\S+) (?P<how>crashed|hangs)")

Json = Dict[str, Any]


def mark(item: Json, instances: Mapping[str, Any], now: float) -> None:
    """Add ``word`` and ``short`` to an item's entry of the status document.

    :param instances: all of the document; those of the item have their state already.
    """
    part = item.get("services") or item.get("hci") or {}
    entry = instances.get(part.get("instance") or "") or {}
    item["word"] = word(item, entry, now)
    item["short"] = short(item, entry)


def word(item: Mapping[str, Any], entry: Mapping[str, Any], now: float) -> str:
    """What a person reads in place of the verdict.

    :param entry: of the instance that decides the verdict.
    """
    verdict = str(item["verdict"])
    if verdict != WAITING:
        return verdict
    state = entry.get("state")
    if state == "starting":
        return "starting"
    if state == "stopping":
        return "moving" if entry.get("target") else "stopping"
    if entry.get("phase") == FAILED and entry.get("until"):
        return "held back until %s" % clock(entry["until"], now)
    if entry.get("phase") == FREE and entry.get("reason") and (entry.get("wanted") or {}).get("state") == STARTED:
        return NO_ROOM if not entry.get("actor") else "starting"
    return verdict


def short(item: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """The cause in one row: what decides first, circumstances after it; the whole sentence is ``cause``."""
    cause = str(item.get("cause") or "")
    if item.get("word") == NO_ROOM:
        return cut("No room: %s" % places(str(entry.get("reason") or cause)))
    found = _BUS.match(cause)
    if found:
        return cut("data bus %s on %s" % (found["how"], found["host"]))
    if item.get("word") == "starting" and entry.get("charged"):
        return cut("restarting on %s: %s" % (entry.get("host") or "?", happened(str(entry["charged"][-1][2]))))
    return cut(cause)


def happened(why: str) -> str:
    """A failure as a phrase of few words: ``its data bus crashed``."""
    if is_bus(why):
        return "its data bus %s" % ("hung" if "hang" in why.partition(": ")[0] else "crashed")
    return why.partition(": ")[0]


def is_bus(why: str) -> bool:
    """Whether a failure is one of an instance's own data bus."""
    return bool(_BUS.match(why)) or why.startswith("the internal bus")


def places(reason: str) -> str:
    """Why no host takes an instance: those without room first, with figures, then the others in few words.

    ``server_3 is full (needs 42, has 16); server_1 and server_2 are down``
    """
    full: List[str] = []
    down: List[str] = []
    other: List[str] = []
    for part in re.split(r"; (?=\S+ (?:has|is|does|needs)\b|\d+ hosts)", re.sub(r"^\S+ waits: ", "", reason)):
        found = _FULL.match(part)
        many = _MANY.match(part)
        if found:
            free = float(found["limit"]) - float(found["used"])
            full.append("%s is full (needs %s, has %g)" % (found["host"], found["needs"], max(0.0, free)))
        elif many:
            full.append("%s hosts are full, the best is %s" % (many["count"], many["rest"]))
        elif _DOWN.match(part):
            down.append(part.split(" ", 1)[0])
        elif part:
            other.append(part)
    if down:
        other.insert(0, "%s %s down" % (listing(down), "is" if len(down) == 1 else "are"))
    return "; ".join(full + other)


def cut(text: str) -> str:
    """At most so much as a row shows, cut between words."""
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(" ;,:") + "…"
