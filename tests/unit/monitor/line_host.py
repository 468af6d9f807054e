# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder as a host with the real agent in it, and the monitor's line to it in a process of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from monitor.core.host import install
from monitor.watch.act_door import ActDoor
from monitor.watch.line_acts import LineActs
from monitor.watch.lines_here import HereLine
from plugins.plugin_utils import _agent_files, _line_call

HERE = {"by": "here"}
FACTS = {"site_id": "s", "site": "s", "controller": "c", "address": "127.0.0.1", "node": "n", "measure": "host",
         "service_manager": "supervisor", "user": "", "display": {}}  # fmt: skip


class LineHost:
    """No service manager runs there: stops are confirmed at once, starts are refused."""

    def __init__(self, folder: Path, name: str = "h") -> None:
        self.root, self.state, self.name = folder / name, folder / "state", name
        for below in ("run/claims", "run/seen", "run/locks", "run/starts", "run/listeners", "etc", "lib", "log"):
            (self.root / below).mkdir(parents=True)
        (self.state / "run").mkdir(parents=True, exist_ok=True)
        self.facts = {**FACTS, "host": name, "root": str(self.root)}
        (self.root / "etc" / "host.json").write_text(json.dumps(self.facts))
        self.version = "0123456789abcdef"
        self.complaints: list[str] = []
        self.silent = ""  # why there is no line to it
        install.install(str(self.root), {"hash": self.version, "files": _agent_files.texts()})

    def request(self, do: str = "stop", **more: Any) -> dict[str, Any]:
        order = {"instance": "app_01", "do": do, "epoch": 3, "programs": [], "reason": "a test"}
        request = {"run": "r1", "deadline": 20.0, "instances": [order], "settle": 0, **more}
        return _line_call.whole(self.facts, request, False)

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[HereLine]:
        line = HereLine([str(self.root)], self.complaints.append)
        try:
            await until(lambda: not line.acts.refusal())
            yield line
        finally:
            line.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await line._task

    @contextlib.asynccontextmanager
    async def door(self, acts: LineActs) -> AsyncIterator[None]:
        def line(_host: str, _reached: Any) -> LineActs | str:
            return self.silent or acts

        door = ActDoor(self.state / "run" / "acts.sock", line, self.complaints.append)
        await door.open()
        try:
            yield
        finally:
            door.close()

    async def give(self, request: dict[str, Any], version: str = "") -> dict[str, Any]:
        acts = {self.name: (HERE, request)}
        given = await asyncio.to_thread(_line_call.give, str(self.state), version or self.version, acts)
        return dict(given.get(self.name) or {})

    async def collect(self, given: dict[str, Any], within: float = 20.0) -> dict[str, Any]:
        return await asyncio.to_thread(_line_call.collect, str(self.state), given["token"], within)


async def until(condition: Any, seconds: float = 80.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
