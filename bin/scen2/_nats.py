# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NATS client for the reference application: connect, publish, subscribe, request and reply, connect again.

Standard library only and few imports, because the gates stand in the way of a restart: `socket` alone takes as long
to import (9 ms) as Python takes to start, `_socket` 0.2 ms.
"""

import _socket
import time

PING_AFTER = 2.0  # s of silence until the bus is asked whether it is still there
LOST_AFTER = 6.0  # s of silence until the connection counts as lost
_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"lang":"scen2","version":"1","name":"%s"}\r\n'


def token(text: str) -> str:
    """Any text as one token of a subject: what NATS does not allow there is percent-encoded."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "%%%02X" % ord(c) for c in text)


def endpoints(text: str) -> list:
    """``"10.0.0.1:4222 10.0.0.2:4222"`` as ``[("10.0.0.1", 4222), ...]``."""
    found = []
    for entry in text.split():
        host, _unused, port = entry.rpartition(":")
        found.append((host.strip("[]"), int(port)))
    return found


def open_socket(address: str, port: int, timeout: float):
    """A connected TCP socket; raises OSError."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    sock = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect((address, port))
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock


def round_trip(address: str, port: int, subject: str, timeout: float) -> None:
    """Publish one message and receive it again.

    :raises OSError: with a sentence's end: "connection refused", "no echo within 1 s".
    """
    sock = open_socket(address, port, timeout)
    try:
        name = subject.encode()
        sock.sendall(_CONNECT % name + b"SUB %s 1\r\nPUB %s 2\r\nok\r\n" % (name, name))
        deadline = time.monotonic() + timeout
        received = b""
        while b"MSG %s 1 2\r\nok" % name not in received:
            if b"-ERR" in received:
                raise OSError("it answers %s" % received[received.index(b"-ERR"):].decode("ascii", "replace").strip())
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = sock.recv(4096)
            except TimeoutError:
                raise OSError("no echo within %g s" % timeout) from None
            if not data:
                raise OSError("it closed the connection")
            received += data
    finally:
        sock.close()


class Bus:
    """A client that stays connected. Nothing here raises when the bus is away: it is tried again at each `step`.

    Handlers are called as ``handler(payload: bytes, reply: str)`` from within `step`.
    """

    def __init__(self, where: list, name: str, log) -> None:
        """:param where: ``[(address, port), ...]`` in order of preference; name: unique, and one subject token."""
        self._where = where
        self._name = name
        self._log = log
        self._socket = None
        self._buffer = b""
        self._handlers = {}  # sid -> (subject, handler)
        self._replies = {}  # inbox -> handler
        self._next = 0  # of _where
        self._requests = 0
        self._retry_at = 0.0
        self._heard = self._asked = 0.0
        self._told = False
        self.on_connect = None  # called after each connection, subscriptions being in place
        self.subscribe("_INBOX.%s.*" % name, None)

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def subscribe(self, subject: str, handler) -> None:
        sid = str(len(self._handlers) + 1)
        self._handlers[sid] = (subject, handler)
        self._send(b"SUB %s %s\r\n" % (subject.encode(), sid.encode()))

    def publish(self, subject: str, payload: bytes, reply: str = "") -> bool:
        """False when the bus is away: NATS keeps nothing for later, and neither do we."""
        head = "PUB %s %s%d\r\n" % (subject, reply + " " if reply else "", len(payload))
        return self._send(head.encode() + payload + b"\r\n")

    def request(self, subject: str, payload: bytes, handler) -> None:
        """Ask; the handler gets the first answer, or is never called."""
        self._requests += 1
        inbox = "_INBOX.%s.%d" % (self._name, self._requests)
        for old in list(self._replies)[:-8]:  # questions nobody answered
            del self._replies[old]
        self._replies[inbox] = handler
        self.publish(subject, payload, inbox)

    def step(self, timeout: float) -> None:
        """Connect when necessary, then handle what arrives within the timeout (s); returns after the first batch."""
        if self._socket is None and not self._connect(timeout):
            return
        try:
            self._socket.settimeout(timeout)
            data = self._socket.recv(65536)
            if not data:
                raise OSError("it closed the connection")
        except (TimeoutError, BlockingIOError):
            self._keep_alive()
            return
        except OSError as error:
            self._lost(error)
            return
        self._heard = self._asked = time.monotonic()
        self._buffer += data
        self._dispatch()

    def _connect(self, timeout: float) -> bool:
        wait = self._retry_at - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, timeout))
            return False
        address, port = self._where[self._next]
        try:
            self._socket = open_socket(address, port, 1.0)
        except OSError as error:
            self._next = (self._next + 1) % len(self._where)
            self._retry_at = time.monotonic() + (0.02 if self._next else 0.2)
            if not self._told:
                self._told = True
                self._log("bus %s:%d is away: %s; trying again" % (address, port, error.strerror or error))
            return False
        self._buffer = b""
        self._heard = self._asked = time.monotonic()
        self._send(_CONNECT % self._name.encode())
        for sid, (subject, _handler) in self._handlers.items():
            self._send(b"SUB %s %s\r\n" % (subject.encode(), sid.encode()))
        if self._socket is None:
            return False
        self._told = False
        self._log("connected to bus %s:%d" % (address, port))
        if self.on_connect is not None:
            self.on_connect()
        return self._socket is not None

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now - self._heard > LOST_AFTER:
            self._lost(OSError("silent for %g s" % LOST_AFTER))
        elif now - self._asked > PING_AFTER:
            self._asked = now
            self._send(b"PING\r\n")

    def _lost(self, error: OSError) -> None:
        address, port = self._where[self._next]
        self._log("bus %s:%d lost: %s; connecting again" % (address, port, error.strerror or error))
        self._socket.close()
        self._socket = None
        self._told = True
        self._retry_at = time.monotonic() + 0.02

    def _send(self, data: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.settimeout(2.0)
            self._socket.sendall(data)
        except OSError as error:
            self._lost(error)
            return False
        return True

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
        handler = self._handlers.get(sid, ("", None))[1] or self._replies.pop(subject, None)
        if handler is not None:
            handler(payload, reply)
