# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An MQTT client of the tests, blocking, that speaks of subjects as the NATS one does."""

from __future__ import annotations

import json
import socket
import struct
import time
import uuid
from typing import Any


class MqttClient:
    """``config.get`` here is the topic ``config/get`` there, ``*`` is ``+``."""

    def __init__(self, address: str, port: int) -> None:
        """Returns once the broker has accepted us."""
        self._name = uuid.uuid4().hex
        self._messages: list[tuple[str, Any]] = []
        self._buffer = b""
        self._numbers = 0
        self._socket = socket.create_connection((address, port), timeout=5)
        self._write(0x10, text("MQTT") + b"\x04\x02\x00\x00" + text(self._name))
        kind, body = self._read()
        assert (kind, body) == (0x20, b"\x00\x00"), "the broker refuses: %r" % body

    def subscribe(self, subject: str) -> None:
        """Returns once the bus knows it."""
        self._numbers += 1
        number = struct.pack(">H", self._numbers)
        self._write(0x82, number + text(subject.replace(".", "/").replace("*", "+")) + b"\x00")
        self._socket.settimeout(5)
        while self._read() != (0x90, number + b"\x00"):
            pass

    def publish(self, subject: str, message: Any) -> None:
        self._write(0x30, text(subject.replace(".", "/")) + json.dumps(message).encode())

    def next(self, seconds: float = 5.0) -> tuple[str, Any]:
        """The next message as (subject, message)."""
        deadline = time.monotonic() + seconds
        while not self._messages:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._read()
        return self._messages.pop(0)

    def ask(self, subject: str, message: Any, seconds: float = 5.0) -> Any:
        self._numbers += 1
        inbox = "_INBOX.%s.%d" % (self._name, self._numbers)
        self.subscribe(inbox)
        self.publish("%s.ask.%s" % (subject, inbox.partition(".")[2]), message)
        deadline = time.monotonic() + seconds
        while True:
            where, answer = self.next(deadline - time.monotonic())
            if where == inbox:
                return answer

    def close(self) -> None:
        self._socket.close()

    def _write(self, kind: int, body: bytes) -> None:
        assert len(body) < 128 * 128, "longer than a test needs"
        size = [len(body)] if len(body) < 128 else [len(body) % 128 | 128, len(body) // 128]
        self._socket.sendall(bytes([kind, *size]) + body)

    def _read(self) -> tuple[int, bytes]:
        """One packet; messages are put aside. A timeout leaves what had arrived for the next call."""
        at, size = 1, 0
        while True:
            self._fill(at + 1)
            size |= (self._buffer[at] & 127) << 7 * (at - 1)
            at += 1
            if self._buffer[at - 1] < 128:
                break
        self._fill(at + size)
        kind, body = self._buffer[0], self._buffer[at:at + size]
        self._buffer = self._buffer[at + size:]
        if kind & 0xF0 == 0x30:
            end = 2 + struct.unpack(">H", body[:2])[0]
            self._messages.append((body[2:end].decode().replace("/", "."), json.loads(body[end:])))
        return kind, body

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            data = self._socket.recv(65536)
            assert data, "the bus closed the connection"
            self._buffer += data


def text(words: str) -> bytes:
    data = words.encode()
    return struct.pack(">H", len(data)) + data
