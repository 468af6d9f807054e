# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search of the trail by time, item, host, person and word. Entries have no index but their number: time grows with it,
so the first one of a time is found by halving, whatever keeps the trail."""

from __future__ import annotations

import re
from typing import AbstractSet, Any, Callable, Dict, List, NamedTuple, Optional

AT_ONCE = 1000  # entries that are read at once
MOST_READ = 50000  # of the trail for one search, the newest of the time
SET_BACK = 2 * 3600.0  # s by which clocks may have been set back: so much of both ends is read beside the time itself

Json = Dict[str, Any]
Read = Callable[[Optional[int], int], List[Json]]  # (after, limit) -> entries, as a ledger's `trail`


class Wanted(NamedTuple):
    """What is searched; None and empty: all. Times in seconds since 1970."""

    since: Optional[float] = None
    until: Optional[float] = None
    item: str = ""
    host: str = ""
    person: str = ""
    word: str = ""


def search(read: Read, wanted: Wanted, names: AbstractSet[str], limit: int) -> List[Json]:
    """The newest `limit` entries that fit, the oldest first.

    :param names: the instances of the item.
    """
    newest = read(None, 1)
    if not newest:
        return []
    last = int(newest[-1]["id"])
    first = _first(read, wanted.since - SET_BACK, last) if wanted.since is not None else 0
    end = last if wanted.until is None else _first(read, wanted.until + SET_BACK, last)
    found: List[Json] = []
    stop, lowest = end, max(first, end - MOST_READ)
    while stop > lowest and len(found) < limit:
        after = max(lowest, stop - AT_ONCE)
        page = [entry for entry in read(after, stop - after) if int(entry["id"]) <= stop]
        found = [entry for entry in page if fits(entry, wanted, names)] + found
        stop = after
    return found[-limit:]


def since(read: Read, at: float) -> List[Json]:
    """All entries since a moment, the oldest first."""
    return search(read, Wanted(since=at), frozenset(), MOST_READ)


def _first(read: Read, at: float, last: int) -> int:
    """The id before the first entry at or after a moment."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        entries = read(middle, 1)
        if entries and float(entries[0]["at"]) < at:
            low = max(middle + 1, int(entries[0]["id"]))
        else:
            high = middle
    return low


def fits(entry: Json, wanted: Wanted, names: AbstractSet[str]) -> bool:
    at = float(entry["at"])
    texts = " ".join(str(entry.get(key) or "") for key in ("what", "why", "result", "instance", "host", "who")).lower()
    return (
        (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
        and (not wanted.item or entry.get("instance") in names or _names(texts, "item[ :]", wanted.item))
        and (not wanted.host or entry.get("host") == wanted.host or _names(texts, "", wanted.host))
        and (not wanted.person or wanted.person.lower() in str(entry.get("who") or "").lower())
        and (not wanted.word or wanted.word.lower() in texts)
    )


def _names(texts: str, before: str, name: str) -> bool:
    """Whether a text has this name, and not only a longer one that has it in it."""
    return bool(re.search(r"(?<![\w.-])%s%s(?![\w-]|\.\w)" % (before, re.escape(name.lower())), texts))
