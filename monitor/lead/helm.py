# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop's side of leadership: what changes when this monitor begins to lead, and when it no longer does."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..core.controller import asked
from ..core.controller.store import LedgerError
from ..core.model.asked import too_late
from ..core.model.request import KINDS, Request
from ..judge import succession
from ..judge.brain import Brain
from ..judge.effects import Answer, Effect, Wake, note
from ..runs import whole_runs
from .rank import rank

Json = dict[str, Any]
MESSAGES_OF_TERMS = 4 * 10**18  # above the numbers of a monitor that was the only one: nanoseconds since 1970
MESSAGES_PER_TERM = 10**9
MOST_WITHDRAWN = 100  # answers that are kept for runs that are still ending


class Kept(Protocol):
    """What it needs of `monitor.kept.Kept`."""

    async def note(self, request: Request, ident: str = "") -> str: ...

    async def withdraw(self, ident: str, by: Mapping[str, Any]) -> tuple[str, Json]: ...

    def forget(self, ident: str) -> None: ...

    def own(self, ident: str) -> bool: ...

    def new(self, idents: Iterable[str]) -> bool: ...

    async def left(self) -> list[tuple[str, Request]]: ...

    def let_go(self, idents: Iterable[str]) -> None: ...

    def later(self, work: Coroutine[Any, Any, Any]) -> None: ...


class Fences(Protocol):
    """What it needs of `monitor.watch.fences.Fences`."""

    def lead(self, first: int) -> None: ...

    def forget(self) -> None: ...


class Helm:
    """Belongs to the loop of the monitor."""

    def __init__(
        self,
        state_dir: Path,
        brain: Brain,
        kept: Kept,
        fences: Fences,
        carry_out: Callable[[Iterable[Effect]], None],
        wake: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        """
        :param wake: has the loop turn. :param stop: ends the monitor.
        """
        self._brain, self._kept, self._fences, self._carry_out = brain, kept, fences, carry_out
        self.whole: Callable[[Request, str], Coroutine[Any, Any, Json]]  # carries out a request by a run of its own
        self.parks = True  # whether a run is kept ready
        self.end_run: Callable[[str, str], bool]  # ends the run that a request has of its own; False: it has none
        self._withdrawn: dict[str, Json] = {}  # id -> the answer

        def end(why: str) -> None:
            self._say(why)
            stop()

        self.rank = rank(
            state_dir, wake=wake, stop=end, requests=self._asked_elsewhere, say=self._say, later=kept.later
        )  # fmt: skip

    def start(self) -> None:
        self.rank.start()
        if self.rank.leads():
            self._kept.later(self._take_up())

    def steers(self, now: float) -> bool:
        """Whether this turn may begin something. Notices a change."""
        why = self.rank.changed()
        if why and self.rank.leads():
            self._fences.lead(MESSAGES_OF_TERMS + self.rank.term * MESSAGES_PER_TERM)
            self._carry_out(succession.take_lead(self._brain, now, why, self.rank.term))
            self._kept.later(self._take_up())
        elif why:
            self._fences.forget()
            self._carry_out(succession.stand_down(self._brain, why))
        leads = self.rank.leads()
        if not leads:
            for ident, waiter in succession.without_a_run(self._brain):
                self._kept.let_go([ident])
                if waiter is not None and not waiter.done():
                    self._kept.later(self._passed_on(ident, waiter))
        return leads

    def _say(self, why: str) -> None:
        self._carry_out([note("lead", why)])

    def _asked_elsewhere(self, idents: list[str]) -> None:
        """These requests are in the ledger; others may have been asked."""
        if self.rank.leads() and self._kept.new(idents):
            self._kept.later(self._take_up())

    async def _take_up(self) -> None:
        """Carry out what another monitor, or one that is gone, was asked for and did not do."""
        found = await self._kept.left()
        if not self.rank.leads():  # no longer: the next one does it
            self._kept.let_go(ident for ident, _request in found)
            return
        for ident, request in found:
            if KINDS[request.kind].whole_run or not self.parks:
                self._kept.later(self.whole(request, ident))
            else:
                self._carry_out(self._brain.ask({**request.to_json(), "id": ident}, None))

    def order(self, order: Mapping[str, Any]) -> Json:
        """An order as a parked run gets it."""
        return {**order, "term": self.rank.term} if self.rank.term else dict(order)

    async def forward(self, request: Request, ident: str = "") -> Json:
        """Have the one that leads carry out a request."""
        ident = await self._kept.note(request, ident)
        if not ident:
            says = (self.rank.to_json() or {}).get("says")
            return whole_runs.not_begun("the request could not be passed on: %s" % says)
        return await self.rank.forwarded(ident)

    async def _passed_on(self, ident: str, waiter: Any) -> None:
        lost = whole_runs.not_begun("this controller no longer leads: ask again")
        answer = await self.rank.forwarded(ident) if ident else lost
        if not waiter.done():
            waiter.set_result(answer)

    def stop(self) -> None:
        self.rank.stop()

    async def withdraw(self, ident: str, by: Mapping[str, Any]) -> Json:
        """Take back a request that no run has planned. Any of several monitors may do that.

        :param by: {who, from, why, anyone}, see `asked.withdraw`.
        :return: {result, said}; the result is that of `asked.withdraw`, or one that only a monitor knows.
        """
        try:
            result, request = await self._kept.withdraw(ident, by)
        except LedgerError as error:
            return {"result": asked.LATER, "said": str(error)}
        ask = self._brain.asks.find(ident)
        if result == asked.NOT_YOURS:
            said = "only %s, who asked for it, and who may administer may withdraw it" % (request.get("who") or "?")
            return {"result": result, "said": said}
        if result == asked.GONE:
            if ask is not None:
                return {"result": asked.BEGUN, "said": too_late(ask.request, ask.run)}
            return {"result": result, "said": "there is no request %s that waits" % ident[:60]}
        said = asked.sentence(request, by)
        content: Json = {"ok": False, "said": [said], "refused": True, "run": "", "results": {}}
        self._withdrawn[ident] = content
        while len(self._withdrawn) > MOST_WITHDRAWN:
            del self._withdrawn[next(iter(self._withdrawn))]
        effects: list[Effect] = [note("request", said, id=ident), Wake()]
        if ask is not None:
            self._brain.asks.drop(ask)
            effects.insert(0, Answer(ask.waiter, content, ask.request))
        self._carry_out(effects)
        self.end_run(ident, said)
        if not (self.rank.leads() and self._kept.own(ident)):
            self.rank.answered(ident, content)
        return {"result": result, "said": said}

    def answered(self, ident: str, content: Mapping[str, Any]) -> Json:
        """A request was carried out. Its record stays when no run planned it and another monitor leads now.

        :return: the answer: where it was withdrawn, that says so.
        """
        content = self._withdrawn.pop(ident, content)
        if ident and (self.rank.leads() or content.get("run")):
            if not self._kept.own(ident):
                self.rank.answered(ident, content)
            self._kept.forget(ident)
        return dict(content)
