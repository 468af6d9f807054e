# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a NATS server passes messages on: one published message must come back to its own subscription.

The protocol is a few lines of text (docs.nats.io, client protocol), so no client library is needed.
"""

from __future__ import annotations

import os

from monitor.watch import Target

from . import Report
from ._held import HeldProbe

_CONNECT = (
    b'CONNECT {"verbose":false,"pedantic":false,"name":"muster-monitor","lang":"python","version":"0","protocol":0}\r\n'
)
_LONGEST = 65536  # bytes without the end of a line, or before an answer: no NATS server says that much to us


class Probe(HeldProbe):
    """Publish to a subject of our own and wait for it."""

    def __init__(self, name: str, target: Target, report: Report) -> None:
        super().__init__(name, target, report)
        self._subject = b"_muster.probe." + os.urandom(6).hex().encode()
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
        if len(self._buffer) > _LONGEST:
            self.misbehaved("does not speak the NATS protocol")

    def _line(self, line: bytes) -> bool:
        """One line other than a message; false when the link is given up."""
        word = line.split(b" ", 1)[0].upper()
        if not self._greeted:
            if word != b"INFO":
                self.misbehaved("does not speak the NATS protocol, it said %r" % line[:40].decode("latin-1"))
                return False
            self._greeted = True
            self.write(_CONNECT + b"SUB %s 1\r\n" % self._subject)
            self.ask()
        elif word == b"PING":
            self.write(b"PONG\r\n")
        elif word == b"-ERR":
            self.misbehaved("refuses the probe: %s" % line[5:].decode("latin-1").strip(" '"))
            return False
        return True
