# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real monitor beside a bus that dies: it asks the host at once, and acts when that has answered.

Bus and service manager are servers of the test, so that the host can stand still just before its bus is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

from monitor.core.model.words import WATCH_SCHEMA
from monitor.loop import Monitor
from tests.integration.addresses import NET
from tests.integration.monitor.served_monitor import Told, play
from tests.integration.probes.real_buses import until

ADDRESS = NET + ".4.9"
INTERVAL = 10.0  # s between two questions on the line: an answer within less was asked for


class Host:
    """A bus, and a service manager that may stand still."""

    def __init__(self, root: Path) -> None:
        (root / "run").mkdir(parents=True)
        self._path = str(root / "run" / "supervisor.sock")
        self._held: set[asyncio.StreamWriter] = set()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.questions = 0

    async def begin(self) -> int:
        self._manager = await asyncio.start_unix_server(self._answer, self._path)
        self._bus = await asyncio.start_server(self._take, ADDRESS, 0)
        return int(self._bus.sockets[0].getsockname()[1])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.questions += 1
                await self.goes_on.wait()
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held.add(writer)
        with contextlib.suppress(OSError):
            await reader.read()

    def kill_bus(self) -> None:
        self._bus.close()
        for writer in self._held:
            writer.transport.abort()

    def end(self) -> None:
        self.goes_on.set()
        self._manager.close()
        self.kill_bus()


def publish(folder: Path, root: Path, port: int) -> None:
    bus = {"program": "bus", "strategy": "restart_application", "port": port,
           "probe": {"type": "tcp", "interval": 0.2, "timeout": 1.0}}
    entry = {"host": "server_1", "epoch": 1, "phase": "running", "address": ADDRESS, "application": "app",
             "item": "01", "bus": bus}
    host = {"state": "up", "address": ADDRESS, "root": str(root), "connection": "control_room.muster.machine"}
    (folder / "watch.json").write_text(json.dumps({
        "schema": WATCH_SCHEMA, "revision": 1, "site_id": "s-1", "hosts": {"server_1": host},
        "instances": {"app_01": entry}, "wanted": {"app_01": {"state": "started"}},
        "settings": {"host_interval": INTERVAL, "observe_interval": 0.0},
    }))  # fmt: skip


def test_a_bus_that_dies_is_acted_on_when_its_host_has_answered_after_that(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    root = tmp_path / "host"

    async def scene() -> None:
        host, journal = Host(root), Told()
        publish(tmp_path, root, await host.begin())
        core = Monitor(tmp_path, [], journal, standby=False)
        running = asyncio.create_task(core.run())

        def said(event: str, **facts: str) -> bool:
            return any(line["event"] == event and facts.items() <= line.items() for line in journal.lines)

        try:
            await until(lambda: said("health", state="healthy") and host.questions == 1, "all is well")
            host.goes_on.clear()
            host.kill_bus()
            await until(lambda: said("health", state="unhealthy") and host.questions == 2, "the host is asked")
            turned = core.turned
            core.wake()
            await until(lambda: core.turned > turned, "another turn")
            assert not said("intent")
            host.goes_on.set()
            await until(lambda: said("intent", instance="app_01", what="restart"), "it is acted on")
            assert host.questions == 2
        finally:
            core.stop()
            await asyncio.wait([running])
            host.end()

    play(scene)
