# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much one caller may use of the API, and that nobody's use limits anybody else's."""

from __future__ import annotations

import pytest

from monitor.base.bucket import Bucket
from monitor.web.doors.limits import ACT, LOOK, Account, Limits, Principal, Refusal

ADAM, EVE = Principal("adam", "tcp"), Principal("eve", "tcp")
OWNER = Principal("root", "/x/run/api.sock", acts=True)


def connected(limits: Limits, who: Principal) -> Account:
    found = limits.connect(who, 0.0)
    assert isinstance(found, Account)
    return found


def refused(found: object) -> Refusal:
    assert isinstance(found, Refusal)
    assert found.again > 0
    return found


def test_a_bucket_is_filled_again_and_may_be_overdrawn_once() -> None:
    bucket = Bucket(2.0, 10.0)
    bucket.take(14.0, 0.0)
    assert bucket.wait(0.0) == pytest.approx(2.0, abs=0.01)
    assert bucket.wait(2.1) == 0.0
    bucket.take(1.0, 1000.0)
    assert bucket.level == 9.0


def test_connections_of_one_caller_are_limited_and_no_others() -> None:
    limits = Limits(1000)
    held = [connected(limits, EVE) for _unused in range(LOOK.connections)]
    found = refused(limits.connect(EVE, 0.0))
    assert (found.status, found.sentence) == (
        429, "eve has 24 connections open, the limit: close some, or try again in 10 s"
    )  # fmt: skip
    for who in (ADAM, OWNER):
        connected(limits, who)
    limits.disconnect(held[0])
    connected(limits, EVE)


def test_many_who_look_fill_their_own_pool_only() -> None:
    limits = Limits(300)
    for number in range(300):
        limits.connect(Principal("user %d" % number, "tcp"), 0.0)
    assert limits.connections == {False: 100, True: 0}
    assert refused(limits.connect(EVE, 0.0)).status == 503
    connected(limits, OWNER)


def test_streams_are_limited_for_each_and_for_all() -> None:
    limits = Limits(1000)
    account = connected(limits, EVE)
    for _unused in range(LOOK.streams):
        assert limits.stream(account) is None
    assert refused(limits.stream(account)).status == 429
    limits.stream_over(account)
    assert limits.stream(account) is None
    for number in range(100):
        limits.stream(connected(limits, Principal("user %d" % number, "tcp")))
    assert limits.streams[False] == limits.most_streams[False]
    assert refused(limits.stream(connected(limits, ADAM))).status == 503
    assert limits.stream(connected(limits, OWNER)) is None


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda account: [account.request(0.0) for _unused in range(101)], "more than 20 requests a second"),
        (lambda account: account.received(600_000, 0.0), "more than 64000 bytes sent to it a second"),
        (lambda account: account.sent(40_000_000, 0.0), "more than 4000000 bytes of its answers a second"),
        (lambda account: account.worked(2.5, 0.0), "more than 0.1 seconds of processor time a second"),
    ],
)
def test_who_uses_too_much_waits_as_long_as_is_said(use: object, words: str) -> None:
    account = Account(EVE, 0.0)
    assert callable(use)
    use(account)
    found = refused(account.request(0.0))
    assert (found.status, words in found.sentence) == (429, True), found.sentence
    assert account.request(found.again + 0.1) is None


def test_requests_under_way_are_limited() -> None:
    account = Account(EVE, 0.0)
    account.under_way = LOOK.under_way
    assert "6 requests of eve are under way" in refused(account.request(0.0)).sentence


def test_who_may_act_may_use_more_of_everything() -> None:
    for name in LOOK._fields:
        assert getattr(ACT, name) > getattr(LOOK, name), name


def test_accounts_that_are_not_used_are_forgotten() -> None:
    limits = Limits(1000)
    for number in range(5000):
        limits.disconnect(connected(limits, Principal("user %d" % number, "tcp")))
    assert len(limits._accounts) <= 201
