# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load of every host over time: a ring per host, and one file to which new points are appended.

Both are bounded: a point takes 40 bytes of memory, and the file is rewritten when it holds twice what the rings do.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

COLUMNS = ("at", "cpu", "memory", "reserved", "effective")
POINTS_PER_HOST = 720  # half a day at one a minute
POINTS_APART_SECONDS = 10.0  # between two points of a host at least
_WIDTH = len(COLUMNS)


class History:
    """Belongs to one thread."""

    def __init__(self, path: Path, points: int = POINTS_PER_HOST, apart: float = POINTS_APART_SECONDS) -> None:
        self._path = path
        self._points = points
        self._apart = apart
        self._rings: dict[str, array[float]] = {}
        self._lines = 0
        self._torn = False
        self._load()

    def add(self, loads: Mapping[str, Iterable[float]]) -> None:
        """Take in the points that are newer than the last ones: host -> one value per column.

        :raises OSError: when they cannot be written; they are kept in memory.
        """
        lines = []
        for host, values in loads.items():
            point = [round(float(value), 1) for value in values]
            if self._put(host, point):
                lines.append(json.dumps([host, *point], separators=(",", ":")) + "\n")
        if lines:
            self._write("".join(lines), len(lines))

    def forget(self, known: Iterable[str]) -> None:
        """Drop hosts that left the site."""
        keep = set(known)
        for host in [host for host in self._rings if host not in keep]:
            del self._rings[host]

    def to_json(self, only: Iterable[str] | None = None, most: int = 0) -> dict[str, Any]:
        """:param only: these hosts; None: all. :param most: so many points of each, evenly chosen; 0: all of them."""
        names = self._rings if only is None else set(only) & self._rings.keys()
        hosts = {}
        for host in sorted(names):
            ring = self._rings[host]
            count = len(ring) // _WIDTH
            chosen = list(range(count))
            if most and count > most:  # the newest is always one of them
                chosen = sorted({count - 1 - round(step * (count - 1) / max(1, most - 1)) for step in range(most)})
            hosts[host] = [list(ring[at * _WIDTH : (at + 1) * _WIDTH]) for at in chosen]
        return {"columns": list(COLUMNS), "hosts": hosts}

    def _put(self, host: str, point: list[float]) -> bool:
        ring = self._rings.setdefault(host, array("d"))
        while len(ring) and point[0] - ring[-_WIDTH] <= -self._apart:
            del ring[-_WIDTH:]  # the clock was set back: these lie in the future now
        if len(ring) and point[0] - ring[-_WIDTH] < self._apart:
            return False
        ring.extend(point)
        if len(ring) > self._points * _WIDTH:
            del ring[:_WIDTH]
        return True

    def _load(self) -> None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return
        self._torn = bool(text) and not text.endswith("\n")  # a monitor was killed while it wrote
        for line in text.splitlines():
            self._lines += 1
            try:
                host, *point = json.loads(line)
                if len(point) == _WIDTH:
                    self._put(str(host), [float(value) for value in point])
            except (ValueError, TypeError):
                continue

    def _write(self, text: str, count: int) -> None:
        held = sum(len(ring) // _WIDTH for ring in self._rings.values())
        if self._lines + count > 2 * held + 1000:
            temporary = self._path.with_name(self._path.name + ".new")
            with open(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as handle:
                for host, points in self.to_json()["hosts"].items():
                    handle.writelines(json.dumps([host, *p], separators=(",", ":")) + "\n" for p in points)
            os.replace(temporary, self._path)
            self._lines, self._torn = held, False
            return
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as handle:
            handle.write("\n" + text if self._torn else text)
        self._torn = False
        self._lines += count
