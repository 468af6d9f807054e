# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's end of the events from supervisord."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from monitor.watch import local_events
from tests.integration.host.host_in_a_folder import Host, host_fixture, kill  # noqa: F401 - a fixture
from tests.integration.host.supervisor_events import BUS, Ear, application


def listen(host: Host, heard: list[dict[str, Any]]) -> Any:
    return local_events.EventSocket(Path(host.root), heard.append)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_the_monitor_hears_of_an_exit(host: Host) -> None:
    async def scene() -> None:
        heard: list[dict[str, Any]] = []
        ears = listen(host, heard)
        await asyncio.to_thread(application, host, "app_01")
        kill(host.pids("app_01")[BUS])
        await until(lambda: [event["stopped"] for event in heard if event["program"] == BUS] == [["chart", "view"]])
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            for rubbish in (b"\xff\xfe", b"[1]", b"{}", b'{"event": 3}'):
                stranger.sendto(rubbish, str(ears.path))
        before = len(heard)
        await until(lambda: ears.ignored == 4)
        assert len(heard) == before and ears.path.stat().st_mode & 0o777 == 0o600
        ears.close()
        ears.close()
        assert list(ears.path.parent.iterdir()) == []

    asyncio.run(scene())


def test_the_socket_of_a_dead_monitor_goes_when_another_one_listens(host: Host) -> None:
    folder = Path(host.root, "run/listeners")

    async def scene() -> None:
        Ear(host, "4711.sock").close()
        living = Ear(host, "4712.sock")
        folder.joinpath("notes.sock").write_text("somebody's own")
        Ear(host, "%d.sock" % os.getpid()).close()  # our own pid, of a process before us
        ears = listen(host, [])
        assert sorted(p.name for p in folder.iterdir()) == sorted(["4712.sock", "notes.sock", ears.path.name])
        ears.close()
        living.close()

    asyncio.run(scene())


def test_it_can_be_closed_by_its_own_callback(host: Host) -> None:
    async def scene() -> None:
        heard: list[dict[str, Any]] = []
        ears = local_events.EventSocket(Path(host.root), lambda event: (heard.append(event), ears.close()))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for number in range(3):
                sender.sendto(json.dumps({"event": "ending", "number": number}).encode(), str(ears.path))
        await until(lambda: heard)
        assert [event["number"] for event in heard] == [0]

    asyncio.run(scene())


def test_where_it_cannot_be_listened_a_sentence_says_why(tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(local_events.EventSocketError, match="at most 107: choose a shorter muster_root"):
            local_events.EventSocket(tmp_path / ("x" * 100), print)
        with pytest.raises(local_events.EventSocketError, match=r"cannot listen at .*: No such file or directory"):
            local_events.EventSocket(Path("/tmp/mu-no-such-host"), print)

    asyncio.run(scene())
