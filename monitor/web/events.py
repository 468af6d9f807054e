# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream of events: the trail as it grows, and the status whenever it changed.

All streams share one reading. A stream buffers nothing for its client: a client that reads too slowly is dropped, and
resumes with the last id that it got.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from .alarm_feed import AlarmFeed, message
from .asks import Asks
from .changes import difference
from .desk import Desk, NotNow, encode
from .figure_feed import FigureFeed, Turn
from .figure_sampler import Sampler

HEARTBEAT_SECONDS = 5.0
SILENT_SECONDS = 5.0  # without a turn of the monitor's loop, after which nobody says that it is there
SLOW_CLIENT_SECONDS = 20.0  # after which a client that does not read is dropped
KEPT_ENTRIES = 1000  # of the trail in memory, the newest
ENTRIES_PER_READ = 200  # of the trail, for a client that resumes
LOOK_SECONDS = 2.0  # between looks at the trail while there are streams, in case nothing wakes them
STATUSES_APART_SECONDS = 0.2  # between two status events at least


class Hub:
    """Reads for all streams. The server calls `turn` whenever something may have changed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=KEPT_ENTRIES)
        self._reading = asyncio.Lock()
        self._bells: set[asyncio.Event] = set()  # one per stream
        self.newest = -1  # id of the last entry read; -1: none was read yet
        self.status: bytes = b""
        self.version = 0  # of `status`, the event that shows it
        self.change: bytes = b""  # the event that makes the status before into this one; empty when there was none
        self._document: Any = None
        self._latest = 0.0  # when the newest entry of the trail was written
        self.ledgers = 0  # how often a backup of the ledger was put back
        self.resumed = 0  # the last entry then that was there before
        self._before = 0.0  # `at` of the status that `change` is about
        self._painted: Any = None  # the key of the picture that `status` shows
        self.closing = False
        self.alarms = AlarmFeed(desk)
        self.asks = Asks(desk, self.ring)
        self.figures = FigureFeed(Sampler(desk, desk.core.logs, self._places), self.ring, desk.journal.failed)

    async def _places(self) -> dict[str, str]:
        """Instance -> the host that holds it, as the status has it, which streams read anyway."""
        instances = (await self._desk.picture()).document["instances"]
        return {name: entry["host"] for name, entry in instances.items() if entry["host"]}

    @property
    def streams(self) -> int:
        return len(self._bells)

    async def open(self) -> asyncio.Event:
        """Add a stream. :return: its bell: set when there may be something to send. :raises NotNow:"""
        async with self._reading:
            if self.newest < 0:
                entries = await self._desk.trail(None, 1)
                self.newest = int(entries[-1]["id"]) if entries else 0
                self._latest = float(entries[-1]["at"]) if entries else 0.0
        bell = asyncio.Event()
        self._bells.add(bell)
        if not self.status:
            with contextlib.suppress(NotNow):  # it comes as soon as it can be read
                await self.turn()
        return bell

    def leave(self, bell: asyncio.Event) -> None:
        self._bells.discard(bell)

    async def turn(self) -> None:
        """Read what is new and wake the streams; without streams, read nothing.

        :raises NotNow: when not all of it can be read.
        """
        async with self._reading:
            if self._bells:
                await self._read()
            else:  # the next stream starts with what is then the newest
                self._recent.clear()
                self.newest, self.status = -1, b""

    async def _read(self) -> None:
        try:
            known = self.newest
            await self._read_trail()
            picture = await self._desk.picture()
            if not self.status or picture.key != self._painted:
                before, self._document = self._document, picture.document
                if before is not None and self.newest == known and before["revision"] != picture.document["revision"]:
                    await self._follow_back()
                self.change, self._before = b"", 0.0
                if before is not None and self.status:
                    self._before = float(before["at"])
                    self.change = message("change", encode(difference(before, picture.document)))
                self._painted, self.status = picture.key, message("status", picture.body)
                self.version += 1
            await self.alarms.read(picture.document)
        finally:
            self.ring()

    async def _read_trail(self) -> None:
        while entries := await self._desk.trail(self.newest, ENTRIES_PER_READ):
            for entry in entries:
                self._recent.append((int(entry["id"]), message("trail", encode(entry), entry["id"])))
            self.newest, self._latest = int(entries[-1]["id"]), float(entries[-1]["at"])

    async def _follow_back(self) -> None:
        """A backup of the ledger may have been put back: its new entries have numbers that were there before."""
        entries = await self._desk.trail(None, ENTRIES_PER_READ)
        if entries and int(entries[-1]["id"]) < self.newest:
            self._recent.clear()
            self.newest = max([int(e["id"]) for e in entries if float(e["at"]) <= self._latest], default=0)
            self.ledgers, self.resumed = self.ledgers + 1, self.newest
            await self._read_trail()

    def alive(self) -> bytes:
        """A sign of life of the monitor, not of the process that sends it: when it was sent, and when the status was
        read last."""
        if time.monotonic() - self._desk.core.turned > SILENT_SECONDS:
            return b": the monitor is silent\n\n"
        at = time.time()
        facts = {"at": round(at, 3), "painted": round(at - self._desk.age, 3)}
        return b": the monitor is there\n" + message("alive", encode(facts))

    def version_of(self, at: str) -> int:
        """The version of the status that was made at this moment, when it is the newest or the one before; else -1."""
        try:
            made = float(at)
        except ValueError:
            return -1
        if not self.status:
            return -1
        if made == self._document["at"]:
            return self.version
        return self.version - 1 if self.change and made == self._before else -1

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def close(self) -> None:
        self.closing = True
        self.ring()

    async def after(self, last: int) -> list[tuple[int, bytes]]:
        """The next entries after an id."""
        if last >= self.newest:
            return []
        if self._recent and self._recent[0][0] <= last + 1:
            return [entry for entry in self._recent if entry[0] > last]
        entries = await self._desk.trail(last, ENTRIES_PER_READ)
        return [(int(entry["id"]), message("trail", encode(entry), entry["id"])) for entry in entries]


class EventStream:
    """The response: runs until its client leaves, reads too slowly, or the monitor stops."""

    def __init__(
        self, hub: Hub, bell: asyncio.Event, last: int | None, abort: Callable[[], None], over: Callable[[], None],
        changes: bool = False, have: str = "", figures: float = 0.0,
    ) -> None:  # fmt: skip
        """:param over: called once, when the stream has ended. :param changes: of a status that follows the one that
        was sent, send what differs. :param have: ``at`` of the status that the client has already. :param figures:
        seconds after which it wants to know again what programs use; 0: it does not."""
        self._figures = Turn(hub.figures, figures)
        self._changes = changes
        self._have = have
        self._over = over
        self._hub = hub
        self._bell = bell
        self._last = last
        self._abort = abort

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._follow(lambda data: self._send(send, data), gone)
            if not gone.done():
                await self._send(send, b"", more=False)
        except TimeoutError:
            self._abort()  # it will not read what lies in its buffer
        finally:
            self._hub.leave(self._bell)
            self._over()
            gone.cancel()

    async def _follow(self, send: Callable[[bytes], Awaitable[None]], gone: asyncio.Task[None]) -> None:
        hub = self._hub
        last = hub.newest if self._last is None else self._last
        if last > hub.newest:
            with contextlib.suppress(NotNow):
                await hub.turn()
            last = min(last, hub.newest)  # of another ledger, such as the one before a backup was put back
        ledgers = hub.ledgers
        version = hub.version_of(self._have) if self._changes else -1
        alarms = asks = -1
        beat = 0.0
        while not (hub.closing or gone.done()):
            self._bell.clear()
            parts = []
            with contextlib.suppress(NotNow):
                if ledgers != hub.ledgers:
                    ledgers, last = hub.ledgers, min(last, hub.resumed)
                entries = await hub.after(last)
                if entries:
                    last = entries[-1][0]
                    parts += [data for _unused, data in entries]
            if hub.status and version != hub.version:
                follows = self._changes and version == hub.version - 1 and hub.change
                version = hub.version
                parts.append(hub.change if follows else hub.status)
            if hub.alarms.event and alarms != hub.alarms.version:
                alarms = hub.alarms.version
                parts.append(hub.alarms.event)
            if hub.asks.event and asks != hub.asks.version:
                asks = hub.asks.version
                parts.append(hub.asks.event)
            figures = self._figures.event()
            if figures:
                parts.append(figures)
            now = time.monotonic()
            if now >= beat:
                beat = now + HEARTBEAT_SECONDS
                parts.append(hub.alive())
            if parts:
                await send(b"".join(parts))
                await asyncio.sleep(0)  # a client that reads everything at once must not occupy the loop
                continue
            waiting = asyncio.create_task(self._bell.wait())
            left = min(beat - now, self._figures.left())
            await asyncio.wait({waiting, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()

    async def _send(self, send: Send, data: bytes, more: bool = True) -> None:
        body: Message = {"type": "http.response.body", "body": data, "more_body": more}
        async with asyncio.timeout(SLOW_CLIENT_SECONDS):
            await send(body)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
