# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor that only watches, with its API, for tests: in this process or in the API's own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.api_task import surface
from monitor.base.journal import Journal
from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import publish
from monitor.core.model import site
from monitor.loop import Monitor
from monitor.web.server import Web
from tests.integration.addresses import NET
from tests.integration.api_client import Answer, Client
from tests.integration.probes.real_buses import until
from tests.small_site import SITE_ID, small_site

ADDRESS = NET + ".41.1"


class Told(Journal):
    """A journal that can be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._stream = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        assert isinstance(self._stream, io.StringIO)
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def said(self, words: str) -> bool:
        return any(words in line.get("why", "") for line in self.lines)


def write_site(folder: Path, far: str = "", **settings: Any) -> None:
    """Publish a site, whose ledger is made the first time. :param far: a host that is reached over ssh."""
    with controller_ledger.Ledger(str(folder / "ledger.db")) as ledger:
        if not ledger.exists():
            ledger.create("scenario_2", SITE_ID)
        state, revision = ledger.read()
        revision = ledger.commit(revision, {}, [])
    document = site.site_to_json(small_site(str(folder), **settings))
    for host in document["hosts"]:
        if host["name"] == far:
            host["ssh"] = {"host": "192.0.2.1"}
    publish.publish(str(folder), document, state, revision, {}, {})


def tell(folder: Path, entries: int, size: int) -> None:
    """Let the trail grow."""
    line = {"at": time.time(), "who": "eve", "from": "here", "what": "news", "why": "x" * size, "result": ""}
    with controller_ledger.Ledger(str(folder / "ledger.db")) as ledger:
        ledger.commit(ledger.read()[1], {}, [line] * entries)


class Near:
    """A monitor as the API sees it, without a process between them: a test can so change what is in the API's code."""

    def __init__(self, core: Monitor) -> None:
        self._core = core
        self.state_dir, self.counts = core.state_dir, core.journal.counts
        self.subscribe, self.unsubscribe = core.subscribe, core.unsubscribe

    @property
    def turned(self) -> float:
        return self._core.turned

    async def ask(self, request: Any, ident: str = "") -> dict[str, Any]:
        return await self._core.ask(request)

    def logs(self, host: str, request: Any, take: Any) -> Any:
        take({"over": "there is no line to %s" % host})
        return lambda: None

    def heard(self, host: str) -> dict[str, float]:
        return self._core.heard(host)

    async def seen(self) -> dict[str, Any]:
        return self._core.snapshot()


@contextlib.asynccontextmanager
async def web_here(core: Monitor, journal: Told) -> AsyncIterator[None]:
    """The API in this process."""
    web = Web(Near(core), journal)
    await web.begin()
    try:
        yield
    finally:
        await web.end()


@contextlib.asynccontextmanager
async def monitor(
    folder: Path, journal: Told, around: Any = surface
) -> AsyncIterator[tuple[Monitor, asyncio.Task[None]]]:
    """A monitor that only watches, with its API, by default in the API's own process."""
    core = Monitor(folder, [], journal, standby=False)
    async with around(core, journal):
        running = asyncio.create_task(core.run())
        await until(lambda: any(line.get("doors") for line in journal.lines), "the API")
        try:
            yield core, running
        finally:
            core.stop()
            await asyncio.wait([running])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    write_site(tmp_path)
    (tmp_path / "run").mkdir()
    return tmp_path


def play(scene: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))


async def get(folder: Path, path: str) -> Answer:
    return await asyncio.to_thread(Client(folder / "run" / "api.sock").ask, "GET", path)
