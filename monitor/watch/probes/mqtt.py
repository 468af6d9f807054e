# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an MQTT broker passes messages on: one published message must come back to its own subscription."""

from __future__ import annotations

import os

from ...judge.target import Target
from . import Report, _mqtt, _secrets
from ._held import HeldProbe

_TURNED_AWAY = (3, 4, 5)  # codes of a CONNACK that are about the account, or say that it takes nobody else now
_KEEP_ALIVE_INTERVALS = 3  # each question is a sign of life


class Probe(HeldProbe):
    """Publish to a topic of our own and wait for it, with quality of service 0."""

    def __init__(self, name: str, target: Target, report: Report) -> None:
        super().__init__(name, target, report)
        own = os.urandom(6).hex()
        self._client = "muster-" + own
        self._topic = (target.how.topic or "_muster/probe/") + own
        self._length = 2 + len(self._topic.encode()) + 6  # of the body of what is published
        self._count = 0
        self._answer = b""
        self._ready = False  # connected and subscribed
        self._packets = _mqtt.Packets()

    def begin(self) -> bool:
        self._packets = _mqtt.Packets()
        self._ready = False
        user = password = ""
        if self.target.how.password_file:
            try:
                user, password, _unused, caution = _secrets.account(self.target.how)
            except _secrets.SecretError as error:
                self.unsure(str(error))
                return False
            self.caution = caution or self.caution
        keep_alive = min(65535, max(10, round(_KEEP_ALIVE_INTERVALS * max(self.target.interval, self.target.timeout))))
        self.write(_mqtt.connect(self._client, keep_alive, user, password))
        return False  # the broker accepts first

    def ask(self) -> None:
        if not self._ready:
            return
        self._count = self._count % 999999 + 1
        self._answer = _mqtt.publish(self._topic, b"%06d" % self._count)
        self.write(self._answer)

    def received(self, data: bytes) -> None:
        if self._ready and data == self._answer:  # nearly always
            self.answered()
            return
        try:
            for first, body in self._packets.feed(data):
                if not self._packet(first, body):
                    return
        except _mqtt.NotMqtt:
            self.misbehaved("does not speak the MQTT protocol, it said %r" % data[:40].decode("latin-1"))

    def _packet(self, first: int, body: bytes) -> bool:
        """False when the link is given up."""
        kind = first & 0xF0
        if kind == _mqtt.CONNACK and len(body) == 2 and not self._ready:
            if body[1] == 0:
                self.write(_mqtt.subscribe(self._topic))
                return True
            why = _mqtt.REFUSALS.get(body[1], "code %d" % body[1])
            if body[1] in _TURNED_AWAY:
                self.unsure("%s refuses the probe: %s" % (self._where(), why))
            else:
                self.misbehaved("refuses the probe: %s" % why)
            return False
        if kind == _mqtt.SUBACK and len(body) == 3 and not self._ready:
            if body[2] == _mqtt.SUBSCRIPTION_FAILED:
                self.unsure("%s refuses the probe: it may not subscribe to %s" % (self._where(), self._topic))
                return False
            self._ready = True
            self.ask()
            return True
        if kind == _mqtt.PUBLISH and self._ready:
            if len(body) == self._length and self._answer.endswith(body):
                self.answered()
            return True
        if kind == _mqtt.PINGRESP:
            return True
        self.misbehaved("does not speak the MQTT protocol, it said %r" % bytes((first,)).decode("latin-1"))
        return False
