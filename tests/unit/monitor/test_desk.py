# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of requests without a waiting sender is limited, also when one of them never ends."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any, ClassVar

import pytest

from monitor.base.journal import Journal
from monitor.core.model.request import Request
from monitor.web import desk as module
from monitor.web.desk import Desk, NotNow

REQUEST = Request("start", who="eve", where="console_1", why="a test")


class Core:
    """A monitor that answers only requests that the test releases."""

    turned = 0.0
    counts: ClassVar[dict[tuple[str, str], int]] = {}

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.held: set[str] = set()
        self.go = asyncio.Event()

    async def ask(self, request: Request, ident: str) -> dict[str, Any]:
        if request.why in self.held:
            await self.go.wait()
        return {"ok": True, "said": [], "results": {}}

    async def seen(self) -> dict[str, Any]:
        return {}

    def subscribe(self) -> asyncio.Event:
        return asyncio.Event()

    def unsubscribe(self, event: asyncio.Event) -> None:
        pass


def quiet() -> Journal:
    journal = Journal()
    journal._stream = io.StringIO()
    return journal


def test_the_oldest_answers_go_and_no_request_under_way_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICKETS", 5)

    async def scene() -> None:
        core = Core(tmp_path)
        core.held = {"for ever"}
        desk = Desk(core, quiet())
        first = desk.begin(REQUEST._replace(why="for ever"))
        others = []
        for _unused in range(20):
            others.append(desk.begin(REQUEST))
            await others[-1].task
        assert [ticket for ticket in [first, *others] if desk.ticket(ticket.id)] == [first, *others[-4:]]
        core.go.set()
        await first.task
        desk.close()

    asyncio.run(scene())


def test_too_many_requests_under_way_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICKETS", 3)

    async def scene() -> None:
        core = Core(tmp_path)
        core.held = {"a test"}
        desk = Desk(core, quiet())
        held = [desk.begin(REQUEST) for _unused in range(3)]
        with pytest.raises(NotNow, match="3 requests are under way already"):
            desk.begin(REQUEST)
        core.go.set()
        await asyncio.gather(*(ticket.task for ticket in held))
        await desk.begin(REQUEST).task
        desk.close()

    asyncio.run(scene())
