# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the thread that holds a lease does at a moment: for how long without the guard, and when it kills."""

from __future__ import annotations

import pytest

from monitor.core.host.lease import holder, kernel, pulse, settings
from monitor.core.host.lease.terms import Terms

TERMS = Terms(3.0, 1.0, 0.001)


class Timer(kernel.Deadline):
    """The kernel's timer of a process that is not to be killed."""

    def __init__(self) -> None:
        self.at = 0.0

    def set(self, at: float) -> None:
        self.at = at


class Given:
    """The thread's part, with the answers of all witnesses at hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = settings.Settings({
            "site_id": "s", "host": "one", "address": "127.0.0.1", "port": 1, "length": TERMS.length,
            "margin": TERMS.margin, "error": TERMS.error, "longest": 3.0, "witnesses": {"one": ["127.0.0.1", 1]},
        })  # fmt: skip
        self.now = kernel.now()
        self.keeper = holder.Keeper(TERMS, self.now)
        self.timer = Timer()
        self.part = pulse.Pulse(found, self.keeper, self.timer, lambda: None)
        self.until: float | None = self.now + TERMS.length
        monkeypatch.setattr(self.part.exchange, "turn", lambda now: now + TERMS.interval)
        monkeypatch.setattr(self.part.exchange.holder, "until", lambda: self.until)

    def guard(self) -> holder.Step:
        self.part.guarded(self.now)
        return self.keeper.step(self.now, self.until, True)

    def beat(self, after: float, answered: bool = True) -> float:
        self.now += after
        if answered:
            self.until = self.now + TERMS.length
        return self.part.beat(self.now)


@pytest.fixture(name="given")
def given_fixture(monkeypatch: pytest.MonkeyPatch) -> Given:
    return Given(monkeypatch)


def test_it_begins_no_lease(given: Given) -> None:
    given.beat(0.1)
    assert given.timer.at == 0.0 and given.keeper.state == holder.NONE
    assert not given.part.late(given.now)


def test_it_goes_on_with_a_lease_while_the_guard_has_no_turn_but_not_for_ever(given: Given) -> None:
    given.guard()
    begun = given.now
    while given.now - begun < pulse.PATIENCE - 1.0:
        given.beat(TERMS.interval)
        assert given.timer.at == given.keeper.deadline == given.until
        assert not given.part.late(given.now)
    while given.now - begun <= pulse.PATIENCE + 2 * TERMS.length:
        given.beat(TERMS.interval)
    assert begun + pulse.PATIENCE < given.timer.at <= begun + pulse.PATIENCE + TERMS.length
    assert given.part.late(given.now)


def test_without_answers_it_kills_shortly_before_the_kernel_does(given: Given) -> None:
    given.guard()
    end = given.keeper.deadline
    due = given.beat(TERMS.length - 1.0, answered=False)
    assert not given.part.late(given.now) and due < end
    given.now = end - 0.05
    assert given.part.late(given.now) and given.part.beat(given.now) < end


def test_the_guard_that_stops_in_order_is_left_alone_until_the_end(given: Given) -> None:
    given.guard()
    given.now = given.keeper.deadline - TERMS.margin
    assert given.guard().stop
    given.beat(0.1)
    assert given.timer.at < given.now + TERMS.length, "only the guard makes this longer"


def test_where_no_lease_is_needed_it_kills_nothing(given: Given) -> None:
    given.guard()
    given.part.off = True
    given.beat(60.0)
    assert not given.part.late(given.now)
