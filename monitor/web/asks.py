# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking for a window that another console shows: the people there give it or keep it; silence means the site's rule.

An ask lives in this process only: when the monitor ends, the person who asked learns that, and asks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ..core.model.request import Request
from ..core.requests import check
from ..core.requests.read import RequestErrors
from .alarm_feed import message
from .desk import Desk, NotNow, Unknown, encode
from .doors.caller import Caller

GIVE, KEEP = "give", "keep"
MOST = 50  # asks at once
OPEN = ("starting", "running", "stopping")  # phases of a claim whose window is shown

Json = dict[str, Any]


class Asks:
    """Belongs to the hub, and to its event loop.

    :param ring: called when the list has changed.
    """

    def __init__(self, desk: Desk, ring: Callable[[], None]) -> None:
        self._desk = desk
        self._ring = ring
        self._open: dict[str, tuple[Json, asyncio.Future[tuple[str, str]]]] = {}
        self._count = 0
        self.event = b""
        self.version = 0

    async def ask(self, caller: Caller, item: str, why: str) -> Json:
        """Ask, wait for the answer, and open the window here when it is given: {ok, said, results}.

        :raises RequestErrors: when there is nobody to ask. :raises Unknown: :raises NotNow: when too many ask.
        """
        if not caller.console:
            raise RequestErrors([check.error("item", "this request comes from %s, which is no console" % (
                caller.host or "no known host"), item)])  # fmt: skip
        name, holder = await self._holder(item)
        if not holder or holder == caller.console:
            where = "is open on no console: open it" if not holder else "is open here"
            raise RequestErrors([check.error("item", "item %s %s" % (item, where), item)])
        if len(self._open) >= MOST:
            raise NotNow("%d windows are asked for already" % len(self._open))
        site = (await self._desk.site()).site
        wait, silence = (site.settings.ask_wait, site.settings.ask_silence) if site else (60.0, KEEP)
        self._count += 1
        known: Json = {"id": str(self._count), "item": item, "instance": name, "holder": holder, "who": caller.who,
                       "console": caller.console, "why": why, "at": time.time(), "until": time.time() + wait,
                       "silence": silence}  # fmt: skip
        answer: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        self._open[known["id"]] = known, answer
        self._tell()
        try:
            async with asyncio.timeout(wait):
                word, by = await answer
        except TimeoutError:
            word, by = silence, ""
        finally:
            del self._open[known["id"]]
            self._tell()
        return await self._answered(caller, known, word, by)

    async def _answered(self, caller: Caller, known: Json, word: str, by: str) -> Json:
        item, holder = known["item"], known["holder"]
        who = "%s at %s" % (by, holder) if by else "nobody at %s answered" % holder
        if word == GIVE:
            why = "%s%s" % ("given by %s" % who if by else who, ": %s" % known["why"] if known["why"] else "")
            return await self._desk.ask(Request("open", caller.who, caller.host, why, (known["instance"],),
                                                console=caller.console, take=True))  # fmt: skip
        said = "%s keeps item %s" % (who, item) if by else "%s: item %s stays there" % (who, item)
        note = "%s asked for the window of item %s: %s" % (caller.console, item, said)
        await self._desk.ask(Request("note", caller.who, caller.host, note, item=item))
        return {"ok": False, "said": [said], "results": {}}

    async def _holder(self, item: str) -> tuple[str, str]:
        """The instance that shows an item, and the console where it is open; both may be empty."""
        instances = (await self._desk.picture()).document["instances"]
        windows = {n: e for n, e in instances.items() if e["item"] == item and e["on_request"]}
        if not windows:
            raise Unknown("there is no item %s with a window in this site" % item, True)
        for name, entry in windows.items():
            if entry["host"] and entry["phase"] in OPEN:
                return name, str(entry["host"])
        return next(iter(windows)), ""

    def answer(self, caller: Caller, ask: str, word: str) -> Json:
        """Take the answer of a person at the console that is asked. :raises Unknown: :raises RequestErrors:"""
        known, answer = self._open.get(ask, (None, None))
        if known is None or answer is None or answer.done():
            raise Unknown("there is no such question: it was answered, or the time was over")
        if caller.console != known["holder"]:
            sentence = "only %s, which shows item %s, can answer; this request comes from %s"
            facts = (known["holder"], known["item"], caller.host or "no known host")
            raise RequestErrors([check.error("answer", sentence % facts, word)])
        answer.set_result((word, caller.who))
        said = "item %s %s" % (known["item"], "is given" if word == GIVE else "stays")
        return {"ok": True, "said": [said], "results": {}}

    def _tell(self) -> None:
        self.version += 1
        self.event = message("asks", encode({"asks": [known for known, _unused in self._open.values()]}))
        self._ring()
