# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves the API: opens and closes its doors as the site says, and ends with the loop that it runs in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn

from ..base import descriptors
from ..base.journal import Journal
from ..base.pacing import rest
from ..core.controller import publish
from ..core.controller.places import SITE_FILE
from . import app, events
from .desk import Core, Desk, NotNow
from .doors import doors
from .doors.caller import Door
from .doors.limits import Limits
from .doors.wire import Gate, Wire
from .figure_sampler import EVERY_SECONDS, FIRST_SECONDS, Sampler, keep
from .figures.segments import FOLDER, Segments
from .history import History

HISTORY = "run/history.jsonl"
CONNECTIONS = 1500  # at most, of all doors; fewer where the process may not have as many descriptors
RESERVED = 100  # descriptors for files, and the doors come on top
GRACE = 1  # s for open requests when the monitor stops
HEAD_BYTES = 16384  # of a request
ALARMS_SECONDS = 0.25  # between two looks whether the monitor has judged
SWEEP_SECONDS = 1.0  # between looks at connections that say nothing


class Web:
    """The whole surface; `begin`, then `end`."""

    def __init__(self, core: Core, journal: Journal) -> None:
        self._core = core
        self._journal = journal
        self._desk = Desk(core, journal)
        self._hub = events.Hub(self._desk)
        self._history = History(core.state_dir / HISTORY)
        self._limits = Limits(max(64, min(CONNECTIONS, descriptors.limit() // 2 - RESERVED)))
        self._gate = Gate(self._limits, lambda: self._desk.owner)
        application = app.application(self._desk, self._hub, self._history, self._limits)
        self._server = _Server(application, journal, self._gate)
        self._open: dict[Door, tuple[asyncio.Server, socket.socket]] = {}
        self._told: set[str] = set()
        self._site: Any = None
        self._missing = False
        self._seen: Any = None
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        await self._server.startup(sockets=[])
        await self._open_doors()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(step()) for step in self._steps()]

    def _steps(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        return (self._wake, self._look, self._look_at_alarms, self._sample, self._sweep)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._hub.close()
        for door in list(self._open):
            self._close(door)
        await self._server.shutdown()
        self._desk.close()

    async def _wake(self) -> None:
        """Read whenever the monitor reports a change, at a limited rate."""
        changed = self._core.subscribe()
        try:
            while True:
                await changed.wait()
                changed.clear()
                self._desk.changed()
                began = time.process_time()
                await self._turn()
                await asyncio.sleep(rest(events.STATUSES_APART_SECONDS, time.process_time() - began))
        finally:
            self._core.unsubscribe(changed)

    async def _look(self) -> None:
        """Read at intervals, too: other processes write, and a new site may have new doors."""
        while True:
            await asyncio.sleep(events.LOOK_SECONDS)
            await self._turn()

    async def _look_at_alarms(self) -> None:
        """Alarms are judged some moments after what they are about: wake the streams as soon as that is stored."""
        known: object = None
        while True:
            await asyncio.sleep(ALARMS_SECONDS)
            stamp = self._hub.alarms.stamp()
            if stamp != known and self._hub.streams:
                known = stamp
                await self._turn()

    async def _sample(self) -> None:
        """Keep what programs use."""
        sampler = Sampler(self._desk, self._core.logs, self._desk.living)
        segments = Segments(self._core.state_dir / FOLDER)
        pause = FIRST_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = EVERY_SECONDS
            try:
                await keep(sampler, self._desk, segments)
            except (NotNow, OSError) as error:
                self._tell("the figures of programs are not kept: %s" % error)
            except Exception as error:
                self._journal.failed("the figures of programs", error)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                self._gate.sweep(loop.time())
            except Exception as error:
                self._journal.failed("the closing of silent connections", error)

    async def _turn(self) -> None:
        """Run each step on its own: when one fails, even by an unexpected error, the others still run."""
        for step in (self._follow_site, self._remember_loads, self._hub.turn):
            try:
                await step()
            except (NotNow, OSError) as error:
                self._tell(str(error))
            except Exception as error:
                self._journal.failed("the API", error)

    async def _follow_site(self) -> None:
        """Look at the doors when the site changed, and while one of them could not be opened."""
        if self._missing or self._desk.stamp(SITE_FILE) != self._site:
            await self._open_doors()

    async def _remember_loads(self) -> None:
        stamp = self._desk.stamp("seen.json")
        if stamp is None or stamp == self._seen:
            return
        self._seen = stamp
        loads = await self._desk.loads()
        self._history.add(loads)

    async def _open_doors(self) -> None:
        """Open the doors that the site has and that are closed; close those that it no longer has."""
        stamp = self._desk.stamp(SITE_FILE)
        facts = await self._desk.site()
        published = await self._desk.run(publish.read_published, str(self._core.state_dir), SITE_FILE)
        wanted, refused = doors.wanted(facts.site, str(published.get("site_id") or ""), self._core.state_dir)
        if facts.site is not None:
            self._history.forget(host.name for host in facts.site.hosts)
            if not facts.site.settings.api:
                wanted, refused = [], []  # switched off while the monitor runs
        for sentence in refused:
            self._tell(sentence)
        for door in [door for door in self._open if door not in wanted]:
            self._close(door)
        opened = []
        self._missing = False
        for door in wanted:
            if door in self._open:
                continue
            try:
                made = doors.listen(door)
            except doors.NotOpened as error:
                self._missing = True
                self._tell(str(error))
                continue
            self._open[door] = (await self._server.serve_at(made, door), made)
            opened.append(str(door))
        self._site = stamp
        if opened:
            self._journal.say("api", "it listens", doors=opened)

    def _close(self, door: Door) -> None:
        server, made = self._open.pop(door)
        server.close()
        doors.remove(door, made)

    def _tell(self, sentence: str) -> None:
        """Log a sentence once, not at every turn."""
        if sentence not in self._told:
            if len(self._told) > 100:
                self._told.clear()
            self._told.add(sentence)
            self._journal.say("api", sentence)


class _Server(uvicorn.Server):
    """uvicorn without its own loop and signal handlers: those are of the process."""

    def __init__(self, application: Any, journal: Journal, gate: Gate) -> None:
        self._gate = gate
        config = uvicorn.Config(
            application,
            http=Wire,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,  # what a request says of its sender counts nothing
            h11_max_incomplete_event_size=HEAD_BYTES,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE,
        )
        config.load()
        super().__init__(config)
        self.lifespan = config.lifespan_class(config)
        logger = logging.getLogger("uvicorn")
        logger.propagate = False
        logger.setLevel(logging.ERROR)  # what it warns of is what callers sent
        logger.handlers = [_ToJournal(journal)]

    async def serve_at(self, made: socket.socket, door: Door) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def protocol() -> Wire:
            return Wire(self.config, self.server_state, {}, loop).through(door, self._gate)

        return await loop.create_server(protocol, sock=made)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _ToJournal(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.ERROR)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        why = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            why += ": %s %s" % (type(record.exc_info[1]).__name__, record.exc_info[1])
        self._journal.say("error", why)
