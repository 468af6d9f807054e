# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log in files that its writer rotates: ``x.log``, before it ``x.log.1``, before that ``x.log.2``, and so on.

A place in it is the inode of a part and an offset, which a rotation does not change: parts are renamed. Only regular
files are read, and no links are followed: what writes a log must not be able to show another file.
"""

from __future__ import annotations

import math
import os
import stat

from . import text, times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    Place = Tuple[int, int]  # inode, offset in bytes

MOST_PARTS = 50
SCANNED_BYTES = 8 << 20  # from the end of a log, at most
_FIRST_BYTES = 64 << 10  # that are looked at; four times as many each time that is not enough
BACKLOG_BYTES = 1 << 20  # that a reader may be behind: what is older is left out
_CLOCKS_APART = 0.01  # s, by which the time of a file is behind
_KEPT_BYTES = 64 << 10  # of it
_TRIES = 20  # to open a file before it has another name again


class Part:
    """One file of a log."""

    __slots__ = ("changed", "inode", "path", "size", "start")

    def __init__(self, path: str, facts: os.stat_result, start: int) -> None:
        self.path = path
        self.inode = facts.st_ino
        self.size = facts.st_size
        self.changed = facts.st_mtime
        self.start = start  # bytes of all older parts


def parts(path: str) -> List[Part]:
    """The files of a log, the oldest first; empty when there is none."""
    found = []
    gaps = 0  # one is there while the parts are renamed
    for number in range(MOST_PARTS + 1):
        name = "%s.%d" % (path, number) if number else path
        try:
            facts = os.stat(name, follow_symlinks=False)
        except OSError:
            gaps += 1
            if gaps > 1:
                break
            continue
        if stat.S_ISREG(facts.st_mode):
            found.append((name, facts))
    result: List[Part] = []
    start = 0
    for name, facts in reversed(found):
        result.append(Part(name, facts, start))
        start += facts.st_size
    return result


def opened(path: str) -> int:
    """:raises OSError: also when it is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(22, "is no regular file", path)
    return descriptor


def located(known: Sequence[Part], place: Place, at: float) -> Optional[int]:
    """Bytes before a place, of all that is there; None when its part is gone.

    :param at: when the place was noted: an inode may belong to another file by now.
    """
    for position, part in enumerate(known):
        before = known[position - 1].changed if position else 0.0
        if part.inode == place[0] and place[1] <= part.size and before <= at + _CLOCKS_APART:
            return part.start + place[1]
    return None


def between(known: Sequence[Part], begin: int, end: int) -> bytes:
    """The bytes of a log from `begin` to `end`, as far as they can be read."""
    data = b""
    for part in known:
        first, last = max(begin, part.start), min(end, part.start + part.size)
        if first >= last:
            continue
        try:
            descriptor = opened(part.path)
        except OSError:
            continue
        try:
            if os.fstat(descriptor).st_ino != part.inode:  # it was rotated meanwhile
                continue
            data += os.pread(descriptor, last - first, first - part.start)
        finally:
            os.close(descriptor)
    return data


def last_lines(
    source: int, known: Sequence[Part], begin: int, end: int, most: int, wanted: text.Filter, partial: bool = True,
    ended: float = math.inf,
) -> Tuple[List[Dict[str, Any]], int]:
    """The last lines between two places, the oldest first, and where the next one begins.

    :param most: how many lines.
    :param partial: whether the last line counts although it has not ended.
    :param ended: when the last of them was written at the latest, where that is known better than by the file.
    """
    size, top = _FIRST_BYTES, known[-1].start + known[-1].size if known else 0
    near = min(ended, next((part.changed for part in reversed(known) if part.start < end), 0.0))
    while True:
        first = max(begin, end - size)
        data = between(known, first, end)
        lines = data.split(b"\n")
        rest = lines.pop()
        if first > begin and lines:
            lines = lines[1:]  # the first one is incomplete
        if rest and (partial or end < top):
            lines.append(rest)
            rest = b""
        moments = times.complete(lines, near)
        found = []
        for data_of, at in zip(lines, moments):
            made = text.line(source, at, data_of)
            if wanted.takes(made["t"], near if at is None else at):
                found.append(made)
        oldest = next((at for at in moments if at is not None), None)
        enough = len(found) >= most or (wanted.since is not None and oldest is not None and oldest < wanted.since)
        if enough or first <= begin or size >= SCANNED_BYTES:
            for entry in found:
                if entry["at"] is None:
                    entry["at"] = round(near, 3)
                    entry["about"] = 1
            if not enough and first > begin:
                says = "only its last %d MiB were looked through" % (size >> 20)
                found.insert(0, text.note(source, near if oldest is None else oldest, says))
            return found[-most:] if most else [], end - len(rest)
        size *= 4


class Follower:
    """Reads what is written to a log from a place on, over rotations."""

    def __init__(self, path: str, place: Optional[Place]) -> None:
        """:param place: None: from the beginning of the file that is made next, or that is there now."""
        self._path = path
        self._descriptor = -1
        self._inode = 0
        self._offset = 0
        self._cutter = text.Cutter()
        self._begun: Optional[Place] = None  # of the line that is held back, where that began in the part before
        self.lost = ""  # a sentence about lines that are left out, until it is taken
        if place is not None:
            self._resume(place)

    def place(self) -> Optional[Place]:
        """Where the first line begins that was not passed on."""
        if self._begun is not None and self._cutter.held > self._offset:
            return self._begun
        return (self._inode, max(0, self._offset - self._cutter.held)) if self._inode else None

    def lines(self, most: int) -> List[Tuple[bytes, int]]:
        """What is new: (line, bytes of it that were not kept).

        :param most: bytes to read.
        """
        if self._descriptor < 0 and not self._open(self._path, 0):
            return []
        self._skip()
        data = os.pread(self._descriptor, most, self._offset)
        if not data and self._moved():
            data = os.pread(self._descriptor, most, self._offset)
        self._offset += len(data)
        return self._cutter.lines(data) if data else []

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _resume(self, place: Place) -> None:
        for _unused in range(_TRIES):
            part = next((part for part in parts(self._path) if part.inode == place[0] and place[1] <= part.size), None)
            if part is None:
                break
            if self._open(part.path, place[1], part.inode):
                return
        self.lost = "what was written in between is not there any more"

    def _open(self, path: str, offset: int, inode: int = 0) -> bool:
        """:param inode: which file it has to be: by now the name may be that of another one."""
        try:
            descriptor = opened(path)
        except OSError:
            return False
        if inode not in (0, os.fstat(descriptor).st_ino):
            os.close(descriptor)
            return False
        self.close()
        self._descriptor, self._inode, self._offset = descriptor, os.fstat(descriptor).st_ino, offset
        self._cutter = text.Cutter()
        return True

    def _skip(self) -> None:
        """Leave out what is too much to catch up with."""
        behind = os.fstat(self._descriptor).st_size - self._offset
        if behind > BACKLOG_BYTES:
            left = behind - _KEPT_BYTES
            self._offset += left
            self._cutter = text.Cutter()
            self.lost = "%d bytes are left out: it writes faster than they can be shown" % left

    def _moved(self) -> bool:
        """At the end of a part: go on with the next one, if there is one. :return: whether there is more to read."""
        size = os.fstat(self._descriptor).st_size
        if size < self._offset:
            self._offset, self._cutter = 0, text.Cutter()
            self.lost = "the file was cut short"
            return True
        try:
            if os.stat(self._path, follow_symlinks=False).st_ino == self._inode:
                return False
        except OSError:
            return False
        for _unused in range(_TRIES):  # they may be renamed between the look at them and the opening of one
            known = parts(self._path)
            if os.fstat(self._descriptor).st_size > self._offset:
                return True  # written between the last look and the rotation
            at = max((position for position, part in enumerate(known) if part.inode == self._inode), default=-1)
            newer, cutter, place = known[at + 1 :], self._cutter, self.place()
            if newer and self._open(newer[0].path, 0, newer[0].inode):
                if at < 0:
                    self.lost = "some lines are left out: they were rotated away before they could be read"
                else:  # what rotates a log does not wait for the end of a line
                    self._cutter, self._begun = cutter, place
                return True
        return False
