# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API when things are not as they should be: ports taken, clients that do not read, a loop that stands still, a
state folder that is not readable, callers beyond their limits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
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
from monitor.web import app, events
from monitor.web.doors import limits, wire
from monitor.web.server import Web
from tests.integration.addresses import NET
from tests.integration.api_client import Answer, Client
from tests.integration.probes.real_buses import free_port, until
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

    async def ask(self, request: Any) -> dict[str, Any]:
        return await self._core.ask(request)

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


def test_the_far_host_names_callers_over_its_line_and_here_the_socket_does(folder: Path) -> None:
    write_site(folder, far="console_1")
    request = b"GET /api/v1/whoami HTTP/1.0\r\nHost: muster\r\n\r\n"

    async def answered(place: Path, *parts: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(place)
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await reader.read()
        writer.close()
        return answer

    async def scene() -> None:
        async with monitor(folder, Told()):
            far = folder / "run" / "doors" / "console_1.sock"
            for parts in ((b"MUSTER-USER operator\n" + request,), (b"MUSTER-", b"USER operator", b"\n", request)):
                told = json.loads((await answered(far, *parts)).rpartition(b"\r\n\r\n")[2])
                assert (told["who"], told["host"], told["may"]) == ("operator", "console_1", ["look", "act"])
            # Whom a second one names, a person sent: it is no request.
            twice = await answered(far, b"MUSTER-USER operator\n", b"MUSTER-USER root\n" + request)
            assert twice.startswith(b"HTTP/1.1 400")
            near = folder / "run" / "api.sock"
            here = json.loads((await answered(near, b"MUSTER-USER adam\n" + request)).rpartition(b"\r\n\r\n")[2])
            assert (here["who"], here["host"]) == ("adam", "controller")
            twice = await answered(near, b"MUSTER-USER adam\n", b"MUSTER-USER root\n" + request)
            assert twice.startswith(b"HTTP/1.1 400")

    play(scene)


def test_a_port_in_use_is_logged_and_the_monitor_runs_without_the_api(folder: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind((ADDRESS, 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        write_site(folder, api_address=ADDRESS, api_port=port)

        async def scene() -> None:
            journal = Told()
            async with monitor(folder, journal):
                sentence = "the API does not listen at %s:%d: something else does already" % (ADDRESS, port)
                assert journal.said(sentence)
                assert (await get(folder, "/healthz")).status == 200

        play(scene)


def test_doors_follow_the_site_and_are_closed_in_the_end(folder: Path) -> None:
    port = free_port(ADDRESS)

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal):
            write_site(folder, api_address=ADDRESS, api_port=port)
            await until(lambda: journal.said("it listens") and listens(port), "a TCP door")
            answer = await asyncio.to_thread(Client((ADDRESS, port)).get, "/whoami")
            assert answer.json["host"] == "controller"
            write_site(folder, api=False)
            await until(lambda: not listens(port) and not (folder / "run" / "api.sock").exists(), "no door")
            write_site(folder)
            await until(lambda: (folder / "run" / "api.sock").exists(), "its own socket again")
            assert not listens(port)
            assert (await get(folder, "/healthz")).status == 200
        assert not (folder / "run" / "api.sock").exists()

    play(scene)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) == 0


def test_a_monitor_without_the_api_does_not_load_it() -> None:
    script = (
        "import sys, monitor.daemon; print([m for m in ('starlette', 'uvicorn', 'monitor.web') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_left_over_socket_is_replaced_and_a_file_is_not(folder: Path) -> None:
    path = folder / "run" / "api.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal):
            assert (await get(folder, "/healthz")).status == 200

    play(scene)
    path.write_text("mine")

    async def refused() -> None:
        journal = Told()
        core = Monitor(folder, [], journal, standby=False)
        async with surface(core, journal):
            await until(lambda: journal.said("there is a file that is none"), "the complaint")

    play(refused)
    assert path.read_text() == "mine"


def test_health_says_why_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal, web_here) as (core, running):
            await until(lambda: core.snapshot()["revision"] >= 0, "the watch list")
            good = await get(folder, "/healthz")
            assert (good.status, good.json["ok"], good.json["why"]) == (200, True, "")
            (folder / "watch.json").unlink()
            gone = await get(folder, "/healthz")
            assert (gone.status, gone.json["ok"]) == (503, False)
            assert "the watch list is gone" in gone.json["why"]
            write_site(folder)
            assert (await get(folder, "/healthz")).status == 200
            monkeypatch.setattr(app, "TURN_LATE_SECONDS", 0.2)
            running.cancel()  # the loop of the monitor, not that of asyncio
            await until(lambda: running.done(), "its end")
            await asyncio.sleep(0.3)
            late = await get(folder, "/healthz")
            assert (late.status, "has not turned for" in late.json["why"]) == (503, True)

    play(scene)


def test_an_unreadable_ledger_is_a_sentence_and_heals(folder: Path) -> None:
    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal):
            ledger = folder / "ledger.db"
            ledger.rename(folder / "away")
            answer = await get(folder, "/api/v1/status")
            assert (answer.status, "there is no ledger" in answer.json["error"]) == (503, True)
            assert (await get(folder, "/metrics")).status == 503
            assert (await get(folder, "/healthz")).status == 200
            (folder / "away").rename(ledger)
            assert (await get(folder, "/api/v1/status")).status == 200

    play(scene)


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
            end = time.monotonic() + 30
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
        end = time.monotonic() + 40
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
