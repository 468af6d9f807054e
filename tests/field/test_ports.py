# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port that the kernel keeps for a while after its program was killed: the reason says so.

From ralphlange/procServ#35: a program without SO_REUSEADDR ends at once with EADDRINUSE although nobody listens.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from monitor.core.host.machine import ports
from tests.integration.addresses import NET
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    gate,
    host_fixture,
    only_supervisor,
    program,
    wait_for,
)

ADDRESS = NET + ".1.1"
SERVER = """
import socket
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, %d)
server.bind(("%s", %d))
server.listen()
kept = []
while True:
    kept.append(server.accept()[0])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def connect(port: int) -> socket.socket:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            return socket.create_connection((ADDRESS, port), 5)
        assert time.monotonic() < end, "nothing listens"
        time.sleep(0.01)


def leave_connections(host: Host, port: int) -> None:
    """Kill the program while clients are connected: its side closes first, and the kernel keeps the port."""
    clients = [connect(port) for _unused in range(5)]
    os.kill(host.pids("app_01")["acq"], signal.SIGKILL)
    wait_for(lambda: "acq" not in host.pids("app_01"), "the program is gone")
    for client in clients:
        client.close()
    assert ports.taken(ADDRESS, [port]) == {}, "nobody listens"


@only_supervisor  # the kernel does it, with any service manager
@pytest.mark.parametrize("reuse", [0, 1])
def test_who_cannot_listen_yet_says_why_and_who_can_starts(host: Host, reuse: int, tmp_path: Path) -> None:
    port = free_port()
    server = tmp_path / "server.py"
    server.write_text(SERVER % (reuse, ADDRESS, port), encoding="utf-8")
    command = ["/usr/bin/python3", str(server)]
    listens = ["/bin/sh", "-c", "until grep -q ':%04X 00000000:0000 0A' /proc/net/tcp; do sleep 0.02; done" % port]
    host.define("app_01", [program("acq", 1, command), gate("listens", 2, listens)], ports={"client": port})
    assert host.do("start", "app_01", 1)["result"] == "running"
    leave_connections(host, port)
    assert ports.lingering(ADDRESS, [port]) == [port]
    again = host.do("restart", "app_01", 2)
    if reuse:
        assert again["result"] == "running", again
        return
    assert again["result"] == "failed", again
    assert "Address already in use" in again["reason"]
    assert "port %d still has connections of before" % port in again["reason"]


def test_a_free_port_and_one_where_somebody_listens_are_none_of_these() -> None:
    with socket.socket() as server:
        server.bind((ADDRESS, 0))
        server.listen()
        assert ports.lingering(ADDRESS, [free_port(), server.getsockname()[1]]) == []
