# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API when things are not as they should be: ports taken, sockets left over, a loop that stands still, a state
folder that is not readable."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.api_task import surface
from monitor.loop import Monitor
from monitor.web import health_routes
from monitor.web.schema import routes
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


def test_odd_requests_are_answered_and_ended(folder: Path) -> None:
    async def scene() -> None:
        async with monitor(folder, Told()):
            client = Client(folder / "run" / "api.sock")

            def asked() -> None:
                for path in ("/events/stream", "/logs/monitor/stream"):
                    head = client.ask("HEAD", routes.BASE + path)
                    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
                assert b"muster_event_streams 0.0" in client.ask("GET", "/metrics").body
                allowed = client.ask("OPTIONS", routes.BASE + "/status")
                assert allowed.status == 405
                assert set(allowed.headers["allow"].split(", ")) == {"GET", "HEAD"}  # in any order
                twice = client.ask("POST", routes.BASE + "/actions?dry_run=1", b'{"kind": "note", "kind": "reconcile"}')
                assert (twice.status, twice.json["error"]) == (
                    400, 'the body is not valid JSON: "kind" is written twice')  # fmt: skip

            await asyncio.to_thread(asked)

    play(scene)


def test_a_stream_after_an_event_of_another_ledger_has_what_happens_from_now_on(folder: Path) -> None:
    tell(folder, 3, 10)

    async def scene() -> None:
        async with monitor(folder, Told()):
            client = Client(folder / "run" / "api.sock")

            def heard() -> list[int]:
                found = []
                for event, ident, _data in client.stream(Last_Event_ID="999999"):
                    if event == "alive" and not found:
                        tell(folder, 1, 10)
                        found.append(0)
                    if event == "trail":
                        return [int(ident)]
                return []

            assert await asyncio.wait_for(asyncio.to_thread(heard), 30) == [4]

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
            await until(lambda: answers(folder / "run" / "api.sock"), "its own socket again")
            assert not listens(port)
            assert (await get(folder, "/healthz")).status == 200
        assert not (folder / "run" / "api.sock").exists()

    play(scene)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) == 0


def answers(path: Path) -> bool:
    """A socket is there before its process listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


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
            monkeypatch.setattr(health_routes, "TURN_LATE_SECONDS", 0.2)
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
