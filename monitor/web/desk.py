# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the site for the API and passes requests to the monitor. Slow reads run in threads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..base.files import Stamp, file_stamp
from ..base.journal import Journal
from ..core.controller import asked, calls, ledgers, publish, trail_search
from ..core.controller.places import SEEN_FILE, SITE_FILE, WATCH_FILE
from ..core.controller.store import LedgerError
from ..core.model import saved_plan
from ..core.model import site as site_model
from ..core.model.observation import observed
from ..core.model.records import State
from ..core.model.request import Request
from ..core.model.words import DOWN
from ..core.place import loads as place_loads
from ..core.report import plan_text
from ..core.requests.confirm import answers
from ..core.requests.names import Names, names_of
from .doors.caller import Places, owner_of, places_of
from .doors.meter import METERED
from .logs.feed import End, Take
from .since import Since

Json = dict[str, Any]
Result = TypeVar("Result")
YOUNG = 1.0  # s a picture of the site serves everybody, unless something changed
PAINTED_APART = 5  # times what the making of a picture computes: callers who only look get the last one until then
TICKETS = 200  # requests under way, and those whose answers are kept
ALWAYS_TICKETS = 100  # more of them, for stop and close
_FILES = (SITE_FILE, WATCH_FILE, SEEN_FILE)


class Core(Protocol):
    """The supervising monitor as the API sees it (`far.FarMonitor`)."""

    @property
    def state_dir(self) -> Path: ...

    @property
    def turned(self) -> float:
        """Time of the last turn of its loop, by the monotonic clock."""

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """Lines of its journal, by event and cause."""

    async def ask(self, request: Request, ident: str) -> Json:
        """Carry a request out. :param ident: its id. :raises NotNow: when it cannot be passed on."""

    async def withdraw(self, ident: str, by: Mapping[str, Any]) -> Json:
        """See `helm.Helm.withdraw`. :raises NotNow: when it cannot be passed on."""

    async def execute(self, asked: Mapping[str, Any]) -> Json:
        """Run a command beside a program (`controller.executing`). :raises NotNow: when it cannot be passed on."""

    async def seen(self) -> Json:
        """What it sees now; where it does not answer, what it saw last."""

    def heard(self, host: str) -> dict[str, float]:
        """When the host answered last as `seen` said last, by line, bus or run: {host: seconds since 1970}; empty if
        never."""

    def logs(self, host: str, request: Mapping[str, Any], take: Take) -> End:
        """Read logs of a host.

        :param take: gets ``{"lines", "cursor"}``, and last ``{"over": why}``.
        :return: what ends it.
        """

    def subscribe(self) -> asyncio.Event: ...

    def unsubscribe(self, event: asyncio.Event) -> None: ...


class NotNow(Exception):
    """The state folder cannot be read now; the text is one sentence."""


class Unknown(Exception):
    """The site has no such item, instance or host, or the question makes no sense there; the text is one sentence.

    :param name: whether the site does not have what is named.
    """

    def __init__(self, sentence: str, name: bool = False) -> None:
        super().__init__(sentence)
        self.name = name


@dataclass(frozen=True)
class Picture:
    """The status document, and as it is sent."""

    document: Json
    body: bytes
    key: Any
    made: float  # monotonic
    took: float  # s of a processor


@dataclass(frozen=True)
class SiteFacts:
    """The published site, and what is derived from it; `stamp` is that of its file."""

    site: site_model.Site | None = None
    places: Places = field(default_factory=Places)
    names: Names = field(default_factory=Names)
    stamp: Any = None


@dataclass
class Ticket:
    """A request whose sender does not wait for the answer."""

    id: str  # as in the ledger
    request: Request
    task: asyncio.Task[Json]

    def to_json(self) -> Json:
        found: Json = {"id": self.id, "kind": self.request.kind, "state": "running"}
        if self.task.done():
            error = None if self.task.cancelled() else self.task.exception()
            if self.task.cancelled() or error is not None:
                found.update(state="failed", error="the monitor failed at it: %s" % (error or "it was stopped"))
            else:
                found.update(state="done", answer=self.task.result())
        return found


class Desk:
    """One per monitor; used from the loop's thread.

    Those who may act, those who only look, and what is read for all have threads of their own: none waits for another.
    """

    def __init__(self, core: Core, journal: Journal) -> None:
        self.core = core
        self.journal = journal
        self.state_dir = core.state_dir
        self.owner = owner_of(core.state_dir)  # uid
        self._for_all = ThreadPoolExecutor(1, thread_name_prefix="api")
        self._for = {acts: ThreadPoolExecutor(1 + acts, thread_name_prefix="api") for acts in (False, True)}
        self._picture: Picture | None = None
        self.painted = time.monotonic()
        self._painting = asyncio.Lock()
        self._facts = SiteFacts()
        self._changes = 0
        self._since = Since()
        self._tickets: dict[str, Ticket] = {}  # the oldest first

    def close(self) -> None:
        for workers in (self._for_all, *self._for.values()):
            workers.shutdown(wait=False, cancel_futures=True)

    def changed(self) -> None:
        """Mark the picture as old: something changed that may not be in a file yet."""
        self._changes += 1

    def stamp(self, name: str) -> Stamp | None:
        """Of a file of the state folder; None when it is not there."""
        return file_stamp(self.state_dir / name)

    async def site(self) -> SiteFacts:
        """The site's document that requests are checked against; empty while no site is published."""
        stamp = self.stamp(SITE_FILE)
        if stamp != self._facts.stamp:
            self._facts = await self._run_for_all(self._site_facts, stamp)
        return self._facts

    def _site_facts(self, stamp: Any) -> SiteFacts:
        """Read the published site. When another version of muster wrote it, keep the one that was read before."""
        document = self._read(SITE_FILE).get("site")
        owner = owner_of(self.state_dir)
        if not document:
            return SiteFacts(places=Places(owner=owner), stamp=stamp)
        try:
            site = site_model.site_from_json(document)
        except ValueError:
            return replace(self._facts, stamp=stamp)
        return SiteFacts(site, places_of(site, owner), names_of(site), stamp)

    async def names(self) -> Names:
        """Names that a request may use: those of the site, and instances still held although their item left it."""
        facts = await self.site()
        document = (await self.picture()).document
        held = {name: entry["host"] for name, entry in document["instances"].items()}
        pauses = [pause["key"] for pause in document.get("pauses") or []]
        return names_of(facts.site, held, pauses) if facts.site is not None else facts.names

    async def picture(self) -> Picture:
        """The status now. :raises NotNow:"""
        async with self._painting:
            key = (self._changes, *(self.stamp(name) for name in _FILES))
            known, account = self._picture, METERED.get()
            if known is not None:
                age = time.monotonic() - known.made
                looks = account is not None and not account.principal.acts
                if (known.key == key and age < YOUNG) or (looks and age < PAINTED_APART * known.took):
                    return known
            snapshot = await self.core.seen()
            self._picture = await self._run_for_all(self._paint, snapshot, key)
            self.painted = self._picture.made
            return self._picture

    @property
    def age(self) -> float:
        """Seconds since the last picture that could be read, or since the start."""
        return time.monotonic() - self.painted

    def _paint(self, snapshot: Json, key: Any) -> Picture:
        began = time.thread_time()
        document = self._controller({"verb": "status", "monitor": snapshot})["status"]
        self._since.mark(document)
        body, made = encode(document), time.monotonic()
        return Picture(document, body, key, made, time.thread_time() - began)

    async def plan(self) -> Json:
        request = {"verb": "plan", "check": True, "request": {"kind": "reconcile"}}
        plan: Json = (await self.run(self._controller, request))["plan"]
        return plan

    async def dry_run(self, wanted: Request, save: bool = False, approve: bool = False) -> Json:
        """The plan of a request over what the hosts said last, as the answer to the request; nothing is done.

        :param save: keep it, so that it can be applied. :param approve: by somebody else only.
        """
        body = wanted.to_json()
        if wanted.kind == "confirm_down":
            await self.core.seen()
            body["heard"] = self.core.heard(wanted.host)
        request: Json = {"verb": "plan", "check": True, "request": dict(body, dry_run=True)}
        if save:
            request["save"] = {"approve": approve}
        answer = await self.run(self._controller, request)
        plan: Json = answer["plan"]
        saved = answer.get("saved")
        kept = {"saved": saved, "digest": saved_plan.digest(saved)} if saved else {}
        refused = [action["reason"] for action in plan["actions"] if action["action"] == "refuse"]
        said = refused or plan_text.plan_lines(plan, time.time())
        return {"ok": not refused, "said": said, "refused": bool(refused), "run": "", "results": {}, **kept}

    async def trail(self, after: int | None, limit: int, instance: str | None = None) -> list[Json]:
        request = {"verb": "trail", "after": after, "limit": limit, "instance": instance}
        entries: list[Json] = (await self.run(self._controller, request))["trail"]
        return entries

    def search_trail(self, wanted: trail_search.Wanted, names: Set[str], limit: int) -> list[Json]:
        """Entries of some time, the oldest first; `names`: the instances of the item. Takes its time: for a thread."""
        try:
            with ledgers.open_ledger(str(self.state_dir)) as ledger:
                return trail_search.search(ledger.trail, wanted, names, limit)
        except LedgerError as error:
            raise NotNow(str(error)) from error

    async def question(self, verb: str, **request: Any) -> Json:
        """`explain` or `what_if` of the controller. :raises Unknown: with its sentence."""
        try:
            answer = await self.run(self._controller, {"verb": verb, **request})
        except NotNow as error:
            raise Unknown(str(error)) from None
        found: Json = answer[verb]
        return found

    async def answers(self, hosts: list[str]) -> dict[str, float]:
        """Those of these hosts that are not dead: host -> when it answered last."""
        site, now = (await self.site()).site, time.time()
        seen = await self.core.seen()
        believed = {n: seen["at"] - h["since"] for n, h in (seen.get("hosts") or {}).items() if h["state"] == DOWN}
        heard = {name: at for host in hosts for name, at in self.core.heard(host).items()}
        if site is None:
            return {}
        return {n: at for n, at in heard.items() if answers(at, believed.get(n), site.settings, now)}

    async def living(self) -> dict[str, str]:
        """Instance -> the host on which a program of it was seen last."""

        def read() -> dict[str, str]:
            hosts: Mapping[str, Any] = self._read(SEEN_FILE).get("hosts") or {}
            return {
                name: host
                for host, entry in hosts.items()
                for name, seen in (entry.get("instances") or {}).items()
                if seen.get("programs")
            }

        return await self._run_for_all(read)

    async def loads(self) -> dict[str, tuple[float, ...]]:
        """host -> at, cpu, memory, reserved, effective; of the hosts that were seen."""
        return await self._run_for_all(self._loads)

    def _loads(self) -> dict[str, tuple[float, ...]]:
        seen = self._read(SEEN_FILE).get("hosts") or {}
        try:
            site = site_model.site_from_json(self._read(SITE_FILE).get("site") or {})
            with ledgers.open_ledger(str(self.state_dir)) as ledger:
                claims = State.from_json(ledger.read()[0]).claims
        except (ValueError, LedgerError) as error:
            raise NotNow(str(error)) from error
        views = {host.name: observed(seen, host.name) for host in site.hosts}
        loads = place_loads.host_loads(site, claims, views)
        fleet = place_loads.Fleet(loads.values())
        return {
            name: (
                entry["at"],
                entry["load"]["cpu"],
                entry["load"]["memory"],
                loads[name].reserved,
                fleet.effective(name),
            )
            for name, entry in seen.items()
            if name in loads and {"cpu", "memory"} <= (entry.get("load") or {}).keys()
        }

    async def ask(self, request: Request, always: bool = False) -> Json:
        """The outcome of a request. The request is carried out even when its sender no longer waits.

        :param always: it is taken although others fill the list. :raises NotNow:
        """
        return await asyncio.shield(self.begin(request, always).task)

    def begin(self, request: Request, always: bool = False) -> Ticket:
        """:raises NotNow: when too many are under way."""
        most = TICKETS + (ALWAYS_TICKETS if always else 0)
        over = [name for name, ticket in self._tickets.items() if ticket.task.done()]
        for name in over[: max(0, len(self._tickets) - most + 1)]:
            del self._tickets[name]
        if len(self._tickets) >= most:
            raise NotNow("%d requests are under way already, more are not taken" % len(self._tickets))
        ident = asked.new_id()
        task = asyncio.get_running_loop().create_task(self._ask(request, ident))
        self._tickets[ident] = Ticket(ident, request, task)
        return self._tickets[ident]

    def ticket(self, name: str) -> Ticket | None:
        return self._tickets.get(name)

    async def _ask(self, request: Request, ident: str) -> Json:
        known = ("who", "from", "why")
        facts = {field.name: field.logged(value) for field, value in request.given() if field.name not in known}
        self.journal.say("asked", request.why, kind=request.kind, who=request.who, host=request.where, **(
            {"request": facts} if facts else {}))  # fmt: skip
        try:
            return await self.core.ask(request, ident)
        except NotNow:
            raise
        except Exception as error:
            self.journal.say("error", "the request %s failed: %s %s" % (request.kind, type(error).__name__, error))
            raise
        finally:
            self.changed()

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Run work for the caller whom the current task serves, and charge the processor time to that caller."""
        account, loop = METERED.get(), asyncio.get_running_loop()
        if account is None:
            return await self._run_for_all(work, *arguments)

        def charged() -> Result:
            began = time.thread_time()
            try:
                return work(*arguments)
            finally:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(account.worked, time.thread_time() - began, time.monotonic())

        return await loop.run_in_executor(self._for[account.principal.acts], charged)

    async def _run_for_all(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._for_all, work, *arguments)

    def _controller(self, request: Json) -> Json:
        answer: Json = calls.handle({"state_dir": str(self.state_dir), **request})
        if answer.get("unknown"):
            raise Unknown(answer["error"], name=True)
        if answer.get("error"):
            raise NotNow(answer["error"])
        return answer

    def _read(self, name: str) -> Json:
        return publish.read_published(str(self.state_dir), name)


def encode(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
