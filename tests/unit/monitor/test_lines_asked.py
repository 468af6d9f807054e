# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is asked on its line at once when something there ended, long before the next question is due."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial
from pathlib import Path

import pytest

from monitor.judge.hosts import Signal
from monitor.judge.watch_list import Watch, WatchedHost
from monitor.watch import lines_ssh
from monitor.watch.lines import Lines
from tests.unit.monitor.line_host import LineHost, until
from tests.unit.monitor.test_ssh import SSH, Stand

LONG = 3600.0  # s between two questions: whatever answers sooner was asked


def answered(said: list[Signal], times: int) -> bool:
    return len(said) == times


async def _manager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every question of a connection."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    writer.close()


def test_a_service_manager_of_this_machine_is_asked_at_once(tmp_path: Path) -> None:
    host = LineHost(tmp_path)
    said: list[Signal] = []
    machine = WatchedHost("h", root=str(host.root), connection="control_room.muster.machine")

    async def scene() -> None:
        lines = Lines(lambda _host, signal, _why: said.append(signal), lambda _event: None, host.complaints.append)
        manager = await asyncio.start_unix_server(_manager, str(host.root / "run" / "supervisor.sock"))
        lines.follow(Watch(machines={"h": machine}, host_interval=LONG))
        try:
            for asked in range(1, 4):
                await until(partial(answered, said, asked))
                lines.ask("h")
                lines.ask("unknown")
            await until(lambda: len(said) == 4)
            assert set(said) == {Signal.FINE}
        finally:
            lines.stop()
            manager.close()

    asyncio.run(scene())


def test_a_host_over_ssh_is_asked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = LineHost(tmp_path)
    stand = Stand(tmp_path / "stand", monkeypatch, 'for last; do :; done; eval "$last"\n')
    watched = WatchedHost("h", root=str(host.root), ssh={**SSH, "python": sys.executable})
    said: list[Signal] = []

    async def scene() -> None:
        line = lines_ssh.SshLine(
            watched, LONG, lambda _host, signal, _why: said.append(signal), stand._told, stand.complaints.append
        )
        try:
            for asked in range(1, 4):
                await until(partial(answered, said, asked))
                line.ask()
            await until(lambda: len(said) == 4)
            assert set(said) == {Signal.FINE}
        finally:
            line.stop()

    asyncio.run(scene())
