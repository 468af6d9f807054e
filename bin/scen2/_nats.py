# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NATS client for the reference application; see `_bus` for what it offers."""

import _link

_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"lang":"scen2","version":"1","name":"%s"}\r\n'


def round_trip(address: str, port: int, subject: str, timeout: float) -> None:
    """Publish one message and receive it again.

    :raises OSError: with a sentence's end: "connection refused", "no echo within 1 s".
    """
    name = subject.encode()

    def answered(received: bytes) -> bool:
        if b"-ERR" in received:
            raise OSError("it answers %s" % received[received.index(b"-ERR"):].decode("ascii", "replace").strip())
        return b"MSG %s 1 2\r\nok" % name in received

    said = _CONNECT % name + b"SUB %s 1\r\nPUB %s 2\r\nok\r\n" % (name, name)
    _link.converse(address, port, said, answered, timeout)


def unlinked(address: str, environ: dict, timeout: float) -> str:
    """Why the local bus of a console is not joined to the item's server; empty when it is.

    :raises OSError: when the local bus does not tell.
    """
    links = []

    def answered(received: bytes) -> bool:
        found, separator, _rest = received.partition(b'"leafnodes":')[2].partition(b",")
        if separator:
            links.append(int(found))
        return bool(links)

    _link.converse(address, int(environ["MUSTER_PORT_MONITOR"]), b"GET /leafz HTTP/1.0\r\n\r\n", answered, timeout)
    if links[0]:
        return ""
    return "no server of %s answers on port %s" % (environ.get("MUSTER_PEERS", ""), environ["MUSTER_PEER_PORT_LEAF"])


class Bus(_link.Link):
    """A client that stays connected."""

    PING = b"PING\r\n"

    def __init__(self, where: list, name: str, log) -> None:
        super().__init__(where, name, log)
        self._handlers = {}  # sid -> (subject, handler)
        self.subscribe("_INBOX.%s.*" % name, None)

    def subscribe(self, subject: str, handler) -> None:
        sid = str(len(self._handlers) + 1)
        self._handlers[sid] = (subject, handler)
        self._send(b"SUB %s %s\r\n" % (subject.encode(), sid.encode()))

    def publish(self, subject: str, payload: bytes, reply: str = "") -> bool:
        head = "PUB %s %s%d\r\n" % (subject, reply + " " if reply else "", len(payload))
        return self._send(head.encode() + payload + b"\r\n")

    def _question(self, subject: str, payload: bytes, number: str) -> None:
        self.publish(subject, payload, "_INBOX.%s.%s" % (self._name, number))

    def _greeting(self) -> bytes:
        subscriptions = [
            b"SUB %s %s\r\n" % (subject.encode(), sid.encode()) for sid, (subject, _handler) in self._handlers.items()
        ]
        return _CONNECT % self._name.encode() + b"".join(subscriptions)

    def _dispatch(self) -> None:
        while self._socket is not None:
            line, separator, rest = self._buffer.partition(b"\r\n")
            if not separator:
                return
            if line.startswith(b"MSG "):
                words = line.decode().split()  # MSG subject sid [reply] size
                size = int(words[-1])
                if len(rest) < size + 2:
                    return
                self._buffer = rest[size + 2:]
                self._deliver(words[1], words[2], words[3] if len(words) == 5 else "", rest[:size])
                continue
            self._buffer = rest
            if line == b"PING":
                self._send(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                self._log("bus says %s" % line.decode("ascii", "replace"))

    def _deliver(self, subject: str, sid: str, reply: str, payload: bytes) -> None:
        handler = self._handlers.get(sid, ("", None))[1] or self._replies.pop(subject.rpartition(".")[2], None)
        if handler is not None:
            handler(payload, reply)
