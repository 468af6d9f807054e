# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An MQTT 3.1.1 client for the reference application (QoS 0); see `_bus` for what it offers.

A subject's dots are slashes here: ``config.get`` is the topic ``config/get``. MQTT 3.1.1 knows no questions: one goes
to ``config/get/ask/<who>/<number>``, its answer to ``_INBOX/<who>/<number>``.
"""

import _link

_KEEP_ALIVE = b"\x00\x1e"  # 30 s, more than _link.SPEAK_WITHIN
_CONNACK, _PUBLISH, _SUBACK, _PINGRESP = _FROM_SERVER = (0x20, 0x30, 0x90, 0xD0)
_PINGREQ = b"\xc0\x00"
_NO_MQTT = "it does not speak MQTT"
_REFUSALS = (
    "", "another version of MQTT", "the client's name", "the server is not available", "user name or password",
    "not authorised",
)
_LINK_STATES = "$SYS/broker/connection/+/state"  # Mosquitto's own word on each of its bridges
_LONGEST = 1 << 20  # bytes; bus.conf allows no longer packets


def round_trip(address: str, port: int, subject: str, timeout: float) -> None:
    """Publish one message and receive it again.

    :raises OSError: with a sentence's end: "connection refused", "no echo within 1 s".
    """
    topic = _topic(subject)

    def answered(received: bytes) -> bool:
        return any(kind == _PUBLISH and body == _text(topic) + b"ok" for kind, body in _packets(received)[0])

    # A server takes everything in order, so nothing waits for its greeting.
    said = _connect("") + _subscribe(1, [topic]) + _packet(_PUBLISH, _text(topic) + b"ok")
    _link.converse(address, port, said, answered, timeout)


def unlinked(address: str, environ: dict, timeout: float) -> str:
    """Why the local bus of a console is not joined to the item's server; empty when it is.

    :raises OSError: when the local bus does not tell.
    """
    states = []

    def answered(received: bytes) -> bool:
        packets = _packets(received)[0]
        states[:] = [body[-1:] for kind, body in packets if kind & 0xF0 == _PUBLISH]
        return any(kind == _PINGRESP for kind, _body in packets)

    said = _connect("") + _subscribe(1, [_LINK_STATES]) + _PINGREQ
    _link.converse(address, int(environ["MUSTER_PORT_CLIENT"]), said, answered, timeout)
    if b"1" in states:
        return ""
    return "no server of %s answers on port %s" % (environ.get("MUSTER_PEERS", ""), environ["MUSTER_PEER_PORT_CLIENT"])


class Bus(_link.Link):
    """A client that stays connected."""

    PING = _PINGREQ

    def __init__(self, where: list, name: str, log) -> None:
        super().__init__(where, name, log)
        self._handlers = {}  # topic -> handler
        self._inbox = "_INBOX/%s/" % name

    def subscribe(self, subject: str, handler) -> None:
        topic = _topic(subject)
        self._handlers[topic] = handler
        self._send(_subscribe(1, [topic, topic + "/ask/+/+"]))

    def publish(self, subject: str, payload: bytes) -> bool:
        return self._send(_packet(_PUBLISH, _text(_topic(subject)) + payload))

    def _question(self, subject: str, payload: bytes, number: str) -> None:
        self.publish("%s/ask/%s/%s" % (subject, self._name, number), payload)

    def _greeting(self) -> bytes:
        topics = [self._inbox + "+"]
        for topic in self._handlers:
            topics += [topic, topic + "/ask/+/+"]
        return _connect(self._name) + _subscribe(1, topics)

    def _dispatch(self) -> None:
        packets, self._buffer = _packets(self._buffer)
        for kind, body in packets:
            if kind & 0xF0 == _PUBLISH:
                size = 2 + int.from_bytes(body[:2], "big")
                self._deliver(body[2:size].decode("utf-8", "replace"), body[size:])

    def _deliver(self, topic: str, payload: bytes) -> None:
        reply = ""
        if topic.startswith(self._inbox):
            handler = self._replies.pop(topic[len(self._inbox):], None)
        else:
            topic, asked, who = topic.partition("/ask/")
            reply = "_INBOX/" + who if asked else ""
            handler = self._handlers.get(topic)
        if handler is not None:
            handler(payload, reply)


def _topic(subject: str) -> str:
    return subject.replace(".", "/")


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _packet(kind: int, body: bytes) -> bytes:
    head = [kind]
    size = len(body)
    while True:
        size, digit = divmod(size, 128)
        head.append(digit | 128 if size else digit)
        if not size:
            return bytes(head) + body


def _connect(name: str) -> bytes:
    """A clean session; the server makes a name for who has none."""
    return _packet(0x10, _text("MQTT") + b"\x04\x02" + _KEEP_ALIVE + _text(name))


def _subscribe(number: int, topics: list) -> bytes:
    return _packet(0x82, number.to_bytes(2, "big") + b"".join(_text(topic) + b"\x00" for topic in topics))


def _packets(data: bytes) -> tuple:
    """([(kind, body), ...], what is not complete yet).

    :raises OSError: when the server refuses us, or this is not MQTT.
    """
    found = []
    while len(data) > 1:
        size = 0
        for at in range(1, min(len(data), 5)):  # the size comes in 7 bits a byte, four bytes at most
            size |= (data[at] & 127) << 7 * (at - 1)
            if data[at] < 128:
                break
        else:
            if len(data) < 5:
                break
            raise OSError(_NO_MQTT)
        kind, begin, end = data[0], at + 1, at + 1 + size
        if size > _LONGEST or kind & 0xF0 not in _FROM_SERVER:
            raise OSError(_NO_MQTT)
        if len(data) < end:
            break
        body, data = data[begin:end], data[end:]
        if kind == _CONNACK and body[1:] != b"\x00":
            code = body[1] if len(body) == 2 else 0
            raise OSError("it refuses us: %s" % (_REFUSALS[code] if 0 < code < len(_REFUSALS) else "code %d" % code))
        found.append((kind, body))
    return found, data
