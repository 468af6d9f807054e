# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people asked the monitor for, kept in the ledger until a run has planned it: beside the loop, in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

from .base.journal import Journal
from .core.controller import asked
from .core.controller.ledger import LedgerError
from .core.model.request import Request, filled

MOST_KNOWN = 5000  # ids that are remembered


class Kept:
    """The records of requests; a ledger that cannot be written keeps nobody from asking."""

    def __init__(self, state_dir: Path, journal: Journal) -> None:
        self._state_dir, self._journal = str(state_dir), journal
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: dict[str, bool] = {}  # ids of requests that it has; whether it was asked itself

    async def note(self, request: Request, ident: str = "") -> str:
        """Write a request down, so that it outlives this monitor. :return: its id; "" if that failed."""
        ident = ident or asked.new_id()
        self._knows(ident, True)
        try:
            return await asyncio.to_thread(asked.note, self._state_dir, request.to_json(), time.time(), ident)
        except LedgerError as error:
            self._journal.say("request", "not written down: %s" % error, kind=request.kind, who=request.who)
            return ""

    async def withdraw(self, ident: str, by: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """See `asked.withdraw`. :raises LedgerError:"""
        return await asyncio.to_thread(asked.withdraw, self._state_dir, ident, by, time.time())

    def forget(self, ident: str) -> None:
        """It was answered: where no run has planned it, its record would bring it back."""
        if ident:
            self.later(asyncio.to_thread(asked.drop, self._state_dir, ident))

    async def left(self) -> list[tuple[str, Request]]:
        """(id, request) of what a monitor that is gone was asked for and no run has planned."""
        found = await asyncio.to_thread(asked.left, self._state_dir, time.time())
        found = [(ident, document) for ident, document in found if ident not in self._known]
        for ident, document in found:
            self._knows(ident, False)
            self._journal.say("request", "it is taken up again", kind=document.get("kind"), who=document.get("who"))
        return [(ident, filled(document)) for ident, document in found]

    def _knows(self, ident: str, own: bool) -> None:
        self._known[ident] = own
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def own(self, ident: str) -> bool:
        """Whether this monitor was asked itself."""
        return self._known.get(ident, False)

    def let_go(self, idents: Iterable[str]) -> None:
        """Another monitor may carry these out, or this one again."""
        for ident in idents:
            self._known.pop(ident, None)

    def new(self, idents: Iterable[str]) -> bool:
        """Whether there is one that it does not have."""
        return any(ident not in self._known for ident in idents)

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have something done beside the loop; what goes wrong is logged."""

        async def done() -> None:
            try:
                await work
            except Exception as error:
                self._journal.say("request", "%s: %s" % (type(error).__name__, error))

        task = asyncio.get_running_loop().create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
