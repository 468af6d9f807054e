# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stream of a host for all who follow the same logs: a line carries few streams, and may have many readers.

The last lines are kept beside it, so that who comes later begins as if the stream were their own. Where what they ask
for is not among those (many lines, a time, an older cursor), it is.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import feed, wanted

Json = dict[str, Any]
Open = Callable[[str, Json, feed.Take], feed.End]

MOST_LINES = 1000  # that one asks for at first; more are not kept beside a stream
MOST_BYTES = 256 << 10  # of the texts that are kept
_BESIDE_BYTES = 60  # of a line or a part, beside its text, about


@dataclass(frozen=True)
class Part:
    """What a stream gives."""

    data: bytes = b""  # a JSON list of lines, made once for all readers; empty where there are none
    cursor: Any = None  # where it goes on; None before the host has sent all that it had
    over: str | None = None  # why it ended, last of all


Take = Callable[[Part], None]


class Shared:
    """Those of one process."""

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._streams: dict[str, _Stream] = {}

    def open(self, host: str, numbers: list[int], request: Json, take: Take) -> feed.End:
        """:param numbers: positions of its sources in the whole answer.
        :param request: what the host is asked; see `wanted.Wanted.requests`.
        :return: what ends it."""
        key = json.dumps([host, numbers, request["host"], request["sources"], request.get("word")], sort_keys=True)
        stream = self._streams.get(key)
        if not _common(request) or (stream is not None and not stream.has(request)):
            return self._open(host, request, lambda said: take(_part(said, numbers)))
        if stream is not None:
            name = stream.join(request, take)
            return lambda: self._leave(key, stream, name)
        made = self._streams[key] = _Stream(numbers, request)
        first = made.join(request, take)
        made.end = self._open(host, made.request, lambda said: self._take(key, made, said))
        return lambda: self._leave(key, made, first)

    def _take(self, key: str, stream: _Stream, said: Json) -> None:
        if "over" in said and self._streams.get(key) is stream:
            del self._streams[key]  # first: a reader may ask again at once
        stream.take(said)

    def _leave(self, key: str, stream: _Stream, name: int) -> None:
        if stream.leave(name) and self._streams.get(key) is stream:
            del self._streams[key]
            stream.end()


class _Stream:
    """One stream of a host, what it gave last, and who reads it."""

    def __init__(self, numbers: list[int], request: Json) -> None:
        self._numbers = numbers
        self._lines = max(wanted.LINES, int(request["lines"]))
        self.request = {**request, "lines": self._lines}
        self.end: feed.End = lambda: None
        self._kept: deque[tuple[list[Json], Any, int]] = deque()  # lines, the cursor after them, bytes
        self._count = self._size = 0
        self._before: Any = request.get("after")  # the cursor before what is kept
        self._whole = not self._before  # whether all is kept that the host had
        self._ready = False  # whether the host has sent all that it had
        self._names = itertools.count()
        self._readers: dict[int, tuple[Json, Take]] = {}

    def has(self, request: Mapping[str, Any]) -> bool:
        """Whether what is kept and what comes is all that is asked for."""
        after = request.get("after")
        if after:
            return after == self._before or any(after == cursor for _lines, cursor, _size in self._kept)
        return bool(request["lines"] <= (self._lines if self._whole else self._count))

    def join(self, request: Json, take: Take) -> int:
        """:return: what `leave` takes."""
        name = next(self._names)
        self._readers[name] = (request, take)
        if self._ready:
            take(self._begin(request))
        return name

    def leave(self, name: int) -> bool:
        """:return: whether nobody reads it any more."""
        self._readers.pop(name, None)
        return not self._readers

    def take(self, said: Json) -> None:
        """Take in what the host says, and pass it on."""
        if "over" in said:
            readers, self._readers = self._readers, {}
            for _request, take in readers.values():
                take(Part(over=str(said["over"])))
            return
        lines, cursor = _cleaned(said, self._numbers), said.get("cursor")
        self._keep(lines, cursor)
        if self._ready:
            part = Part(_encoded(lines), cursor)
            for _request, take in list(self._readers.values()):
                take(part)
        elif cursor:
            self._ready = True
            for request, take in list(self._readers.values()):
                take(self._begin(request))

    def _keep(self, lines: list[Json], cursor: Any) -> None:
        size = sum(len(line.get("text") or "") + _BESIDE_BYTES for line in lines) + len(str(cursor)) + _BESIDE_BYTES
        self._kept.append((lines, cursor, size))
        self._count += len(lines)
        self._size += size
        while self._count - len(self._kept[0][0]) >= self._lines or (self._size > MOST_BYTES and len(self._kept) > 1):
            dropped, self._before, size = self._kept.popleft()
            self._count -= len(dropped)
            self._size -= size
            self._whole = False

    def _begin(self, request: Mapping[str, Any]) -> Part:
        """What a reader gets first."""
        lines: list[Json] = []
        after, found = request.get("after"), request.get("after") == self._before
        for of_part, cursor, _size in self._kept:
            if found or not after:
                lines += of_part
            found = found or cursor == after
        if not after:
            lines = lines[-request["lines"]:] if request["lines"] else []  # fmt: skip
        return Part(_encoded(lines), self._kept[-1][1])


def _common(request: Mapping[str, Any]) -> bool:
    """Whether others are likely to follow the same."""
    apart = any(request.get(key) for key in ("since", "until", "previous"))
    return bool(request.get("follow")) and request["lines"] <= MOST_LINES and not apart


def _part(said: Json, numbers: list[int]) -> Part:
    if "over" in said:
        return Part(over=str(said["over"]))
    return Part(_encoded(_cleaned(said, numbers)), said.get("cursor"))


def _cleaned(said: Json, numbers: list[int]) -> list[Json]:
    return [made for made in (feed.clean(line, numbers) for line in said["lines"]) if made is not None]


def _encoded(lines: list[Json]) -> bytes:
    return json.dumps(lines).encode() if lines else b""
