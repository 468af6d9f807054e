# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A saved plan against what would be planned now: what differs, as rows of a table. Pure."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from ..model.sentences import clock, listing

MOST = 12  # rows of the table
MOMENTS = 1e9  # s: larger numbers are seconds since 1970
NOISE = ("since",)  # keys that follow from others


class Row(NamedTuple):
    """One fact that moved."""

    what: str
    saved: str
    now: str


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> List[Row]:
    """Every fact of one that is not the same in the other.

    :param saved: as `plan.facts.facts` made them.
    """
    before, after = dict(_leaves(saved, ())), dict(_leaves(now, ()))
    rows = []
    for path in dict.fromkeys((*before, *after)):
        old, new = before.get(path), after.get(path)
        if old != new and path[-1:] != NOISE:
            rows.append(Row(" ".join(path), _shown(old), _shown(new)))
    if not rows and dict(saved) != dict(now):
        rows.append(Row("the facts", "as saved", "changed"))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows below each other, for people."""
    shown = [Row("WHAT", "IN THE PLAN", "NOW"), *rows[:MOST]]
    widths = [max(len(row[column]) for row in shown) for column in (0, 1)]
    lines = ["%-*s  %-*s  %s" % (widths[0], row.what, widths[1], row.saved, row.now) for row in shown]
    if len(rows) > MOST:
        lines.append("and %d more" % (len(rows) - MOST))
    return "\n".join(lines)


def _leaves(value: Any, path: Tuple[str, ...]) -> Iterator[Tuple[Tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, (*path, str(key)))
    elif value not in (None, "", {}, []):
        yield path, value


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return listing([_shown(part) for part in value], most=12)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value > MOMENTS:
        return clock(value, value, seconds=True)
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
