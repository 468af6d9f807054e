# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of logs, of all hosts that have them, as one answer."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...core.model.text import printable
from . import feed, wanted

Json = dict[str, Any]
WITHIN_SECONDS = 15.0  # for all hosts
HOSTS_AT_A_TIME = 20  # that are asked for figures
PROGRAMS_AT_A_TIME = 500  # of a host: it answers in one document
MOST_BYTES = 16 << 20  # of lines that are kept, of one host


class _OfHost:
    """What one host has answered."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers
        self.lines: list[Json] = []
        self.cursor: Any = None
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._size = 0

    def take(self, said: Json) -> None:
        if self.over.done():
            return
        if "over" in said:
            self.over.set_result(str(said["over"]))
            return
        for line in said["lines"]:
            made = feed.clean(line, self._numbers)
            if made is not None and self._size < MOST_BYTES:
                self._size += len(made.get("text") or "") + 60
                self.lines.append(made)
        self.cursor = said.get("cursor") or self.cursor


async def answer(open_: Callable[[str, Json, feed.Take], feed.End], asked: wanted.Wanted, requests: Mapping[str, Any],
                 most: int) -> Json:  # fmt: skip
    """The document: ``sources``, and ``lines`` in the order of time. A host that does not answer has a note in it.

    :param requests: see `wanted.Wanted.requests`.
    :param most: how many lines.
    """
    parts = {host: _OfHost(numbers) for host, (numbers, _unused) in requests.items()}
    ends = [open_(host, request, parts[host].take) for host, (_unused, request) in requests.items()]
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_SECONDS):
                await asyncio.gather(*(asyncio.shield(part.over) for part in parts.values()))
    finally:
        for end in ends:
            end()
    lines: list[Json] = []
    notes: list[Json] = []
    for host, (numbers, _unused) in requests.items():
        part = parts[host]
        lines += part.lines
        why = part.over.result() if part.over.done() else "%s did not answer within %g s" % (host, WITHIN_SECONDS)
        if why:
            notes.append({"source": numbers[0], "at": None, "note": why})
        if not part.over.done():
            part.over.cancel()
    lines.sort(key=lambda line: line["at"] or 0.0)
    sources = [source.to_json() for source in asked.sources]
    return {"sources": sources, "lines": [*lines[-most:], *notes] if most else notes}


async def figures(
    open_: Callable[[str, Json, feed.Take], feed.End], asked: wanted.Wanted, requests: Mapping[str, Any]
) -> Json:
    """``programs``: what each uses; ``silent``: host -> why nothing is known of what it holds.

    Some hosts at a time, and some programs of each: lines have other things to do, too.
    """
    found: Json = {"programs": [], "silent": {}}
    for part in parts(requests):
        of_part = await _figures(open_, asked, part)
        found["programs"] += of_part["programs"]
        found["silent"].update(of_part["silent"])
    return found


def parts(requests: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The same requests for figures, in parts that are asked one after the other."""
    left = dict.fromkeys(requests, 0)  # how many programs of it were asked about
    while left:
        part: dict[str, Any] = {}
        for host, begin in list(left.items())[:HOSTS_AT_A_TIME]:
            numbers, request = requests[host]
            end = begin + PROGRAMS_AT_A_TIME
            part[host] = (numbers[begin:end], {**request, "sources": request["sources"][begin:end]})
            left[host] = end
            if end >= len(numbers):
                del left[host]
        yield part


async def _figures(
    open_: Callable[[str, Json, feed.Take], feed.End], asked: wanted.Wanted, requests: Mapping[str, Any]
) -> Json:
    loop = asyncio.get_running_loop()
    said: dict[str, asyncio.Future[Any]] = {host: loop.create_future() for host in requests}

    def take(host: str) -> feed.Take:
        def taken(message: Json) -> None:
            if said[host].done():
                return
            if isinstance(message.get("left"), list):
                said[host].set_result(message["left"])
            elif "over" in message:
                said[host].set_result(str(message["over"]) or "%s does not say" % host)

        return taken

    ends = [open_(host, request, take(host)) for host, (_unused, request) in requests.items()]
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_SECONDS):
                await asyncio.gather(*(asyncio.shield(one) for one in said.values()))
    finally:
        for end in ends:
            end()
    programs: list[Json] = []
    silent: dict[str, str] = {}
    for host, (numbers, _unused) in requests.items():
        found = said[host].result() if said[host].done() else "%s did not answer within %g s" % (host, WITHIN_SECONDS)
        if isinstance(found, str):
            silent[host] = found
            continue
        for entry in found:
            made = _program(entry, numbers)
            if made is not None:
                programs.append({**asked.sources[made.pop("source")].to_json(), **made})
    return {"programs": programs, "silent": silent}


def _program(entry: Any, numbers: list[int]) -> Json | None:
    """What a host says of one program, with no more than it may hold."""
    if not isinstance(entry, dict):
        return None
    number = entry.get("s")
    if not isinstance(number, int) or not 0 <= number < len(numbers):
        return None
    found: Json = {"source": numbers[number]}
    for key in ("state", "how"):
        found[key] = printable(entry.get(key) or "")
    for key in ("pid", "since", "cpu", "used", "memory", "threads", "files", "processes", "restarts"):
        value = entry.get(key)
        known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        found[key] = value if known else None
    return found
