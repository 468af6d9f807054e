# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the API one caller may use: connections, streams, requests, bytes and processor time. Pure.

Each caller has an account of its own, so that nobody's use limits anybody else's. Those who may only look share one
pool of connections and of streams, and those who may act have another: the second is never filled by the first.
A limit that grows with time may be overdrawn once: what is under way is never cut off in the middle, and who used too
much waits until it is made up for.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...base.bucket import Bucket

FORGOTTEN_AFTER_SECONDS = 600.0  # an account that is not used
ACCOUNTS = 200  # kept
CONNECTIONS_AGAIN_SECONDS = 10  # when it makes sense to try again: a silent connection is closed by then


class Quota(NamedTuple):
    """What one caller may use at once, and in a second (with what may come at once after a pause)."""

    connections: int
    streams: int
    under_way: int  # requests that are not answered yet, streams not counted
    requests: tuple[float, float]
    received: tuple[float, float]  # bytes
    sent: tuple[float, float]  # bytes of answers, streams not counted
    processor: tuple[float, float]  # s


LOOK = Quota(24, 8, 6, (20, 100), (64e3, 512e3), (4e6, 32e6), (0.1, 2.0))
ACT = Quota(128, 48, 64, (300, 1500), (4e6, 16e6), (64e6, 512e6), (1.0, 20.0))


class Refusal(NamedTuple):
    """Why something is refused, and how the caller learns it: an HTTP status, a sentence, and when to try again."""

    status: int
    sentence: str
    again: int  # s


class Principal(NamedTuple):
    """Whom a limit is about: known before the first byte of a request is read."""

    name: str  # in sentences: "user 1000"
    door: str  # callers through different doors have different accounts
    acts: bool = False

    @property
    def quota(self) -> Quota:
        return ACT if self.acts else LOOK


class Account:
    """What one principal uses."""

    def __init__(self, principal: Principal, now: float) -> None:
        quota = principal.quota
        self.principal = principal
        self.connections = self.streams = self.under_way = 0
        self.used = now
        self._buckets = {
            "requests": Bucket(*quota.requests, at=now),
            "bytes sent to it": Bucket(*quota.received, at=now),
            "bytes of its answers": Bucket(*quota.sent, at=now),
            "seconds of processor time": Bucket(*quota.processor, at=now),
        }

    def request(self, now: float) -> Refusal | None:
        """Count a request. :return: why it is refused, None when it may begin."""
        self.used = now
        quota, who = self.principal.quota, self.principal.name
        found = self.overdrawn(now)
        self._buckets["requests"].take(1, now)
        if self.under_way >= quota.under_way:
            return Refusal(429, "%d requests of %s are under way, the limit: wait for one" % (self.under_way, who), 1)
        return found

    def overdrawn(self, now: float) -> Refusal | None:
        """Why this caller has to wait; None when it need not."""
        for what, bucket in self._buckets.items():
            wait = bucket.wait(now)
            if wait > 0:
                seconds = math.ceil(wait)
                sentence = "%s used more than %s %s a second: try again in %d s"
                rate = "%d" % bucket.rate if bucket.rate >= 1 else "%g" % bucket.rate
                return Refusal(429, sentence % (self.principal.name, rate, what, seconds), seconds)
        return None

    def received(self, size: int, now: float) -> Refusal | None:
        """Count bytes that arrived. :return: why no more are taken."""
        bucket = self._buckets["bytes sent to it"]
        bucket.take(size, now)
        return self.overdrawn(now) if bucket.level < 0 else None

    def sent(self, size: int, now: float) -> None:
        self._buckets["bytes of its answers"].take(size, now)

    def worked(self, seconds: float, now: float) -> None:
        self._buckets["seconds of processor time"].take(seconds, now)


class Limits:
    """The accounts of all callers, and the two pools. Belongs to one event loop.

    :param connections: that the process can hold in all.
    """

    def __init__(self, connections: int) -> None:
        self.most = {False: max(LOOK.connections, connections // 3), True: max(32, connections - connections // 3)}
        self.most_streams = {False: 64, True: 256}
        self.refused = 0
        self.connections = {False: 0, True: 0}  # open, by whether the caller may act
        self.streams = {False: 0, True: 0}
        self._accounts: dict[Principal, Account] = {}

    def connect(self, principal: Principal, now: float) -> Account | Refusal:
        """Count a new connection, until `disconnect`."""
        account = self._accounts.get(principal)
        if account is None:
            self._forget(now)
            account = self._accounts[principal] = Account(principal, now)
        account.used = now
        refusal: Refusal | None = None
        if account.connections >= principal.quota.connections:
            sentence = "%s has %d connections open, the limit: close some, or try again in %d s" % (
                principal.name, account.connections, CONNECTIONS_AGAIN_SECONDS,
            )  # fmt: skip
            refusal = Refusal(429, sentence, CONNECTIONS_AGAIN_SECONDS)
        elif self.connections[principal.acts] >= self.most[principal.acts]:
            sentence = "all %d connections for callers who may %s are in use: try again in %d s" % (
                self.most[principal.acts], "act" if principal.acts else "only look", CONNECTIONS_AGAIN_SECONDS,
            )  # fmt: skip
            refusal = Refusal(503, sentence, CONNECTIONS_AGAIN_SECONDS)
        if refusal is not None:
            self.refused += 1
            return refusal
        account.connections += 1
        self.connections[principal.acts] += 1
        return account

    def disconnect(self, account: Account) -> None:
        account.connections -= 1
        self.connections[account.principal.acts] -= 1

    def stream(self, account: Account) -> Refusal | None:
        """Count a new stream, until `stream_over`."""
        who = account.principal
        if account.streams >= who.quota.streams:
            sentence = "%s has %d streams open, the limit: close one" % (who.name, account.streams)
            return Refusal(429, sentence, CONNECTIONS_AGAIN_SECONDS)
        if self.streams[who.acts] >= self.most_streams[who.acts]:
            sentence = "%d streams are open already, more are not served" % self.streams[who.acts]
            return Refusal(503, sentence, CONNECTIONS_AGAIN_SECONDS)
        account.streams += 1
        self.streams[who.acts] += 1
        return None

    def stream_over(self, account: Account) -> None:
        account.streams -= 1
        self.streams[account.principal.acts] -= 1

    def _forget(self, now: float) -> None:
        """Drop accounts that were not used for long, and when there are too many, all that are not used now."""
        patience = FORGOTTEN_AFTER_SECONDS if len(self._accounts) < ACCOUNTS else 0.0
        for who, account in list(self._accounts.items()):
            if not account.connections and now - account.used >= patience:
                del self._accounts[who]
