# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to a bus that is kept open and asked regularly: what every probe over TCP has in common.

- The end of the connection with an immediate reconnect refused is a crash, seen within a millisecond.
- An answer that does not come in time is a miss, but only if the machine still takes connections: a cut line says
  nothing about the bus. So a new connection follows every miss, which also shows whether connection or bus is stuck.
- Times to ask lie on a common grid, so that a hundred probes wake the process ten times a second, not two hundred
  times. Which slot of the interval a probe has comes from its name, which also spreads the load on the machines.
"""

from __future__ import annotations

import asyncio
import ssl

from ...base import descriptors
from ...judge.health import Kind, Result
from ...judge.target import Target
from . import Report, _secrets
from ._turns import next_turn, slot_of

RETRY_SECONDS = 0.2  # between attempts while nothing listens
REFUSALS_APART_SECONDS = 1.0  # between two reports that still nothing listens


class Link(asyncio.Protocol):
    """One connection of a probe. A dropped link no longer reports to its probe."""

    __slots__ = ("probe", "transport")

    def __init__(self, probe: HeldProbe) -> None:
        self.probe: HeldProbe | None = probe
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.probe is None:
            transport.abort()
        else:
            self.probe.link_made(self)

    def data_received(self, data: bytes) -> None:
        if self.probe is not None:
            self.probe.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.probe is not None:
            self.probe.link_lost(exc)

    def drop(self) -> None:
        self.probe = None
        if self.transport is not None:
            self.transport.abort()


class HeldProbe:
    """A kind of bus adds `begin`, `ask` and `received`, and calls `answered`, `failed`, `misbehaved` or `unsure`."""

    greets_plainly = False  # the server's first words come before TLS; the kind of bus calls `secure` after them

    def __init__(self, name: str, target: Target, report: Report) -> None:
        self.target = target
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._slot = slot_of("%s %s %d" % (name, target.address, target.port))
        self._link: Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._turn: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._asked: float | None = None  # since when an answer is waited for
        self._good = False  # this link has answered
        self._heard = False  # one of its links has
        self._ended_early = 0  # links in a row that ended without an answer
        self._made = 0.0  # when this link was
        self._brief = 0  # links in a row that answered and ended before the next question
        self._securing: asyncio.Task[None] | None = None
        self.caution = ""  # a warning that every answer carries

    # What a kind of bus adds.

    def begin(self) -> bool:
        """A link was made. :return: whether the question can be asked at once; else call `ask_now` later."""
        return True

    def ask(self) -> None:
        """Send the question by `write`."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        if self._link is not None and self._link.transport is not None:
            self._link.transport.write(data)

    # The probe's life.

    def start(self) -> None:
        self._connect("first")

    def nudge(self) -> None:
        """Ask now instead of at the next turn."""
        if self._link is None:
            self._connect("first")
        elif self._asked is None:
            self.ask_now()

    def stop(self) -> None:
        self._drop_link()
        self._report = _ignore
        if self._connecting is not None:
            self._connecting.cancel()

    # Links.

    def link_made(self, link: Link) -> None:
        self._link = link
        self._good = False
        self._made = self._loop.time()
        self._expect()
        self._next_turn()
        if self.target.how.tls is not None and not self.greets_plainly:
            self.secure()
        elif self.begin():
            self.ask()

    def secure(self) -> None:
        """Begin to speak TLS on this link; `begin` or `secured` comes next."""
        if self._link is not None:
            self._securing = self._loop.create_task(self._secure(self._link))

    def secured(self) -> None:
        """This link speaks TLS now."""
        if self.begin():
            self.ask()

    async def _secure(self, link: Link) -> None:
        tls = self.target.how.tls
        assert tls is not None and link.transport is not None
        try:
            context, self.caution = _secrets.context(tls)
            transport = await self._loop.start_tls(
                link.transport, link, context, server_hostname=tls.server_name or self.target.address
            )
        except _secrets.SecretError as error:
            self._if_held(link, str(error))
        except ssl.SSLCertVerificationError as error:
            self._if_held(
                link, "%s shows a certificate that is not accepted: %s" % (self._where(), error.verify_message or error)
            )
        except ssl.SSLError as error:
            if self._link is link:
                self.misbehaved("takes connections but TLS fails: %s" % (error.reason or error))
        except OSError:
            if self._link is link:
                self.link_lost(None)
        else:
            if self._link is not link:
                if transport is not None:
                    transport.abort()
                return
            link.transport = transport
            self.secured()

    def _if_held(self, link: Link, why: str) -> None:
        if self._link is link:
            self.unsure(why)

    def link_lost(self, error: Exception | None) -> None:
        good = self._good
        self._drop_link()
        if isinstance(error, ssl.SSLError):
            # With TLS 1.3 the server looks at our certificate after the handshake.
            self.unsure("%s ends the connection: %s" % (self._where(), error.reason or error))
            return
        if good:
            self._brief = self._brief + 1 if self._loop.time() - self._made < self.target.interval else 0
            # At once, for it may have crashed; but not again and again where every connection is ended.
            self._connect("ended", self.target.interval if self._brief > 1 else 0.0)
            return
        self._ended_early += 1
        if self._ended_early == 1:
            self._connect("ended")
        else:
            # A bus that has no connection left for one more client does this, and works for all the others.
            kind = Kind.MISSED if self._heard else Kind.UNSURE
            self._emit(kind, "%s takes connections and ends them again" % self._where())
            self._connect("first", self.target.interval)

    def _drop_link(self) -> None:
        self._forget_question()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._link is not None:
            link, self._link = self._link, None
            link.drop()
        if self._securing is not None and self._securing is not asyncio.current_task():
            self._securing.cancel()

    def _connect(self, reason: str, delay: float = 0.0) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        self._connecting = self._loop.create_task(self._keep_connecting(reason, delay))

    async def _keep_connecting(self, reason: str, delay: float) -> None:
        """Until a link is made. `reason`: "first", "ended" (the last link did) or "missed" (it did not answer)."""
        reported = self._loop.time()
        where = self._where()
        while True:
            if delay:
                await asyncio.sleep(delay)
            try:
                async with asyncio.timeout(self.target.timeout):
                    await self._loop.create_connection(lambda: Link(self), self.target.address, self.target.port)
            except ConnectionRefusedError:
                now = self._loop.time()
                if reason != "first":
                    what = "its connection ended" if reason == "ended" else "it stopped answering"
                    self._emit(Kind.GONE, "%s and nothing listens at %s any more" % (what, where))
                    reported = now
                elif now - reported >= REFUSALS_APART_SECONDS:
                    self._emit(Kind.REFUSED, "nothing listens at %s" % where)
                    reported = now
                delay = RETRY_SECONDS
            except (OSError, TimeoutError) as error:
                why = error.strerror if isinstance(error, OSError) and error.strerror else "no answer in time"
                self._drop_link()
                if isinstance(error, OSError) and descriptors.missing(error):
                    self._emit(Kind.UNSURE, "%s cannot be asked: %s" % (where, why))
                    delay, reason = self.target.interval, "first"
                    continue
                self._emit(Kind.UNREACHABLE, "%s cannot be reached: %s" % (where, why))
                delay = self.target.interval
            except Exception as error:  # a probe that ended would report nothing any more
                self._drop_link()
                self._emit(Kind.UNSURE, "the probe of %s failed: %s %s" % (where, type(error).__name__, error))
                delay = self.target.interval
            else:
                if reason == "missed":
                    why = "%s takes connections but did not answer within %g s" % (where, self.target.timeout)
                    self._emit(Kind.MISSED, why)
                return
            reason = "first"

    # Questions.

    def ask_now(self) -> None:
        self._expect()
        self.ask()

    def answered(self) -> None:
        if self._asked is None:
            return
        now = self._loop.time()
        latency = now - self._asked
        self._forget_question()
        self._good = self._heard = True
        self._ended_early = 0
        self._report(Result(Kind.ANSWERED, now, "", latency, self.caution))

    def failed(self, why: str) -> None:
        """It answered that it is not well; the link stays."""
        if self._asked is None:
            return
        self._forget_question()
        self._good = self._heard = True
        self._ended_early = 0
        self._emit(Kind.MISSED, "%s %s" % (self._where(), why))

    def misbehaved(self, why: str) -> None:
        """It does not speak the protocol of this kind of bus; try again at the next question."""
        self._drop_link()
        self._emit(Kind.MISSED, "%s %s" % (self._where(), why))
        self._connect("first", self.target.interval)

    def unsure(self, why: str) -> None:
        """The state is not known: the probe was turned away, or its own files are wrong."""
        self._drop_link()
        self._emit(Kind.UNSURE, why)
        self._connect("first", self.target.interval)

    def _expect(self) -> None:
        self._forget_question()
        self._asked = self._loop.time()
        self._deadline = self._loop.call_at(self._asked + self.target.timeout, self._too_late)

    def _forget_question(self) -> None:
        self._asked = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if self._asked is None:
            return
        overdue = self._loop.time() - self._asked - self.target.timeout
        if overdue > self.target.timeout / 2 and self._good:
            self.ask_now()  # it was this process that slept, not the bus
            return
        self._drop_link()
        self._connect("missed")

    def _next_turn(self) -> None:
        turn = next_turn(self._loop.time(), self._slot, self.target.interval)
        self._turn = self._loop.call_at(turn, self._at_turn)

    def _at_turn(self) -> None:
        self._next_turn()
        if self._asked is None:
            self.ask_now()

    def _emit(self, kind: Kind, why: str) -> None:
        self._report(Result(kind, self._loop.time(), why))

    def _where(self) -> str:
        return "%s:%d" % (self.target.address, self.target.port)


def _ignore(result: Result) -> None:
    """The report callback of a stopped probe."""
