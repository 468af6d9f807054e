# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the benchmarks."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.addresses import NET
from tests.integration.reference.programs_by_hand import ROOT, wait_for

Started = list[subprocess.Popen[bytes]]
WHERE = (NET + ".4.31", 24990)


@pytest.fixture
def started() -> Iterator[Started]:
    processes: Started = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def dummy(started: Started, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], "MUSTER_PYTHON": sys.executable,
                   "MUSTER_ADDRESS": WHERE[0], "MUSTER_PORT_CLIENT": str(WHERE[1])}
    process = subprocess.Popen([Path(ROOT) / "bin/dummy" / name, *arguments], env=environment)
    started.append(process)
    return process


@pytest.mark.parametrize("arguments", [(), (WHERE[0], str(WHERE[1]))])
def test_the_check_ends_when_the_bus_listens(started: Started, arguments: tuple[str, ...]) -> None:
    check = dummy(started, "check", *arguments)
    with pytest.raises(subprocess.TimeoutExpired):
        check.wait(0.2)
    dummy(started, "bus", *arguments)
    assert check.wait(5) == 0


def test_who_holds_a_connection_sees_the_bus_die(started: Started) -> None:
    bus = dummy(started, "bus")
    dummy(started, "check").wait(5)
    with socket.create_connection(WHERE, timeout=5) as held, socket.create_connection(WHERE, timeout=5) as other:
        other.close()  # one that goes does not disturb the others
        held.setblocking(False)
        with pytest.raises(BlockingIOError):
            held.recv(1)
        held.settimeout(5)
        bus.kill()
        with contextlib.suppress(ConnectionResetError):  # when it had not accepted yet
            assert held.recv(1) == b""


def test_the_bus_forgets_connections_that_ended(started: Started) -> None:
    bus = dummy(started, "bus")
    dummy(started, "check").wait(5)
    open_files = Path(f"/proc/{bus.pid}/fd")
    for _ in range(50):
        socket.create_connection(WHERE, timeout=5).close()
    wait_for(lambda: len(list(open_files.iterdir())) < 10, "its descriptors are closed")


def test_idle_stays(started: Started) -> None:
    idle = dummy(started, "idle")
    with pytest.raises(subprocess.TimeoutExpired):
        idle.wait(0.3)
