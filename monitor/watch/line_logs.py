# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs on one line: asked for at the host at its other end, whose lines are passed on (`host.logs` of the core).

The host sends no more than a window of bytes ahead of what was taken in, which is what this acknowledges; where logs
of all hosts together are too much for the monitor, it does so later. What a host says is not trusted: only streams
that were opened count, and `web.logs` checks each line.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from ..base.bucket import Bucket

Json = dict[str, Any]
Take = Callable[[Json], None]

MOST, MORE = 32, 16  # streams of one line that are followed, and more of those that end by themselves
LARGEST_BYTES = 256 << 10  # of one document of the host
# Bytes of logs from all hosts, a second, and at once after a pause. Half a megabyte a second, 12,000 lines, was seen to
# take 40 % of a processor; a bus that dies meanwhile needs the rest.
RATE = (6e5, 4e6)
UNREAD_BYTES = 1 << 20  # that the line has not sent yet
_ALL = Bucket(*RATE)
_NUMBERS = itertools.count(1)


class NoLog(Exception):
    """A log cannot be read now; the text is one sentence."""


class LineLogs:
    """Belongs to one line, over all its connections."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._writer: asyncio.StreamWriter | None = None
        self._able = False
        self._answers = False
        self._streams: dict[str, Take] = {}

    def opened(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def beat(self, said: Mapping[str, Any]) -> None:
        """The other end answered a question."""
        self._answers, self._able = True, bool(said.get("logs"))

    def ended(self, why: str) -> None:
        """The connection ended, and each stream with it."""
        self._writer, self._answers = None, False
        for token in list(self._streams):
            self._over(token, why)

    def open(self, request: Mapping[str, Any], take: Take) -> str:
        """:param take: gets ``{"lines", "cursor"}``, and last ``{"over": why}``.
        :return: what `close` takes.
        :raises NoLog:"""
        if self._writer is None or not self._answers:
            raise NoLog("no line to %s answers, so its logs cannot be read now" % self._host)
        if not self._able:
            raise NoLog("the agent on %s is of a version that reads no logs: deploy to it" % self._host)
        most = MOST if request.get("follow") else MOST + MORE
        if len(self._streams) >= most or self._writer.transport.get_write_buffer_size() > UNREAD_BYTES:
            raise NoLog("%d logs of %s are read already: end one of them" % (len(self._streams), self._host))
        token = "%x" % next(_NUMBERS)
        self._streams[token] = take
        self._say({"log": token, "do": "open", "request": request})
        return token

    def close(self, token: str) -> None:
        if self._streams.pop(token, None) is not None:
            self._say({"log": token, "do": "close"})

    def take(self, said: Mapping[str, Any], size: int) -> None:
        """Take in what the other end said about a stream.

        :param size: bytes that it took.
        """
        token = str(said.get("log"))
        counted = said.get("size")
        if isinstance(counted, int) and 0 < counted <= LARGEST_BYTES and "lines" in said:
            self._acknowledge(token, counted, size)
        if token not in self._streams:
            return
        if "over" in said:
            self._over(token, str(said["over"])[:300])
        elif size > LARGEST_BYTES or not isinstance(said.get("lines"), list):
            self.close(token)
        else:
            self._streams[token]({key: said.get(key) for key in ("lines", "cursor", "left")})

    def _acknowledge(self, token: str, counted: int, size: int) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        _ALL.take(size, now)
        said = {"log": token, "do": "got", "bytes": counted}
        wait = _ALL.wait(now)
        if wait:
            loop.call_later(wait, self._say, said)
        else:
            self._say(said)

    def _say(self, said: Mapping[str, Any]) -> None:
        if self._writer is not None and not self._writer.transport.is_closing():
            self._writer.write(json.dumps(said, separators=(",", ":")).encode() + b"\n")

    def _over(self, token: str, why: str) -> None:
        self._streams.pop(token)({"over": why})
