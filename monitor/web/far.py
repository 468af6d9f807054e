# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervising monitor as the process of the API sees it: over a channel, and never waited for without a limit."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..base.bucket import Bucket
from ..base.channel import Channel
from ..base.journal import Journal
from ..base.listeners import Listened
from ..core.model.request import Request
from .desk import NotNow
from .logs.feed import End, Take

Json = dict[str, Any]
SEEN_WITHIN_SECONDS = 2.0  # after which what it saw last counts
LINES = (1.0, 60.0)  # of the log: so many a second, and so many at once after a pause
AUDITED = ("asked",)  # lines that are always written; how many there can be is limited elsewhere


class FarMonitor(Listened):
    """`desk.Core` over a channel."""

    def __init__(self, channel: Channel, state_dir: Path) -> None:
        super().__init__()
        self._channel = channel
        self._state_dir = state_dir
        self._snapshot: Json = {}
        self._heard: dict[str, float] = {}
        self._turned = 0.0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._asked: dict[int, asyncio.Future[Json]] = {}
        self._number = 0
        self._logs: dict[int, Take] = {}
        self._look = 0  # the number of the last question what it sees
        self._looked = 0  # and of the last that was answered
        self._news = asyncio.Condition()

    @property
    def state_dir(self) -> Path:
        return self._state_dir

    @property
    def turned(self) -> float:
        return self._turned

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        return self._counts

    async def ask(self, request: Request, ident: str) -> Json:
        return await self._answered({"request": request.to_json(), "id": ident}, "ask")

    async def withdraw(self, ident: str, by: Mapping[str, Any]) -> Json:
        return await self._answered({"id": ident, "by": by}, "withdraw")

    async def execute(self, asked: Mapping[str, Any]) -> Json:
        return await self._answered({"asked": asked}, "execute")

    async def _answered(self, message: Mapping[str, Any], kind: str) -> Json:
        self._number += 1
        number = self._number
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            if not self._channel.send({kind: number, **message}):
                raise NotNow("the monitor takes no requests at the moment")
            return await answer
        finally:
            self._asked.pop(number, None)

    async def seen(self) -> Json:
        self._look += 1
        wanted = self._look
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEEN_WITHIN_SECONDS), self._news:
                if self._channel.send({"look": wanted}):
                    await self._news.wait_for(lambda: self._looked >= wanted)
        return self._snapshot

    def heard(self, host: str) -> dict[str, float]:
        return {host: self._heard[host]} if host in self._heard else {}

    def logs(self, host: str, request: Mapping[str, Any], take: Take) -> End:
        self._number += 1
        number = self._number
        self._logs[number] = take
        if not self._channel.send({"logs": number, "host": host, "request": request}):
            self._logged({"logged": number, "over": "the monitor takes no requests at the moment"})

        def end() -> None:
            if self._logs.pop(number, None) is not None:
                self._channel.send({"logs": number, "close": True})

        return end

    def _logged(self, message: Json) -> None:
        take = self._logs.get(message["logged"])
        if "over" in message:
            self._logs.pop(message["logged"], None)
        if take is not None:
            take(message)

    async def take(self, message: Json) -> None:
        """Take in a message of the monitor."""
        if "logged" in message:
            self._logged(message)
        if "turned" in message:
            self._turned = float(message["turned"])
        if "seen" in message:
            self._snapshot, self._heard = message["seen"], message["heard"]
            self._counts = Counter({(event, cause): number for event, cause, number in message["counts"]})
            async with self._news:
                self._looked = int(message["look"])
                self._news.notify_all()
        if "changed" in message:
            self._tell()
        answer = self._asked.get(message.get("answer", 0))
        if answer is not None and not answer.done():
            if "why" in message:
                answer.set_exception(NotNow(message["why"]) if message.get("later") else RuntimeError(message["why"]))
            else:
                answer.set_result(message["content"])


class FarJournal(Journal):
    """Passes lines to the monitor's log. What callers can cause is written a limited number of times, and counted."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._lines = Bucket(*LINES)
        self._left_out = 0

    def say(self, event: str, why: str = "", **facts: Any) -> None:
        now = time.monotonic()
        if event not in AUDITED:
            if self._lines.wait(now):
                self._left_out += 1
                return
            self._lines.take(1, now)
        if self._left_out:
            facts["left_out"], self._left_out = self._left_out, 0
        self._channel.send({"say": event, "why": why, "facts": facts})
