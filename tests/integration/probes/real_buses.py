# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the monitor's integration tests: real buses, strangers on their ports, waiting with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from tests.integration.addresses import NET

ADDRESS = NET + ".40.1"
WAIT = 60.0  # s until a condition that should come true has failed


def nats_server() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server is not installed"
    return found


def free_port(address: str = ADDRESS) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Server:
    """A server program that can be killed, frozen and started again at the same port."""

    def __init__(self, command: Callable[[int], list[str]], port: int | None = None, address: str = ADDRESS) -> None:
        self.address = address
        self.port = port or free_port(address)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        self._process = subprocess.Popen(self._command(self.port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit code, if it ended."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Bus(Server):
    """A nats-server."""

    def __init__(self, port: int | None = None, *options: str, address: str = ADDRESS) -> None:
        super().__init__(lambda at: [nats_server(), "-a", address, "-p", str(at), *options], port, address)


@contextlib.contextmanager
def bus(*options: str) -> Iterator[Bus]:
    running = Bus(None, *options).start()
    try:
        yield running
    finally:
        running.kill()


@contextlib.contextmanager
def listener(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A foreign server on a bus's port: it accepts connections and runs `talk` with each; yields the port."""
    with socket.socket() as server:
        server.bind((ADDRESS, 0))
        server.listen(16)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.settimeout(1.0)
                with connection, contextlib.suppress(OSError):
                    talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
    thread.join(WAIT)


async def until(condition: Callable[[], object], what: str, seconds: float = WAIT) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "not within %g s: %s" % (seconds, what)
        await asyncio.sleep(0.005)
