# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logs of a host hold already: the last lines of all sources of a request, in the order of time."""

from __future__ import annotations

import time

from . import files, journal, text
from .sources import Wanted, Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping

    from .sources import Source

MOST_BYTES = 3 << 20  # of one answer


class History:
    """The lines, and where each log goes on."""

    __slots__ = ("cursor", "lines", "places")

    def __init__(self) -> None:
        self.lines: List[Dict[str, Any]] = []
        self.places: Dict[str, files.Place] = {}  # key of a source -> where its file goes on
        self.cursor = ""  # of the journal


def read(wanted: Wanted) -> History:
    """:raises Wrong: when it makes no sense.
    :raises OSError: when the journal cannot be read."""
    found = History()
    if any(source.unit for source in wanted.sources):
        journal.sync()
    if wanted.previous:
        _previous(wanted, found)
    else:
        for source in wanted.sources:
            if source.path:
                _of_file(wanted, source, found)
        units = {source.unit: source.number for source in wanted.sources if source.unit}
        if units:
            lines, found.cursor = journal.last_lines(units, wanted.most, wanted.filter())
            found.lines += lines
    found.lines.sort(key=lambda line: line["at"] or 0.0)
    found.lines = found.lines[-wanted.most :] if wanted.most else []
    _bound(found)
    return found


def once(request: Mapping[str, Any]) -> Dict[str, Any]:
    """The agent's verb ``log``: ``{"lines", "cursor"}``, or ``{"error": sentence}``."""
    try:
        found = read(Wanted(dict(request, follow=False)))
    except Wrong as error:
        return {"error": str(error)}
    return {"lines": found.lines}


def _of_file(wanted: Wanted, source: Source, found: History) -> None:
    known = files.parts(source.path)
    top = known[-1].start + known[-1].size if known else 0
    lines, end = files.last_lines(source.number, known, 0, top, wanted.most, wanted.filter(), not wanted.follow)
    found.lines += lines
    if known:  # a line that has not ended may have begun in an older part
        last = next((part for part in reversed(known) if part.start <= end), known[0])
        found.places[source.key] = (last.inode, max(0, end - last.start))


def _previous(wanted: Wanted, found: History) -> None:
    """Of each program, its run before the last start."""
    marks = wanted.marks()
    for source in wanted.sources:
        if source.key != str(source.number):
            continue  # where a run begins is noted for standard output only
        known = marks.get(source.instance, {}).get(source.program, [])
        if not source.instance:
            raise Wrong("%s keeps no record of its starts: use --since" % source.program)
        if not known:
            continue
        last, before = known[-1], known[-2] if len(known) > 1 else None
        if source.unit:
            limits = wanted.filter(before.at if before else None, last.at)
            found.lines += journal.last_lines({source.unit: source.number}, wanted.most, limits)[0]
            continue
        there = files.parts(source.path)
        end = files.located(there, (last.inode, last.offset), last.at) if last.inode else 0
        begin = files.located(there, (before.inode, before.offset), before.at) if before and before.inode else 0
        if end is None:
            found.lines.append(text.note(source.number, last.at, "its lines are not there any more"))
            continue
        found.lines += files.last_lines(source.number, there, begin or 0, end, wanted.most, wanted.filter(),
                                        ended=last.at)[0]


def _bound(found: History) -> None:
    """Leave out the oldest lines of an answer that is too large."""
    size = 0
    for position in range(len(found.lines) - 1, -1, -1):
        line = found.lines[position]
        size += len(line.get("t") or "") + 60
        if size > MOST_BYTES:
            at = line["at"] or time.time()
            why = "%d older lines are left out: they are too much for one answer" % (position + 1)
            found.lines = [text.note(line["s"], at, why), *found.lines[position + 1 :]]
            return
