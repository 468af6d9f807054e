# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As many NATS servers as a monitor can watch, in one process: what its probe needs of the protocol, and no more.

Each has its own address and port, passes messages on, and can be killed, hung and brought back. As a program it reads
orders from standard input, one JSON list per line: ["open" | "kill" | "hang", address, port]. It answers each
with the moment, in seconds since 1970, in which it was carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

Place = tuple[str, int]  # address, port
ROOT = Path(__file__).resolve().parents[2]
_INFO = b'INFO {"server_id":"bench","version":"2.10.0","proto":1,"max_payload":1048576}\r\n'
_OWN_FILES = 100  # besides a listener and a connection or two per server


class Client(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = b""
        self._subscriptions: dict[bytes, bytes] = {}  # subject -> the client's number for it
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.clients.add(self)
        if not self._server.hung:
            transport.write(_INFO)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.clients.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._server.hung:
            return
        self._buffer += data
        while self._buffer:
            line, end, rest = self._buffer.partition(b"\r\n")
            words = line.split()
            length = int(words[-1]) + 2 if words and words[0] == b"PUB" and end else 0
            if not end or len(rest) < length:
                return  # the rest is on its way
            self._buffer = rest[length:]
            self._take(words, rest[:length])

    def _take(self, words: list[bytes], payload: bytes) -> None:
        assert self.transport is not None
        if words[:1] == [b"SUB"]:
            self._subscriptions[words[1]] = words[-1]
        elif words[:1] == [b"PING"]:
            self.transport.write(b"PONG\r\n")
        elif words[:1] == [b"PUB"]:
            for client in self._server.clients:
                client.deliver(words[1], payload)

    def deliver(self, subject: bytes, payload: bytes) -> None:
        number = self._subscriptions.get(subject)
        if number is not None and self.transport is not None:
            self.transport.write(b"MSG %s %s %d\r\n%s" % (subject, number, len(payload) - 2, payload))


class Server:
    """A server at one place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.hung = False
        self.clients: set[Client] = set()
        self._listener: asyncio.Server | None = None

    async def open(self) -> None:
        """Serve, again or for the first time; connections of a server that hung are ended."""
        self.hung = False
        self._abort()
        if self._listener is None:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(lambda: Client(self), *self.place, reuse_address=True, backlog=8)

    async def kill(self) -> None:
        """As a killed process leaves it: connections end, new ones are refused."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._abort()

    async def hang(self) -> None:
        """As a stopped process leaves it: connections are taken, and nothing is said."""
        self.hung = True

    def _abort(self) -> None:
        for client in list(self.clients):
            if client.transport is not None:
                client.transport.abort()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    servers: dict[Place, Server] = {}
    while line := await orders.readline():
        what, address, port = json.loads(line)
        server = servers.setdefault((address, port), Server((address, port)))
        await {"open": server.open, "kill": server.kill, "hang": server.hang}[what]()
        print(time.time(), flush=True)
    os._exit(0)  # as killed processes: connections of a thousand servers are not ended one by one


class Buses:
    """The servers from outside: a child process, which ends when its standard input does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", __name__], cwd=ROOT, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def order(self, what: str, place: Place) -> float:
        """open, kill or hang; the moment in which it was done.

        :raises OSError: when the servers are gone.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([what, *place]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise OSError(f"the servers of the bench ended with {self._process.wait()}")
        return float(answer)

    def close(self) -> None:
        self._process.kill()  # there is nothing that it would have to bring to an end
        self._process.communicate()


@contextlib.contextmanager
def buses() -> Iterator[Buses]:
    made = Buses()
    try:
        yield made
    finally:
        made.close()


def files_for(count: int) -> str:
    """"" when so many servers can be open at once, and so many connections to them, else why not."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * count + _OWN_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return f"{count} buses need {wanted} open files, and a process here may have {hard}"
    return ""


def main() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
