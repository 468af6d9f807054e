# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is asked on its line at once when something there ended, long before the next question is due."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from functools import partial
from pathlib import Path

import pytest

from monitor.judge.hosts import Signal
from monitor.judge.watch_list import Watch, WatchedHost
from monitor.watch import lines, lines_ssh
from monitor.watch.lines import Lines
from tests.unit.monitor.line_host import LineHost, until
from tests.unit.monitor.test_ssh import SSH, Stand

REFUSED = "the service manager of h is gone (Connection refused)"
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
        held = Lines(lambda _host, signal, _why: said.append(signal), lambda _event: None, host.complaints.append)
        manager = await asyncio.start_unix_server(_manager, str(host.root / "run" / "supervisor.sock"))
        held.follow(Watch(machines={"h": machine}, host_interval=LONG))
        try:
            for asked in range(1, 4):
                await until(partial(answered, said, asked))
                held.ask("h")
                held.ask("unknown")
            await until(lambda: len(said) == 4)
            assert set(said) == {Signal.FINE}
        finally:
            held.stop()
            manager.close()

    asyncio.run(scene())


def test_what_is_refused_after_a_silence_is_silent_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that stands still is ended by its lease; then the kernel of this machine refuses in its place."""
    monkeypatch.setattr(lines, "SILENCE_SECONDS", 1.0)
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "supervisor.sock"
    said: list[tuple[Signal, str]] = []

    async def scene() -> None:
        with socket.socket(socket.AF_UNIX) as stands_still:
            stands_still.bind(str(path))
            stands_still.listen()
            host = WatchedHost("h", root=str(tmp_path))
            line = lines.SocketLine(host, 0.1, lambda _host, signal, why: said.append((signal, why)))
            try:
                await until(lambda: (Signal.LOST, "the service manager of h does not answer within 0.1 s") in said)
                stands_still.close()
                await until(lambda: (Signal.GONE, REFUSED) in said)
            finally:
                line.stop()

    asyncio.run(scene())
    assert next(signal for signal, why in said if why == REFUSED) is Signal.LOST, said


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
