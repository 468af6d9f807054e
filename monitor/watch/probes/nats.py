# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a NATS server passes messages on: one published message must come back to its own subscription.

The protocol is a few lines of text (docs.nats.io, client protocol), so no client library is needed.
"""

from __future__ import annotations

import json
import os

from ...judge.target import Target
from . import Report, _secrets
from ._held import HeldProbe

_SELF = {"verbose": False, "pedantic": False, "name": "muster-monitor", "lang": "python", "version": "0", "protocol": 0}
_LINE_BYTES = 65536  # without the end of a line, or before an answer: no NATS server sends that much to a probe
# -ERR about the account, or about a limit of the server that other clients have used up
_TURNED_AWAY = ("authorization", "authentication", "permissions", "account", "user ", "maximum ")


class Probe(HeldProbe):
    """Publish to a subject of our own and wait for it."""

    greets_plainly = True

    def __init__(self, name: str, target: Target, report: Report) -> None:
        super().__init__(name, target, report)
        prefix = target.how.topic or "_muster.probe."
        self._subject = prefix.encode() + os.urandom(6).hex().encode()
        self._count = 0
        self._answer = b""
        self._buffer = b""
        self._greeted = False

    def begin(self) -> bool:
        self._buffer = b""
        self._greeted = False
        return False  # a server speaks first

    def ask(self) -> None:
        self._count = self._count % 999999 + 1
        payload = b"%06d" % self._count
        self._answer = b"MSG %s 1 6\r\n%s\r\n" % (self._subject, payload)
        self.write(b"PUB %s 6\r\n%s\r\n" % (self._subject, payload))

    def received(self, data: bytes) -> None:
        if data == self._answer:  # nearly always
            self.answered()
            return
        self._buffer += data
        while self._buffer:
            line, end, rest = self._buffer.partition(b"\r\n")
            if not end:
                break
            if line.startswith(b"MSG "):
                if len(rest) < 8:  # six digits and the end of the line
                    break
                self._buffer = rest[8:]
                if b"%s\r\n%s" % (line, rest[:8]) == self._answer:
                    self.answered()
                continue
            self._buffer = rest
            if not self._line(line):
                return
        if len(self._buffer) > _LINE_BYTES:
            self.misbehaved("does not speak the NATS protocol")

    def secured(self) -> None:
        self._introduce(tls=True)

    def _line(self, line: bytes) -> bool:
        """One line other than a message; false when the link is given up."""
        word = line.split(b" ", 1)[0].upper()
        if not self._greeted and word != b"-ERR":  # a full server may say so instead of a greeting
            if word != b"INFO":
                self.misbehaved("does not speak the NATS protocol, it said %r" % line[:40].decode("latin-1"))
                return False
            self._greeted = True
            return self._greeting(line[5:])
        if word == b"PING":
            self.write(b"PONG\r\n")
        elif word == b"-ERR":
            said = line[5:].decode("latin-1").strip(" '")
            if said.lower().startswith(_TURNED_AWAY):
                self.unsure("%s refuses the probe: %s" % (self._where(), said))
            else:
                self.misbehaved("refuses the probe: %s" % said)
            return False
        return True

    def _greeting(self, info: bytes) -> bool:
        wants = self.target.how.tls is not None
        if wants or b'"tls_required"' in info:
            try:
                said = json.loads(info)
                offered, required = bool(said.get("tls_available")), bool(said.get("tls_required"))
            except (ValueError, AttributeError):
                self.misbehaved("does not speak the NATS protocol")
                return False
            if wants and not (offered or required):
                self.unsure("%s offers no TLS, and the probe speaks nothing else" % self._where())
                return False
            if required and not wants:
                self.unsure("%s takes TLS only: give the probe tls" % self._where())
                return False
        if wants:
            self.secure()
            return True
        return self._introduce(tls=False)

    def _introduce(self, tls: bool) -> bool:
        words: dict[str, object] = dict(_SELF, tls_required=tls)
        how = self.target.how
        if how.password_file or how.token_file:
            try:
                user, password, token, caution = _secrets.account(how)
            except _secrets.SecretError as error:
                self.unsure(str(error))
                return False
            words.update({"auth_token": token} if token else {"user": user, "pass": password})
            self.caution = caution or (self.caution if tls else "")
        self.write(b"CONNECT %s\r\nSUB %s 1\r\n" % (json.dumps(words).encode(), self._subject))
        self.ask()
        return True
