# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a web server answers a GET as it should: its status, and where wanted a text in its body.

h11 speaks the protocol. The connection is held where the server keeps it open. Where the server closes it after each
answer, the probe connects again at each turn, and sees a crash only at the next turn.
"""

from __future__ import annotations

import base64

import h11

from ...judge.target import Target
from . import Report, _secrets
from ._held import HeldProbe

_ANSWER_BYTES = 262144  # of an answer that are read


class Probe(HeldProbe):
    """Sends GET and checks the answer."""

    def __init__(self, name: str, target: Target, report: Report) -> None:
        super().__init__(name, target, report)
        self._talk = h11.Connection(h11.CLIENT)
        self._headers: list[tuple[str, str]] = []
        self._status = 0
        self._body = b""
        self._open = False  # a request is under way on this link
        self._fresh = False  # nothing of its answer came yet

    def begin(self) -> bool:
        self._talk = h11.Connection(h11.CLIENT)
        self._open = False
        how, name = self.target.how, self.target.address
        if how.tls is not None:
            name = how.tls.server_name or name
        host = "[%s]" % name if ":" in name else name
        self._headers = [("Host", "%s:%d" % (host, self.target.port)), ("User-Agent", "muster-monitor")]
        if how.password_file or how.token_file:
            try:
                user, password, token, caution = _secrets.account(how)
            except _secrets.SecretError as error:
                self.unsure(str(error))
                return False
            basic = base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
            self._headers.append(("Authorization", "Bearer %s" % token if token else "Basic %s" % basic))
            self.caution = caution or self.caution
        return True

    def ask(self) -> None:
        self._status, self._body, self._open, self._fresh = 0, b"", True, True
        request = h11.Request(method="GET", target=self.target.how.path, headers=self._headers)
        try:
            self.write(self._talk.send(request) or b"")
            self.write(self._talk.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            self.unsure("%s cannot be asked: %s" % (self._where(), error))

    def received(self, data: bytes) -> None:
        self._take(data)

    def link_lost(self, error: Exception | None) -> None:
        if self._open and error is None and self._status:
            self._take(b"")  # an answer may last until the connection ends
        if self._link is not None:
            super().link_lost(error)

    def _take(self, data: bytes) -> None:
        if not self._open:
            if data:
                self.misbehaved("speaks without being asked")
            return
        if self._fresh and data:
            self._fresh = False
            if not b"HTTP/".startswith(data[:5]):  # h11 would wait for the end of what it takes for headers
                self.misbehaved("does not speak HTTP, it said %r" % data[:40].decode("latin-1"))
                return
        try:
            self._talk.receive_data(data)
            while True:
                event = self._talk.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.Response):
                    self._status = event.status_code
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > _ANSWER_BYTES:
                        self._judge()
                        self._part()
                        return
                elif isinstance(event, h11.EndOfMessage):
                    self._judge()
                    if self._link is None:
                        return
                    if self._talk.our_state is h11.MUST_CLOSE or self._talk.their_state is not h11.DONE:
                        self._part()
                    else:
                        self._talk.start_next_cycle()
                    return
                elif isinstance(event, h11.ConnectionClosed):
                    return
        except h11.RemoteProtocolError as error:
            if self._link is not None:
                self.misbehaved("does not speak HTTP as it should: %s" % error)

    def _judge(self) -> None:
        how = self.target.how
        self._open = False
        if self._status in (401, 403, 429) and self._status not in how.status:
            self.unsure("%s refuses the probe: status %d for %s" % (self._where(), self._status, how.path))
        elif self._status not in how.status:
            wanted = " or ".join("%d" % status for status in how.status)
            self.failed("answers %s with status %d, not %s" % (how.path, self._status, wanted))
        elif how.text and how.text.encode() not in self._body:
            self.failed("answers %s without the text %r" % (how.path, how.text))
        else:
            self.answered()

    def _part(self) -> None:
        """The server ends the connection after its answer: the next one is made at the next turn."""
        if self._link is not None:
            self._drop_link()
            self._connect("ended", self.target.interval)
