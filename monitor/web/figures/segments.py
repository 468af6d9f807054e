# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of many programs over time, in files that are only appended to.

A file is a segment: a line of JSON with the columns and the names of the programs, then one row for each moment: its
time as a double, and one float per column and program; not a number where nothing is known. All is little-endian. A
new segment begins when the programs are others, and when the last one is full; old ones are removed whole. Nothing of
it is held in memory but the names, and a row that was torn by a crash is not read.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

COLUMNS = ("cpu", "memory", "threads", "files", "age")
FOLDER = "past/figures"  # below the state folder
KEPT_SECONDS = 12 * 3600.0
ROWS = 60  # of a segment
MOST_BYTES = 200 << 20  # of all segments
LONGEST_HEAD = 16 << 20  # bytes
_SCHEMA = 1
_END = ".figures"
_WIDTH = len(COLUMNS)


@dataclass(frozen=True)
class Segment:
    """One file."""

    path: Path
    names: list[str]
    begin: int  # of its rows, bytes

    @property
    def row_bytes(self) -> int:
        return 8 + 4 * _WIDTH * len(self.names)

    def rows(self) -> tuple[int, int]:
        """(whole rows, bytes behind them)."""
        return divmod(max(0, self.path.stat().st_size - self.begin), self.row_bytes)


class Segments:
    """Those of a folder; one process writes."""

    def __init__(
        self, folder: Path, kept: float = KEPT_SECONDS, most_bytes: int = MOST_BYTES, rows: int = ROWS
    ) -> None:
        self._folder = folder
        self._kept = kept
        self._most_bytes = most_bytes
        self._rows = rows

    def add(self, at: float, names: Sequence[str], values: Mapping[str, Sequence[float | None]]) -> None:
        """Append a row.

        :param at: seconds since 1970.
        :param names: all programs of the site, in an order that stays.
        :param values: name -> one value per column.
        :raises OSError: when it cannot be written.
        """
        unknown = (math.nan,) * _WIDTH
        row = array("f")
        for name in names:
            row.extend(math.nan if value is None else value for value in values.get(name, unknown))
        if sys.byteorder == "big":
            row.byteswap()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        segment = self._open(at, list(names))
        with segment.path.open("ab") as file:
            file.write(struct.pack("<d", at) + row.tobytes())
        self._forget(at)

    def read(self, name: str, since: float) -> list[list[float | None]]:
        """The points of a program, oldest first: time, then one value per column; None: not known.

        Moments at which nothing is known of it have no point. Where the clock was set back, what lies in the future
        since then is left out.
        """
        found: list[list[float | None]] = []
        newer = math.inf
        for path in reversed(self._paths()):
            segment = _read_head(path)
            if segment is None or name not in segment.names:
                continue
            for at, values in _backwards(segment, segment.names.index(name)):
                if at < since:
                    break
                if at < newer and not all(math.isnan(value) for value in values):
                    newer = at
                    found.append([at, *(None if math.isnan(value) else value for value in values)])
        return found[::-1]

    def _paths(self) -> list[Path]:
        """Oldest first, by the numbers that are their names."""
        with contextlib.suppress(FileNotFoundError):
            own = [path for path in self._folder.iterdir() if path.suffix == _END and path.stem.isdecimal()]
            return sorted(own, key=lambda path: int(path.stem))
        return []

    def _open(self, at: float, names: list[str]) -> Segment:
        """The segment for the next row."""
        paths = self._paths()
        last = _read_head(paths[-1]) if paths else None
        if last is not None and last.names == names:
            rows, torn = last.rows()
            if rows < self._rows and not torn:
                return last
        number = max([int(at), *(int(path.stem) + 1 for path in paths[-1:])])
        path = self._folder / ("%d%s" % (number, _END))
        head = json.dumps({"schema": _SCHEMA, "columns": COLUMNS, "names": names}, separators=(",", ":")).encode()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(head + b"\n")
        return Segment(path, names, len(head) + 1)

    def _forget(self, now: float) -> None:
        """Remove what is too old, and the oldest ones beyond the bound; the newest stays."""
        paths = self._paths()
        sizes = {path: path.stat().st_size for path in paths}
        total = sum(sizes.values())
        for path, following in pairwise(paths):
            old = int(following.stem) < now - self._kept
            if not old and total <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            total -= sizes[path]


def _read_head(path: Path) -> Segment | None:
    """None for what is no segment: a file that was torn while its head was written, or of another version."""
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST_HEAD)
        document = json.loads(line)
        names = document["names"]
        fits = document["schema"] == _SCHEMA and tuple(document["columns"]) == COLUMNS
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Segment(path, names, len(line)) if fits and line.endswith(b"\n") and isinstance(names, list) else None


def _backwards(segment: Segment, index: int) -> Iterator[tuple[float, tuple[float, ...]]]:
    """(time, values) of one program, newest first."""
    try:
        with segment.path.open("rb") as file:
            rows, _torn = segment.rows()
            for row in reversed(range(rows)):
                begin = segment.begin + row * segment.row_bytes
                at = os.pread(file.fileno(), 8, begin)
                values = os.pread(file.fileno(), 4 * _WIDTH, begin + 8 + 4 * _WIDTH * index)
                if len(at) == 8 and len(values) == 4 * _WIDTH:
                    yield struct.unpack("<d", at)[0], struct.unpack("<%df" % _WIDTH, values)
    except FileNotFoundError:
        return  # it was too old meanwhile
