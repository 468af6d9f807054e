# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bus that has no connection left for one more client works for all its others: it is not restarted.

Sources: nats-io/nats-server#1114, PR#7527, nats-io/nats.go PR#1921 (maximum connections exceeded),
eclipse-mosquitto/mosquitto#1460 (max_connections: the broker closes the connection without a word).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.judge.health import Health, Kind, State
from tests.integration.probes.probing import Seen, mosquitto, needs_mosquitto, probing, run, serving
from tests.integration.probes.real_buses import ADDRESS, WAIT, listener, nats_server, until

INFO = b'INFO {"server_id":"x","max_payload":1048576}\r\n'


def judged(seen: Seen) -> Health:
    health = Health(seen.results[0].at, failures=3, interval=0.2, timeout=0.3)
    for result in seen.results:
        health.note(result)
    return health


def nats_of(most: int, folder: Path) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        config = folder / "nats.conf"
        config.write_text('listen: "%s:%d"\nmax_connections: %d\n' % (ADDRESS, port, most), encoding="utf-8")
        return [nats_server(), "-c", str(config)]

    return command


@contextlib.contextmanager
def client(port: int, hello: bytes, answer: bytes) -> Iterator[None]:
    """Another client, which has got a connection; the server may still count the one that asked whether it listens."""
    end = time.monotonic() + WAIT
    while True:
        connection = socket.create_connection((ADDRESS, port), 5.0)
        said = b""
        with contextlib.suppress(OSError):
            connection.settimeout(5.0)
            connection.sendall(hello)
            while answer not in said and not said.startswith(b"-ERR"):
                part = connection.recv(4096)
                if not part:
                    break
                said += part
        if answer in said:
            break
        connection.close()
        assert time.monotonic() < end, "no connection, but %r" % said
        time.sleep(0.05)
    with connection:
        yield


def test_a_full_nats_server_is_not_known_and_is_healthy_when_a_client_leaves(tmp_path: Path) -> None:
    async def scenario(seen: Seen) -> None:
        with serving(nats_of(1, tmp_path)) as server:
            with client(server.port, b'CONNECT {"verbose":false}\r\nPING\r\n', b"PONG"), probing(server.port, seen):
                await until(lambda: seen.count(Kind.UNSURE) >= 4, "four times turned away")
                assert judged(seen).state(seen.results[-1].at) is State.UNKNOWN
            with probing(server.port, seen):
                await until(lambda: seen.count(Kind.ANSWERED), "an answer when there is room")

    seen = run(scenario)
    assert seen.count(Kind.MISSED) == 0
    assert "refuses the probe: maximum connections exceeded" in seen.first(Kind.UNSURE).why


@needs_mosquitto
def test_a_full_broker_is_not_known(tmp_path: Path) -> None:
    def accepted(connection: socket.socket, name: bytes) -> bool:
        connection.settimeout(5.0)
        with contextlib.suppress(OSError):
            connection.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01" + name)
            return connection.recv(4) == b"\x20\x02\x00\x00"
        return False

    async def scenario(seen: Seen) -> None:
        with serving(mosquitto(tmp_path, "max_connections 2")) as broker, contextlib.ExitStack() as clients:
            # some versions take one more than they should
            for name in b"abcdefgh":
                one = clients.enter_context(socket.create_connection((ADDRESS, broker.port), 5.0))
                if not accepted(one, bytes((name,))):
                    break
            with probing(broker.port, seen, "mqtt"):
                await until(lambda: len(seen.results) >= 4, "four times turned away")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE}
    assert judged(seen).state(seen.results[-1].at) is State.UNKNOWN


@pytest.mark.parametrize(
    ("probe", "says"),
    [
        ("nats", INFO + b"-ERR 'maximum connections exceeded'\r\n"),
        ("nats", b"-ERR 'Maximum Connections Exceeded'\r\n"),
        ("nats", INFO + b"-ERR 'maximum account active connections exceeded'\r\n"),
        ("mqtt", b"\x20\x02\x00\x03"),
        ("http", b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"),
        ("mqtt", b""),
    ],
)
def test_who_has_no_room_for_the_probe_is_not_unhealthy(probe: str, says: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        if probe != "nats" and says:
            connection.recv(1000)
        connection.sendall(says)

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen, probe):
            await until(lambda: len(seen.results) >= 4, "four results")

    seen = run(scenario)
    assert {result.kind for result in seen.results} == {Kind.UNSURE}
    assert judged(seen).state(seen.results[-1].at) is State.UNKNOWN


def test_one_that_answered_and_then_ends_every_connection_is_unhealthy() -> None:
    turns = [0]

    def talk(connection: socket.socket) -> None:
        turns[0] += 1
        if turns[0] > 1:
            return
        connection.sendall(INFO)
        said = b""
        while b"PUB" not in said or not said.endswith(b"\r\n"):
            said += connection.recv(1000)
        subject = said.split(b"SUB ")[1].split()[0]
        number = said.split(b"PUB ")[1].split(b"\r\n")[1]
        connection.sendall(b"MSG %s 1 6\r\n%s\r\n" % (subject, number))

    async def scenario(seen: Seen) -> None:
        with listener(talk) as port, probing(port, seen):
            await until(lambda: seen.count(Kind.MISSED) >= 3, "three misses")

    assert run(scenario).count(Kind.ANSWERED) == 1
