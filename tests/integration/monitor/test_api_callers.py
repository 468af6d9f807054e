# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API and callers that want too much: some that do not read, that say nothing, or that are beyond their limits; and
a process of the API that hangs or dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.web import events
from monitor.web.doors import limits, wire
from tests.integration.api_client import Client
from tests.integration.monitor.served_monitor import (  # noqa: F401 - a fixture
    ADDRESS,
    Told,
    folder,
    get,
    monitor,
    play,
    tell,
    web_here,
    write_site,
)
from tests.integration.probes.real_buses import free_port, until


def test_a_client_that_does_not_read_is_dropped_and_delays_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SLOW_CLIENT_SECONDS", 0.5)

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal, web_here):
            tell(folder, 3000, 2000)
            with socket.socket(socket.AF_UNIX) as lazy:
                lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                lazy.connect(str(folder / "run" / "api.sock"))
                lazy.sendall(b"GET /api/v1/events/stream?after=0 HTTP/1.1\r\nHost: muster\r\n\r\n")
                lazy.setblocking(False)
                await asyncio.to_thread(select.select, [lazy], [], [], 10)  # the stream has begun
                for _ in range(3):
                    assert (await get(folder, "/healthz")).status == 200
                page = await get(folder, "/metrics")
                while b"muster_event_streams 0" not in page.body:
                    await asyncio.sleep(0.05)
                    page = await get(folder, "/metrics")
                taken = await asyncio.to_thread(drain, lazy)
                assert 0 < taken < 6_000_000  # the connection ended long before all of it

    play(scene)


def drain(connection: socket.socket) -> int:
    connection.settimeout(10)
    total = 0
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 20):
            total += len(data)
    return total


def test_a_client_that_reads_gets_everything_once_and_in_order(folder: Path) -> None:
    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal):
            tell(folder, 700, 50)

            def read() -> list[int]:
                stream = Client(folder / "run" / "api.sock").stream("/events/stream?after=0")
                with contextlib.closing(stream):
                    ids: list[int] = []
                    while len(ids) < 1200:
                        event, _, data = next(stream)
                        ids += [data["id"]] if event == "trail" else []
                    return ids

            reading = asyncio.create_task(asyncio.to_thread(read))
            for _ in range(10):
                tell(folder, 50, 50)
                write_site(folder)
            assert await reading == list(range(1, 1201))

    play(scene)


def test_too_many_streams_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ACT", limits.ACT._replace(streams=1))

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal, web_here):
            stream = Client(folder / "run" / "api.sock").stream()
            with contextlib.closing(stream):
                await asyncio.to_thread(next, stream)
                refused = await get(folder, "/api/v1/events/stream")
                assert (refused.status, "has 1 streams open, the limit" in refused.json["error"]) == (429, True)
                assert int(refused.headers["retry-after"]) > 0

    play(scene)


def test_silent_callers_are_turned_away_and_cost_no_one_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port(ADDRESS)
    write_site(folder, api_address=ADDRESS, api_port=port)
    monkeypatch.setattr(wire, "tcp_user", lambda _peer, _local: 65534)
    monkeypatch.setattr(wire, "HEAD_SECONDS", 3.0)
    monkeypatch.setattr(wire, "BODY_SECONDS", 3.0)

    async def scene() -> None:
        async with monitor(folder, Told(), web_here):
            first = [b"", b"GET /healthz HTTP/1.1\r\nHost: loc", POSTED + b"Content-Length: 9\r\n\r\n{"]
            held = [await asyncio.open_connection(ADDRESS, port) for _unused in range(limits.LOOK.connections)]
            for number, (_reader, writer) in enumerate(held):
                writer.write(first[number % 3])
                await writer.drain()
            away = await asyncio.to_thread(Client((ADDRESS, port)).ask, "GET", "/healthz")
            assert away.status == 429
            assert away.json["error"].endswith("24 connections open, the limit: close some, or try again in 10 s")
            assert int(away.headers["retry-after"]) == 10
            assert (await get(folder, "/healthz")).status == 200
            told = [await asyncio.wait_for(reader.read(), 30) for reader, _writer in held]
            for answer in told:
                assert answer.startswith(b"HTTP/1.1 408 "), answer
            for _reader, writer in held:
                writer.close()
            open_again = await asyncio.to_thread(Client((ADDRESS, port)).ask, "GET", "/healthz")
            assert open_again.status == 200

    play(scene)


POSTED = b"POST /api/v1/what-if HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_stop_is_taken_from_a_caller_beyond_every_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ACT", limits.ACT._replace(requests=(1e-6, 1)))

    async def scene() -> None:
        async with monitor(folder, Told(), web_here) as (core, _running):
            asked = []

            async def ask(request: Any) -> dict[str, Any]:
                asked.append(request.kind)
                return {"ok": True, "said": [], "results": {}}

            monkeypatch.setattr(core, "ask", ask)
            client = Client(folder / "run" / "api.sock")
            late = [await get(folder, "/healthz") for _unused in range(3)][-1]
            assert (late.status, int(late.headers["retry-after"]) > 0) == (429, True)
            for kind, status in (("start", 429), ("stop", 200), ("restart", 429), ("stop", 200)):
                body = {"kind": kind, "instances": ["scen2_srv_01"]}
                answer = await asyncio.to_thread(client.post, "/actions", body)
                assert answer.status == status, answer.body
            assert asked == ["stop", "stop"]

    play(scene)


def api_processes() -> list[int]:
    """Of the monitor in this process."""
    found = []
    for pid in Path("/proc/self/task/%d/children" % os.getpid()).read_text().split():
        with contextlib.suppress(OSError):  # it has just ended
            if b"monitor.web.process" in Path("/proc/%s/cmdline" % pid).read_bytes():
                found.append(int(pid))
    return found


def test_a_process_of_the_api_that_hangs_delays_nothing_and_one_that_dies_comes_back(folder: Path) -> None:
    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal) as (core, _running):
            [first] = api_processes()
            os.kill(first, signal.SIGSTOP)
            for _unused in range(3):
                before = core.turned
                write_site(folder)
                await until(lambda: core.turned > before and core.watch.revision >= 0, "the loop turns")  # noqa: B023
            os.kill(first, signal.SIGKILL)
            await until(lambda: api_processes() not in ([], [first]), "another process")
            await until(lambda: (folder / "run" / "api.sock").exists(), "its door")
            assert journal.said("its process ended with -9; its process is started again")
            end = time.monotonic() + 120
            while True:
                with contextlib.suppress(OSError):
                    if (await get(folder, "/healthz")).status == 200:
                        break
                assert time.monotonic() < end
                await asyncio.sleep(0.1)

    play(scene)


def test_the_process_of_the_api_ends_with_the_monitor(folder: Path) -> None:
    journal = folder / "log"
    command = [sys.executable, "-m", "monitor", "--state-dir", str(folder), "-i", "none", "--log", str(journal)]
    process = subprocess.Popen([*command, "--no-standby"], start_new_session=True)
    try:
        end = time.monotonic() + 120
        while "it listens" not in (journal.read_text() if journal.exists() else ""):
            assert time.monotonic() < end
            time.sleep(0.1)
        [child] = Path("/proc/%d/task/%d/children" % (process.pid, process.pid)).read_text().split()
    finally:
        process.kill()
        process.wait()
    while Path("/proc/%s/cmdline" % child).exists() and Path("/proc/%s/cmdline" % child).read_bytes():
        assert time.monotonic() < end
        time.sleep(0.05)
