# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection: who is at its far end, what that caller may still use, and how long it may say nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ...core.client.peer import tcp_user, unix_user
from .caller import Connection, Door, introduced, user_name
from .guard import HEADERS
from .limits import Account, Limits, Principal, Refusal
from .meter import ACCOUNT

CONNECTION = "muster.connection"  # keys of the ASGI scope
ABORT = "muster.abort"
HEAD_SECONDS = 10.0  # for the first request's head, from the connection on; for each later one from its first byte on
BODY_SECONDS = 20.0  # for a request's body, from the end of its head on
UNREAD_SECONDS = 20.0  # in which a client reads nothing of what waits for it
LINGER_SECONDS = 2.0  # for a caller who was turned away to read why
LINGERING = 64  # at once; others are cut off


@dataclass
class Gate:
    """What all connections share."""

    limits: Limits
    owner: Callable[[], int]  # uid of the state folder's owner, who may act like root
    lingering: int = 0
    open: set[Wire] = field(default_factory=set)

    def sweep(self, now: float) -> None:
        """Close the connections that kept the process waiting for too long."""
        for wire in list(self.open):
            wire.sweep(now)


class Wire(H11Protocol):
    """Gives the application the door of each connection and the kernel's facts about its other end."""

    _gate: Gate
    _door = Door("unix", "", "")
    _connection = Connection(_door)
    _begins: bytes | None = None  # what came before it was known who is at the far end
    _account: Account | None = None
    _turned_away = False
    _head_since: float | None = None  # since when a request's head is awaited
    _body_since: float | None = None
    _unread = 0  # bytes that wait for the client
    _unread_since = 0.0

    def through(self, door: Door, gate: Gate) -> Wire:
        self._door = door
        self._gate = gate
        self._begins = b"" if door.kind == "unix" else None
        return self

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._gate.open.add(self)
        self._head_since = now = self.loop.time()
        end = transport.get_extra_info("socket")
        if self._door.kind == "unix":
            uid = unix_user(end)
            self._connection = Connection(self._door, uid)
        else:
            peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            if peer is None or local is None:  # gone already
                transport.abort()
                return
            self._connection = Connection(self._door, None, tuple(peer[:2]), tuple(local[:2]))
            uid = tcp_user(tuple(peer[:2]), tuple(local[:2]))
        found = self._gate.limits.connect(self._principal(uid), now)
        if isinstance(found, Refusal):
            self._turn_away(found)
            return
        self._account = account = found
        application = self.app

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope[CONNECTION] = self._connection
            scope[ABORT] = transport.abort
            scope[ACCOUNT] = account
            await application(scope, receive, send)

        self.app = told

    def _principal(self, uid: int | None) -> Principal:
        acts = uid is not None and uid in (0, self._gate.owner())
        name = user_name(uid) if uid is not None else "somebody"
        if self._door.far:
            return Principal("the people of %s" % self._door.host, self._door.place, acts)
        # All TCP doors count together, or each address of a host here would be another allowance.
        return Principal(name, self._door.place if self._door.kind == "unix" else "tcp", acts)

    def data_received(self, data: bytes) -> None:
        if self._turned_away or self._account is None:
            return
        now = self.loop.time()
        if self._head_since is None and (self.cycle is None or self.cycle.response_complete):
            self._head_since = now
        refusal = self._account.received(len(data), now)
        if refusal is not None:
            self._turn_away(refusal)
            return
        if self._begins is not None:
            found = introduced(self._begins + data)
            if found is None:
                self._begins += data
                return
            self._begins = None
            user, data = found
            self._connection = replace(self._connection, user=user)
            if not data:  # to h11 that would be the end
                return
        super().data_received(data)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:  # a head is complete
            self._head_since, self._body_since = None, self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gate.open.discard(self)
        if self._turned_away:
            self._gate.lingering -= 1
        self._release()

    def _release(self) -> None:
        if self._account is not None:
            self._gate.limits.disconnect(self._account)
            self._account = None

    def sweep(self, now: float) -> None:
        """Close the connection when its client says nothing, or reads nothing, for too long."""
        if self.transport.is_closing():
            return
        if self._body_since is not None and (not self.cycle.more_body or self.cycle.response_complete):
            self._body_since = None
        waiting = self.transport.get_write_buffer_size()
        if waiting != self._unread or not waiting:
            self._unread, self._unread_since = waiting, now
        if waiting and now - self._unread_since > UNREAD_SECONDS:
            self.transport.abort()
        elif self._turned_away:
            return
        elif self._head_since is not None and now - self._head_since > HEAD_SECONDS:
            self._turn_away(Refusal(408, "no whole request came within %d s" % HEAD_SECONDS, 1))
        elif self._body_since is not None and now - self._body_since > BODY_SECONDS:
            self._turn_away(Refusal(408, "no whole body came within %d s" % BODY_SECONDS, 1))

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer without reading more, and close: in the middle of an answer, or when too many linger, at once."""
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        gate = self._gate
        self._turned_away = True
        gate.lingering += 1
        self._release()  # how many linger has a limit of its own
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if begun or gate.lingering > LINGERING:
            self.transport.abort()
            return
        self.transport.write(response(refusal))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()  # else the end of the connection would not be seen
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def response(refusal: Refusal) -> bytes:
    """A whole answer, as it is written to a connection whose request was not read."""
    body = json.dumps({"error": refusal.sentence}).encode()
    lines = [
        "HTTP/1.1 %d %s" % (refusal.status, HTTPStatus(refusal.status).phrase),
        "content-type: application/json",
        "content-length: %d" % len(body),
        "retry-after: %d" % refusal.again,
        "connection: close",
        *("%s: %s" % (name.decode(), value.decode()) for name, value in HEADERS.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
