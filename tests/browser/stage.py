# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site of any size without hosts, for the page alone: real documents, API, stream and files; only the monitor and the
reading of its folder are made up. So a test of 5,000 items needs no 5,000 items.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from monitor.base.journal import Journal
from monitor.base.listeners import Listened
from monitor.core.controller import alarm_calls, trail_search
from monitor.core.model.request import Request
from monitor.core.model.site import Site
from monitor.core.report import status
from monitor.core.requests.names import names_of
from monitor.web import desk, server
from monitor.web.doors.caller import ACT, LOOK, Caller, places_of
from monitor.web.logs.feed import End, Take
from tests.small_site import SERVERS, quiet_host, running, small_site, small_state

PROGRAMS = ("internal_data_bus", "data_processing", "common_bus_interface")
STARTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 1.0}
HEALTHY = {"state": "healthy", "epoch": 1, "since": 60.0}
HERE = "console_1"  # whom the door of the stage belongs to
PATIENCE = 180.0  # s

Json = dict[str, Any]


class Core(Listened):
    """A monitor that is always well. `answer` decides about requests; it runs in the stage's thread."""

    counts: ClassVar[dict[tuple[str, str], int]] = {}

    def __init__(self, state_dir: Path) -> None:
        super().__init__()
        self.state_dir = state_dir
        self.asked: list[Json] = []
        self.answer: Callable[[Request], Json] = lambda request: {"ok": True, "said": ["done"], "results": {}}
        self.go = asyncio.Event()
        self.go.set()

    @property
    def turned(self) -> float:
        return time.monotonic()

    async def ask(self, request: Request, ident: str = "") -> Json:
        self.asked.append(request.to_json())
        await self.go.wait()
        return self.answer(request)

    def logs(self, host: str, request: Mapping[str, Any], take: Take) -> End:
        take({"over": "this site has no hosts"})
        return lambda: None

    async def seen(self) -> Json:
        return {}

    def heard(self, host: str) -> dict[str, float]:
        return {}


class StageDesk(desk.Desk):
    """Shows the document of the stage instead of a folder's."""

    document: Json
    trail_entries: list[Json]
    stage_site: Site

    async def site(self) -> desk.SiteFacts:
        site = self.stage_site
        return desk.SiteFacts(site, places_of(site, self.owner), names_of(site), 1)

    async def picture(self) -> desk.Picture:
        known, document = self._picture, self.document
        if known is None or known.key != document["at"]:
            now = time.monotonic()
            known = self._picture = desk.Picture(document, desk.encode(document), document["at"], now, 0.0)
        self.painted = time.monotonic()
        return known

    async def trail(self, after: int | None, limit: int, instance: str | None = None) -> list[Json]:
        found = [e for e in self.trail_entries if not instance or e["instance"] == instance]
        return [e for e in found if e["id"] > after][:limit] if after is not None else found[-limit:]

    def search_trail(self, wanted: trail_search.Wanted, names: Set[str], limit: int) -> list[Json]:
        def read(after: int | None, most: int) -> list[Json]:
            found = self.trail_entries
            return [e for e in found if e["id"] > after][:most] if after is not None else found[-most:]

        return trail_search.search(read, wanted, names, limit)

    async def loads(self) -> dict[str, tuple[float, ...]]:
        return {h["host"]: (self.document["at"], 12.0, 30.0, h["reserved"], 20.0) for h in self.document["hosts"]}

    async def question(self, verb: str, **request: Any) -> Json:
        if verb == "explain":
            return {"applications": []}
        return {"actions": [], "waits": [], "verdicts": {}}

    async def dry_run(self, wanted: Request, save: bool = False, approve: bool = False) -> Json:
        wrong = wanted.kind == "drain" and "00" in str(wanted.to_json().get("until") or "")
        return {"ok": not wrong, "said": ["14h00 is not a time"] if wrong else [], "refused": wrong, "run": "",
                "results": {}}  # fmt: skip


def documents(count: int, at: float, labels: Callable[[int], Json] | None = None) -> tuple[Site, Json]:
    """A site of `count` items that all run, and its status."""
    site = small_site(items=count)
    hosts = tuple(replace(host, load_limit=max(100, 42 * count)) for host in site.hosts)
    if labels is not None:
        site = replace(site, items=tuple(replace(i, variables=labels(i.slot)) for i in site.items))
    site = replace(site, hosts=hosts, controller=HERE)
    claims, seen = {}, {host.name: quiet_host(host.name) for host in site.hosts}
    for number, item in enumerate(site.items):
        name, host = "scen2_srv_%s" % item.id, SERVERS[number % 3]
        claims[name] = running(host, 1, since=at - 3600)
        programs = {program: {"pid": 4000 + number, "started": at - 3600} for program in PROGRAMS}
        seen[host]["instances"][name] = {"epoch": 1, "epochs": [1], "claim": 1, "programs": programs, "cpu": 1.0,
                                         "memory": 0.5}  # fmt: skip
    monitor = {"schema": 1, "state": "running", "pid": 77, "at": at, "revision": 17, "standby": "ready", "intents": [],
               "services": {}, "buses": {name: dict(HEALTHY) for name in claims}}  # fmt: skip
    state = small_state(claims=claims, wanted=dict.fromkeys(claims, STARTED))
    document = status.status_document(site, state, 17, seen, monitor, at)
    for item in document["items"]:
        item["since"] = at - 3600
    return site, document


class Stage:
    """The page at `url`. Every method may be called from any thread."""

    def __init__(self, folder: Path, port: int, count: int, labels: Callable[[int], Json] | None = None) -> None:
        self._folder = folder
        self.url = "http://127.0.0.1:%d/" % port
        self.site, self.document = documents(count, time.time(), labels)
        self.site = replace(self.site, settings=replace(self.site.settings, api_port=port))
        self._port = port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        journal = Journal()
        journal._stream = io.StringIO()
        self.core = Core(self._folder)
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        web = server.Web(self.core, journal)
        self.web = web
        self.desk = web._desk
        self.desk.document, self.desk.trail_entries = self.document, []
        await web.begin()
        self._ready.set()
        await self._over.wait()
        await web.end()

    @contextlib.contextmanager
    def shown(self) -> Iterator[Stage]:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(PATIENCE)

    def _do(self, work: Callable[[], None]) -> None:
        done = threading.Event()

        def step() -> None:
            work()
            self.core._tell()
            done.set()

        self._loop.call_soon_threadsafe(step)
        assert done.wait(PATIENCE)

    def change(self, *items: str, verdict: str = "not operational", cause: str = "its data bus crashed") -> None:
        """These items have another verdict now."""

        def work() -> None:
            before = self.desk.document
            at = max(time.time(), before["at"] + 0.001)
            known = set(items)
            word = {"verdict": verdict, "word": verdict, "cause": cause, "short": cause, "since": at}
            changed = [dict(i, **word) if i["item"] in known else i for i in before["items"]]
            self.desk.document = dict(before, at=at, items=changed)

        self._do(work)

    def put(self, edit: Callable[[Json], Json]) -> None:
        """Another document: what `edit` makes of the one before."""

        def work() -> None:
            before = self.desk.document
            self.desk.document = dict(edit(before), at=max(time.time(), before["at"] + 0.001))

        self._do(work)

    def tell(self, what: str, instance: str = "", **more: Any) -> None:
        """Another entry of the trail."""

        def work() -> None:
            entries = self.desk.trail_entries
            entries.append({"id": len(entries) + 1, "at": time.time(), "who": "muster", "from": "", "what": what,
                            "instance": instance, "why": "", "result": "", "run": "", **more})  # fmt: skip

        self._do(work)

    def hold(self) -> None:
        """Requests take until `release`."""
        self._do(self.core.go.clear)

    def release(self) -> None:
        self._do(self.core.go.set)

    def ask(self, console: str, item: str, why: str) -> concurrent.futures.Future[Json]:
        """Ask for the window of an item, as the page at this console does."""
        caller = Caller("ops", console, console, "", (LOOK, ACT))
        return asyncio.run_coroutine_threadsafe(self.web._hub.asks.ask(caller, item, why), self._loop)

    def judge(self) -> None:
        """Have alarms and the past written, as the monitor does."""
        alarm_calls.Book(str(self._folder)).look(self.desk.document, {})


@contextlib.contextmanager
def stage(folder: Path, port: int, count: int, labels: Callable[[int], Json] | None = None) -> Iterator[Stage]:
    real = server.Desk
    made = Stage(folder, port, count, labels)
    StageDesk.stage_site = made.site
    server.Desk = StageDesk  # type: ignore[misc]
    try:
        with made.shown():
            yield made
    finally:
        server.Desk = real  # type: ignore[misc]
