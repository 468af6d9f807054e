# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this monitor acts: always where it is the only one, else while it leads.

What it is asked while it stands by goes through the ledger to the one that leads, and the answer comes back the same
way; so a request outlives the monitor that took it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from ..base.files import Stamp, file_stamp
from ..core.controller import asked, etcd, ledgers, places
from ..core.controller.seat import Seat
from ..core.controller.store import LedgerError
from ..judge.leading import Leading
from .follower import Follower
from .session import Session, now

ASK_SECONDS = 2.0  # for one question to etcd
LOOK_SECONDS = 5.0  # between looks for an answer whose announcement may have got lost
Json = dict[str, Any]


class Alone:
    """The only monitor of a site."""

    def __init__(self, state_dir: Path, stamp: Stamp | None, stop: Callable[[str], None]) -> None:
        """
        :param stamp: of the file that says where the ledger is, as of before it was read.
        :param stop: ends this monitor, for a reason. Its service manager starts it again.
        """
        self._where, self._stamp, self._stop = state_dir / places.WHERE_FILE, stamp, stop

    def start(self) -> None:
        return

    def stop(self) -> None:
        return

    def leads(self) -> bool:
        return True

    def changed(self) -> str:
        """The sentence when it begins to lead, or no longer leads; "" when neither."""
        stamp = file_stamp(self._where)
        if stamp != self._stamp:
            self._stamp = stamp
            self._stop("%s has changed: the ledger is elsewhere, or other controllers use it, too" % self._where)
        return ""

    @property
    def term(self) -> int:
        return 0

    def variables(self, parked: bool) -> Json:
        """Variables of its runs."""
        return {}

    async def forwarded(self, ident: str) -> Json:
        """The answer of the one that leads to a request that is in the ledger."""
        raise NotImplementedError

    def answered(self, ident: str, content: Mapping[str, Any]) -> None:
        """A request was answered; it may have come from another monitor."""

    def to_json(self) -> Json | None:
        return None


class Rank(Alone):
    """One of several. Belongs to the asyncio loop that it was made in."""

    def __init__(
        self,
        state_dir: Path,
        stamp: Stamp | None,
        place: Mapping[str, Any],
        *,
        wake: Callable[[], None],
        stop: Callable[[str], None],
        requests: Callable[[list[str]], None],
        say: Callable[[str], None],
        later: Callable[[Coroutine[Any, Any, Any]], None],
    ) -> None:
        """
        :param wake: something about who leads may be another.
        :param requests: takes the ids of requests that no run has planned.
        :param later: has something done beside the loop.
        """
        super().__init__(state_dir, stamp, stop)
        self._loop = asyncio.get_running_loop()
        self._name = str(place["controller"])
        self._place, self._later, self._wake = place, later, wake
        self._leading = Leading(self._name, float(place.get("lease") or 2))
        self._desk = self._seat()
        self._one = asyncio.Lock()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._session = Session(self._seat(), self._leading.length, self._told)
        self._follower = Follower(
            state_dir, place, hurry=self._session.hurry, requests=self._call(requests),
            answered=self._call(self._announced), say=self._call(say),
        )  # fmt: skip

    def _seat(self) -> Seat:
        ca, cert, key = (str(self._place.get(name) or "") for name in ("ca", "cert", "key"))
        urls = [str(url) for url in self._place["etcd"]]
        timeout = float(self._place.get("lease") or 2) / 4
        client = etcd.Client(urls, ca, cert, key, timeout)
        return Seat(client, str(self._place["site"]), self._name, int(self._place.get("lease") or 2))

    def _call(self, what: Callable[..., None]) -> Callable[..., None]:
        """The same, for another thread."""

        def called(*arguments: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(what, *arguments)

        return called

    def start(self) -> None:
        self._session.start()
        self._follower.start()

    def stop(self) -> None:
        self._follower.end()
        if self._session.is_alive():
            self._session.end(ASK_SECONDS)

    def _told(self, apply: Callable[[Leading], None]) -> None:
        def applied() -> None:
            before = self._leading.leads(now()), self._leading.sitting
            apply(self._leading)
            if before != (self._leading.leads(now()), self._leading.sitting):
                self._wake()

        self._call(applied)()

    def leads(self) -> bool:
        return self._leading.led and self._leading.leads(now())

    def changed(self) -> str:
        super().changed()
        return self._leading.changed(now(), time.time())

    @property
    def term(self) -> int:
        return self._leading.sitting.term if self.leads() else 0

    def variables(self, parked: bool) -> Json:
        return {"muster_here": self._name, **({} if parked or not self.term else {"muster_term": self.term})}

    async def forwarded(self, ident: str) -> Json:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting[ident] = future
        until = self._loop.time() + asked.LONGEST
        try:
            while self._loop.time() < until:
                content = await self._look(ident)
                if content:
                    return content
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await asyncio.shield(future)
                        future = self._waiting[ident] = self._loop.create_future()
        finally:
            self._waiting.pop(ident, None)
        return {"ok": False, "said": ["no controller answered it: %s" % self._leading.sentence(now(), time.time())]}

    async def _look(self, ident: str) -> Json:
        async with self._one:
            with contextlib.suppress(etcd.EtcdError, ValueError):
                return await asyncio.to_thread(self._desk.answered, ident, ASK_SECONDS)
        return {}

    def _announced(self, ident: str) -> None:
        future = self._waiting.get(ident)
        if future is not None and not future.done():
            future.set_result(None)

    def answered(self, ident: str, content: Mapping[str, Any]) -> None:
        if ident:
            self._later(self._answer(ident, content))

    async def _answer(self, ident: str, content: Mapping[str, Any]) -> None:
        async with self._one:
            await asyncio.to_thread(self._desk.answer, ident, content, ASK_SECONDS)

    def to_json(self) -> Json:
        return self._leading.to_json(now(), time.time())


def rank(state_dir: Path, **calls: Any) -> Alone:
    """That of the monitor of a state folder. :param calls: see `Rank`."""
    stamp = file_stamp(state_dir / places.WHERE_FILE)
    try:
        place = ledgers.where(str(state_dir))
    except LedgerError as error:
        calls["say"](str(error))
        place = {}
    if place.get("controller"):
        return Rank(state_dir, stamp, place, **calls)
    return Alone(state_dir, stamp, calls["stop"])
