# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host and its witnesses say to each other: one socket for the host's questions and for its own witness."""

from __future__ import annotations

import os
import socket

from . import holder as lease_holder
from . import kernel, messages
from .witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Tuple

    from .settings import Settings

_AT_ONCE = 200  # datagrams in one turn
_REOPEN = 1.0  # s until a socket that could not be opened is tried again


class Exchange:
    """The socket of one host, its `Holder`, and its witness. It waits for nothing, and uses no file."""

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        # A number of this life: above those of all earlier ones, as time goes on.
        self.holder = lease_holder.Holder(settings.terms, list(settings.witnesses), int(now * 1e6))
        self.dropped: Dict[str, int] = {"foreign": 0, "malformed": 0}
        self.problem = ""  # why there is no socket
        self._socket: Optional[socket.socket] = None
        self._witness: Optional[Witness] = None
        self._next_question = self._next_try = 0.0
        if settings.is_witness:
            self._be_witness()

    def follow(self, settings: Settings) -> None:
        """Use other settings from now on."""
        if settings.address != self._settings.address:
            self.close()
        self._settings = settings
        self.holder.terms = settings.terms
        self.holder.follow(list(settings.witnesses))
        if self._witness is not None:
            self._witness.terms = settings.terms
            self._witness.longest = max(self._witness.longest, settings.longest, settings.terms.length)

    def close(self) -> None:
        """Give the socket back; a turn opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._next_try = 0.0

    def descriptor(self) -> Optional[int]:
        """What is readable when something arrived."""
        return None if self._socket is None else self._socket.fileno()

    def turn(self, now: float) -> float:
        """Take in what arrived, and ask when it is time to. :return: when to ask next."""
        if self._socket is None and now >= self._next_try:
            self._open(now)
        self._receive()
        if now >= self._next_question:
            self._next_question = now + self._settings.terms.interval
            for witness, body in self.holder.questions(kernel.now()):
                self._ask(witness, body)
        return self._next_question

    def _open(self, now: float) -> None:
        host, port = self._settings.address
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        with made:
            try:
                made.setblocking(False)
                made.bind((host, port))
            except OSError as error:
                self.problem = "no lease: %s port %d cannot be used (%s)" % (host, port, error.strerror)
                self._next_try = now + _REOPEN
                return
            self._socket = socket.socket(fileno=kernel.above(made.fileno()))
        self._socket.setblocking(False)
        self.problem = ""

    def _receive(self) -> None:
        for _unused in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                data, sender = self._socket.recvfrom(messages.LARGEST + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # an earlier datagram found nobody
            self._take(data, sender)

    def _take(self, data: bytes, address: Any) -> None:
        shown = messages.envelope(data)
        if shown is None:
            self.dropped["malformed"] += 1
            return
        name, sender = shown
        # An answer is under this host's own key, a question under that of who asks.
        own = self._settings.own.key(name, self._settings.host)
        body = messages.open_sealed(data, own, self._settings.site, self._settings.host) if own else None
        if body is not None and body["k"] in ("yes", "no", "born"):
            more = self.holder.heard(sender, body, kernel.now())
            if more is not None:
                self._ask(sender, more)
            return
        key = self._settings.masters.key(name, sender)
        body = messages.open_sealed(data, key, self._settings.site, self._settings.host) if key else None
        if key is None or body is None:
            self.dropped["foreign"] += 1
            return
        answer = self._be_witness().handle(sender, body, sender == messages.MONITOR, kernel.now())
        if answer is not None:
            self._send(name, key, dict(answer, s=self._settings.site, t=sender), address)

    def _be_witness(self) -> Witness:
        if self._witness is None:
            birth = int.from_bytes(os.urandom(6), "big") + 1
            self._witness = Witness(self._settings.terms, kernel.now(), birth, self._settings.longest)
        return self._witness

    def _ask(self, witness: str, body: Mapping[str, Any]) -> None:
        sending = self._settings.own.sending(self._settings.host)
        where = self._settings.witnesses.get(witness)
        if sending is not None and where is not None:
            self._send(*sending, dict(body, s=self._settings.site, t=witness), where)

    def _send(self, name: bytes, key: bytes, body: Mapping[str, Any], address: Tuple[str, int]) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(messages.seal(name, key, self._settings.host, body), address)
        except OSError:
            return  # no way there now; it is asked again
