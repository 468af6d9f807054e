# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that are followed: server-sent events, which a client that reads too slowly loses and goes on with later.

Events: ``sources`` (what the numbers in lines mean), ``lines`` (with an id, by which a client resumes), ``over`` (a
host that does not answer any more; it is tried again). A comment tells every few seconds that the stream lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from . import feed, shared, wanted

Json = dict[str, Any]
Open = Callable[[str, list[int], Json, shared.Take], feed.End]
HEARTBEAT_SECONDS = 5.0
SLOW_CLIENT_SECONDS = 20.0  # after which a client that does not read is dropped
AGAIN_SECONDS = 2.0  # until a host that ended is asked again
WAITING_BYTES = 1 << 20  # of lines that the client has not taken yet; more than that drops it
PLACES_SECONDS = 3.0  # between looks whether what is followed is still where it was


class LogStream:
    """The response: runs until its client leaves, reads too slowly, or what it follows is elsewhere."""

    def __init__(
        self, open_: Open, asked: wanted.Wanted, requests: dict[str, tuple[list[int], Json]],
        moved: Callable[[], Awaitable[bool]], abort: Callable[[], None], over: Callable[[], None],
    ) -> None:  # fmt: skip
        """:param requests: see `wanted.Wanted.requests`.
        :param moved: whether another request would be about other logs by now.
        :param abort: cuts the connection. :param over: called once, when the stream has ended."""
        self._open = open_
        self._asked = asked
        self._requests = requests
        self._moved = moved
        self._abort = abort
        self._over = over
        self._ends: dict[str, feed.End] = {}
        self._cursors: dict[str, Any] = dict(asked.after)
        self._again: dict[str, float] = {}  # host -> when it is asked again
        self._told: dict[str, str] = {}
        self._waiting: list[bytes] = []
        self._size = 0
        self._bell = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            sources = [source.to_json() for source in self._asked.sources]
            self._put("sources", json.dumps(sources).encode())
            for host in self._requests:
                self._ask(host)
            await self._follow(send, gone)
            if not gone.done():
                await self._send(send, b"", more=False)
        except TimeoutError:
            self._abort()
        finally:
            for end in self._ends.values():
                end()
            self._over()
            gone.cancel()

    async def _follow(self, send: Send, gone: asyncio.Task[None]) -> None:
        beat = look = time.monotonic()
        while not gone.done():
            now = time.monotonic()
            self._bell.clear()
            if self._size > WAITING_BYTES:
                raise TimeoutError
            for host in [host for host, due in self._again.items() if due <= now]:
                del self._again[host]
                self._ask(host)
            if now >= look + PLACES_SECONDS:
                look = now
                if await self._moved():
                    return
            if now >= beat:
                beat = now + HEARTBEAT_SECONDS
                self._waiting.append(b": it is there\n\n")
            if self._waiting:
                data = b"".join(self._waiting)
                self._waiting.clear()
                self._size = 0
                await self._send(send, data)
                await asyncio.sleep(0)
                continue
            waiting = asyncio.create_task(self._bell.wait())
            until = min([beat, look + PLACES_SECONDS, *self._again.values()]) - now
            await asyncio.wait({waiting, gone}, timeout=max(0.01, until), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()

    def _ask(self, host: str) -> None:
        numbers, request = self._requests[host]
        if self._cursors.get(host):
            request = {**request, "after": self._cursors[host]}
        self._ends[host] = lambda: None
        self._ends[host] = self._open(host, numbers, request, lambda part: self._take(host, part))

    def _take(self, host: str, part: shared.Part) -> None:
        if part.over is not None:
            if part.over != self._told.get(host):
                self._told[host] = part.over
                self._put("over", json.dumps({"host": host, "why": part.over}).encode())
            self._again[host] = time.monotonic() + AGAIN_SECONDS
        else:
            self._told.pop(host, None)
            if part.cursor:
                self._cursors[host] = part.cursor
            if part.data:
                # Before a host has sent all that it had, there is no place at which it could go on.
                whole = part.cursor and all(self._cursors.get(name) for name in self._requests)
                self._put("lines", part.data, wanted.encoded(self._cursors) if whole else "")
        self._bell.set()

    def _put(self, event: str, document: bytes, ident: str = "") -> None:
        head = b"id: %s\n" % ident.encode() if ident else b""
        data = b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), document)
        self._waiting.append(data)
        self._size += len(data)

    async def _send(self, send: Send, data: bytes, more: bool = True) -> None:
        async with asyncio.timeout(SLOW_CLIENT_SECONDS):
            await send({"type": "http.response.body", "body": data, "more_body": more})


async def _gone(receive: Receive) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
