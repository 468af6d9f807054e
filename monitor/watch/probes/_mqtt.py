# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of MQTT 3.1.1 (OASIS standard) as a probe needs: packets out, and packets found in what comes in."""

from __future__ import annotations

from collections.abc import Iterator

CONNACK, PUBLISH, SUBACK, PINGRESP = 0x20, 0x30, 0x90, 0xD0
_KINDS = (CONNACK, PUBLISH, SUBACK, PINGRESP)  # what a broker may send to a probe
SUBSCRIPTION_FAILED = 0x80
PACKET_BYTES = 65536  # of a packet: no broker sends that much to a probe

REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it takes no client of that name",
    3: "it says that it is unavailable",
    4: "bad user name or password",
    5: "not authorised",
}


class NotMqtt(ValueError):
    """The data are not a packet of the protocol."""


def connect(client: str, keep_alive: int, user: str = "", password: str = "") -> bytes:
    """A clean session; keep alive in seconds."""
    flags = 0x02 | (0xC0 if user else 0)
    body = _text("MQTT") + bytes((4, flags)) + keep_alive.to_bytes(2, "big") + _text(client)
    if user:
        body += _text(user) + _text(password)
    return _packet(0x10, body)


def subscribe(topic: str) -> bytes:
    """With quality of service 0, as packet 1."""
    return _packet(0x82, b"\x00\x01" + _text(topic) + b"\x00")


def publish(topic: str, payload: bytes) -> bytes:
    """With quality of service 0: the same bytes come back to a subscriber."""
    return _packet(PUBLISH, _text(topic) + payload)


class Packets:
    """Cuts a stream into packets."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(first byte, body) of each whole packet so far.

        :raises NotMqtt: at the first byte that cannot be right.
        """
        self._buffer += data
        while len(self._buffer) >= 2:
            if self._buffer[0] & 0xF0 not in _KINDS:
                raise NotMqtt
            length, digits = 0, 0
            while True:
                if len(self._buffer) < digits + 2:
                    return
                digit = self._buffer[1 + digits]
                length |= (digit & 0x7F) << (7 * digits)
                digits += 1
                if not digit & 0x80:
                    break
                if digits == 4:
                    raise NotMqtt
            if length > PACKET_BYTES:
                raise NotMqtt
            end = 1 + digits + length
            if len(self._buffer) < end:
                return
            first, body = self._buffer[0], self._buffer[1 + digits : end]
            self._buffer = self._buffer[end:]
            yield first, body


def _packet(first: int, body: bytes) -> bytes:
    length, digits = len(body), b""
    while True:
        digits += bytes(((length & 0x7F) | (0x80 if length > 0x7F else 0),))
        length >>= 7
        if not length:
            return bytes((first,)) + digits + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
