# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a time each item was of use, from the changes of its verdict."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Tuple

from ..model.words import DEGRADED, OPERATIONAL, STOPPED
from .past import ITEM, LEFT, MONITOR, UNSEEN

Json = Dict[str, Any]
SERVED = (OPERATIONAL, DEGRADED)
ROUNDED = 0.2  # s
COLUMNS = ("item", "available", "operational", "degraded", "out", "stopped", "unseen", "outages", "longest")


def availability(
    items: Iterable[str], present: Mapping[str, Any], entries: Iterable[Mapping[str, Any]], first: float, last: float
) -> List[Json]:
    """Per item: {item, available, operational, degraded, out, stopped, unseen, outages, longest, pieces}.

    ``available`` is percent of the time in which the item should have run and was watched, None without such a time;
    the times are seconds, ``longest`` that of the longest outage; ``pieces`` are [from, to, verdict].

    :param present: item -> [verdict, since], as `past.changed` remembers it.
    :param entries: of the past from `first` on, the oldest first.
    """
    by_item: Dict[str, List[Mapping[str, Any]]] = {}
    gaps: List[Tuple[float, float]] = []
    for entry in entries:
        if entry["what"] == ITEM:
            by_item.setdefault(str(entry["subject"]), []).append(entry)
        elif entry["what"] == MONITOR:
            gaps.append((float(entry["at"]) - float(entry["lasted"]), float(entry["at"])))
    return [_row(item, present.get(item), by_item.get(item, []), gaps, first, last) for item in items]


def _row(
    item: str, now: Any, entries: List[Mapping[str, Any]], gaps: List[Tuple[float, float]], first: float, last: float
) -> Json:
    pieces = _without(_pieces(now, entries, first, last), gaps)
    total: Dict[str, float] = {}
    outages, longest, running = 0, 0.0, 0.0
    for begin, end, verdict in pieces:
        group = verdict if verdict in (*SERVED, STOPPED, UNSEEN) else "out"
        total[group] = total.get(group, 0.0) + end - begin
        if group == "out":
            outages += not running
            running += end - begin
            longest = max(longest, running)
        else:
            running = 0.0
    served = sum(total.get(verdict, 0.0) for verdict in SERVED)
    due = served + total.get("out", 0.0)
    return {
        "item": item, "available": round(100 * served / due, 3) if due else None,
        "operational": round(total.get(OPERATIONAL, 0.0), 1), "degraded": round(total.get(DEGRADED, 0.0), 1),
        "out": round(total.get("out", 0.0), 1), "stopped": round(total.get(STOPPED, 0.0), 1),
        "unseen": round(total.get(UNSEEN, 0.0), 1), "outages": outages, "longest": round(longest, 1),
        "pieces": [[round(begin, 1), round(end, 1), verdict] for begin, end, verdict in pieces],
    }  # fmt: skip


def _pieces(
    now: Any, entries: List[Mapping[str, Any]], first: float, last: float
) -> List[Tuple[float, float, str]]:  # fmt: skip
    """From when to when it had which verdict; what is not known is `UNSEEN`.

    Each entry knows how long it was so before, and what is known now since when: where that does not follow one upon
    the other, the item was not in the site meanwhile.
    """
    known = sorted((float(e["at"]), float(e["lasted"]), str(e["before"]), str(e["after"])) for e in entries)
    pieces: List[Tuple[float, float, str]] = []
    end = first
    for at, lasted, before, _after in known:
        begin = _joined(end, at - lasted)
        pieces += [(end, begin, UNSEEN), (begin, at, before)]
        end = max(end, at)
    verdict, since = (str(now[0]), float(now[1])) if now else (UNSEEN, end)
    if known and since < end - ROUNDED:  # it was read before the last entry came
        verdict, since = known[-1][3], end
    begin = _joined(end, since)
    pieces += [(end, begin, UNSEEN), (begin, last, UNSEEN if verdict == LEFT else verdict)]
    return _nonempty([(max(first, b), min(last, e), verdict) for b, e, verdict in pieces])


def _joined(end: float, begin: float) -> float:
    """Where the next piece begins: how long something lasted is rounded."""
    return end if begin <= end + ROUNDED else begin


def _nonempty(pieces: List[Tuple[float, float, str]]) -> List[Tuple[float, float, str]]:
    return [piece for piece in pieces if piece[1] > piece[0]]


def _without(
    pieces: List[Tuple[float, float, str]], gaps: List[Tuple[float, float]]
) -> List[Tuple[float, float, str]]:
    """The pieces with the times in which nobody watched cut out of them."""
    for begin, end in gaps:
        cut: List[Tuple[float, float, str]] = []
        for first, last, verdict in pieces:
            cut += [(first, min(last, begin), verdict), (max(first, begin), min(last, end), UNSEEN),
                    (max(first, end), last, verdict)]  # fmt: skip
        pieces = _nonempty(cut)
    return pieces
