# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One message to a NATS server or an MQTT broker, confirmed by an answer to what follows it."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Iterator

from ..watch.probes import _mqtt

SECONDS = 10.0  # for each answer
LARGEST = 65536  # bytes of an answer
PINGREQ = b"\xc0\x00"
RETAINED = 0x01


class NotTaken(Exception):
    """The server has not taken the message; the text is one sentence."""


def nats(
    place: tuple[str, int], subject: str, payload: bytes, user: str, password: str, tls: ssl.SSLContext | None
) -> None:
    """:raises NotTaken: :raises OSError:"""
    if any(c.isspace() for c in subject) or "" in subject.split("."):
        raise NotTaken("nats: %s is no subject" % subject)
    plain = socket.create_connection(place, SECONDS)
    with plain:
        lines = _lines(plain)
        first = next(lines, b"")
        if not first.startswith(b"INFO {"):
            raise NotTaken("nats: what listens at %s:%d is no NATS server" % place)
        if json.loads(first[5:]).get("tls_required") and tls is None:
            raise NotTaken("nats: %s:%d wants an encrypted connection: give --tls" % place)
        connection = tls.wrap_socket(plain, server_hostname=place[0]) if tls is not None else plain
        login = {"user": user, "pass": password} if user else {}
        hello = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "name": "muster", **login}
        head = "CONNECT %s\r\nPUB %s %d\r\n" % (json.dumps(hello), subject, len(payload))
        connection.sendall(head.encode() + payload + b"\r\nPING\r\n")
        for line in _lines(connection):
            if line.startswith(b"-ERR"):
                raise NotTaken("nats: %s" % line[5:].decode("utf-8", "replace").strip(" '"))
            if line == b"PONG":
                return
    raise NotTaken("nats: %s:%d went away" % place)


def mqtt(
    place: tuple[str, int], topic: str, payload: bytes, user: str, password: str, tls: ssl.SSLContext | None
) -> None:
    """:raises NotTaken: :raises OSError:"""
    with socket.create_connection(place, SECONDS) as plain:
        connection = tls.wrap_socket(plain, server_hostname=place[0]) if tls is not None else plain
        packets = _packets(connection)
        connection.sendall(_mqtt.connect("muster-notify-%s" % os.urandom(4).hex(), 30, user, password))
        first, body = next(packets, (0, b""))
        if first != _mqtt.CONNACK or len(body) != 2:
            raise NotTaken("mqtt: what listens at %s:%d is no MQTT broker" % place)
        if body[1]:
            raise NotTaken("mqtt: %s" % _mqtt.REFUSALS.get(body[1], "refused with %d" % body[1]))
        message = _mqtt.publish(topic, payload)
        connection.sendall(bytes((message[0] | RETAINED,)) + message[1:] + PINGREQ)
        for first, _body in packets:
            if first == _mqtt.PINGRESP:  # it took the message before
                connection.sendall(b"\xe0\x00")
                return
    raise NotTaken("mqtt: %s:%d went away: may %s publish there?" % (*place, user or "anybody"))


def _lines(connection: socket.socket) -> Iterator[bytes]:
    buffer = b""
    while len(buffer) < LARGEST:
        while b"\r\n" in buffer:
            line, buffer = buffer.split(b"\r\n", 1)
            yield line
        data = connection.recv(4096)
        if not data:
            return
        buffer += data


def _packets(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    packets = _mqtt.Packets()
    while data := connection.recv(4096):
        try:
            yield from packets.feed(data)
        except _mqtt.NotMqtt:
            return
