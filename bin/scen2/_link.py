# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the clients of all buses: a connection that is made again whenever it is lost, and requests.

Standard library only and few imports, because the gates stand in the way of a restart: `socket` alone takes as long
to import (9 ms) as Python takes to start, `_socket` 0.2 ms.
"""

import _socket
import time

PING_AFTER = 2.0  # s of silence until the bus is asked whether it is still there
LOST_AFTER = 6.0  # s of silence until the connection counts as lost
SPEAK_WITHIN = 20.0  # s; a bus may drop who only listens
_UNANSWERED = 8  # questions kept open


def token(text: str) -> str:
    """Any text as one token of a subject: what some bus does not allow there is percent-encoded."""
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


def converse(address: str, port: int, said: bytes, answered, timeout: float) -> None:
    """Connect, say something, and read until ``answered(received: bytes)`` is true.

    :raises OSError: with a sentence's end: "connection refused", "no echo within 1 s"; so does `answered`.
    """
    sock = open_socket(address, port, timeout)
    try:
        sock.sendall(said)
        deadline = time.monotonic() + timeout
        received = b""
        while not answered(received):
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = sock.recv(65536)
            except TimeoutError:
                raise OSError("no echo within %g s" % timeout) from None
            if not data:
                raise OSError("it closed the connection")
            received += data
    finally:
        sock.close()


class Link:
    """A client that stays connected. Nothing here raises when the bus is away: it is tried again at each `step`.

    A kind of bus adds `subscribe`, `publish` and what is below "what a kind of bus says". Handlers are called as
    ``handler(payload: bytes, reply: str)`` from within `step`; ``publish(reply, ...)`` answers a question.
    """

    PING = b""

    def __init__(self, where: list, name: str, log) -> None:
        """:param where: ``[(address, port), ...]`` in order of preference; name: unique, and one `token`."""
        self._where = where
        self._name = name
        self._log = log
        self._socket = None
        self._buffer = b""
        self._replies = {}  # number of the question, as text -> handler
        self._next = 0  # of _where
        self._requests = 0
        self._retry_at = 0.0
        self._heard = self._asked = self._spoke = 0.0
        self._told = False
        self.on_connect = None  # called after each connection, subscriptions being in place

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def subscribe(self, subject: str, handler) -> None:
        raise NotImplementedError

    def publish(self, subject: str, payload: bytes) -> bool:
        """False when the bus is away: no bus here keeps anything for later, and neither do we."""
        raise NotImplementedError

    def request(self, subject: str, payload: bytes, handler) -> None:
        """Ask; the handler gets the first answer, or is never called."""
        self._requests += 1
        for old in list(self._replies)[:-_UNANSWERED]:
            del self._replies[old]
        number = str(self._requests)
        self._replies[number] = handler
        self._question(subject, payload, number)

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
        try:
            self._dispatch()
        except OSError as error:
            self._lost(error)
            return
        self._keep_alive()

    # What a kind of bus says.

    def _greeting(self) -> bytes:
        """The first words on a new connection: who we are, and all subscriptions."""
        raise NotImplementedError

    def _question(self, subject: str, payload: bytes, number: str) -> None:
        raise NotImplementedError

    def _dispatch(self) -> None:
        """Take everything complete out of `_buffer`; raises OSError when this is not the protocol."""
        raise NotImplementedError

    # The connection's life.

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
        if not self._send(self._greeting()):
            return False
        self._told = False
        self._log("connected to bus %s:%d" % (address, port))
        if self.on_connect is not None:
            self.on_connect()
        return self._socket is not None

    def _keep_alive(self) -> None:
        if self._socket is None:
            return
        now = time.monotonic()
        if now - self._heard > LOST_AFTER:
            self._lost(OSError("silent for %g s" % LOST_AFTER))
        elif now - self._asked > PING_AFTER or now - self._spoke > SPEAK_WITHIN:
            self._asked = now
            self._send(self.PING)

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
        self._spoke = time.monotonic()
        return True
