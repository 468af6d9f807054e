# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures in the stream of events: one taking serves all streams, and none is asked for twice in its interval."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.web import figure_feed
from monitor.web.desk import NotNow
from monitor.web.figure_feed import KEYS, FigureFeed, Turn
from monitor.web.logs import answer


class Taker:
    """In the place of a sampler: what the hosts say is here."""

    def __init__(self) -> None:
        self.taken = 0
        self.fails: Exception | None = None

    async def take(self) -> tuple[list[str], dict[str, Any]]:
        self.taken += 1
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        return [], {"programs": [dict.fromkeys(KEYS, 1)], "silent": {"server_2": "it is down"}}


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        own = SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now)
        monkeypatch.setattr(figure_feed, "time", own)  # that of the event loop goes on


def feed_of(taker: Any, ring: Any, failed: Any) -> FigureFeed:
    return FigureFeed(taker, ring, failed)


def document(event: bytes) -> dict[str, Any]:
    head, data = event.decode().strip().split("\n")
    assert head == "event: figures"
    found: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return found


def test_one_taking_serves_all_streams_once_in_their_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, taker, rung, failures = Clock(monkeypatch), Taker(), list[float](), list[Exception]()

    async def scene() -> None:
        feed = feed_of(taker, lambda: rung.append(clock.now), lambda _what, why: failures.append(why))
        often, seldom, never = Turn(feed, 10.0), Turn(feed, 60.0), Turn(feed, 0.0)
        assert (often.event(), seldom.event(), never.event()) == (b"", b"", b"")
        while not rung:
            await asyncio.sleep(0)
        first = document(often.event())
        assert (first["at"], first["silent"]) == (1000.0, {"server_2": "it is down"})
        assert set(first["programs"][0]) == set(KEYS)
        assert document(seldom.event()) == first
        assert (often.event(), seldom.event(), taker.taken) == (b"", b"", 1)
        assert often.left() == 10.0 and seldom.left() == 20.0 and never.left() == float("inf")
        clock.now = 1010.0
        assert often.event() == b"" and seldom.event() == b""
        await asyncio.sleep(0.001)
        assert document(often.event())["at"] == 1010.0
        assert (seldom.event(), taker.taken) == (b"", 2)
        taker.fails = NotNow("no site is published: deploy first")
        clock.now = 1020.0
        often.event()
        await asyncio.sleep(0.001)
        assert document(often.event())["why"] == "no site is published: deploy first"
        taker.fails = ValueError("a defect")
        clock.now = 1030.0
        often.event()
        await asyncio.sleep(0.001)
        assert "its log says more" in document(often.event())["why"] and failures == [taker.fails]

    asyncio.run(scene())


def test_what_takes_long_is_not_taken_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    class Slow(Taker):
        async def take(self) -> tuple[list[str], dict[str, Any]]:
            clock.now += 3.0
            return await super().take()

    taker = Slow()

    async def scene() -> None:
        feed = feed_of(taker, lambda: None, lambda _what, _why: None)
        turn, got = Turn(feed, 2.0), 0
        for _step in range(120):  # half a second each
            got += bool(turn.event())
            await asyncio.sleep(0.0005)
            clock.now += 0.5
        assert 2 <= taker.taken <= 4, "thirty seconds pass after each that took three"
        assert got in (taker.taken - 1, taker.taken)

    asyncio.run(scene())


@pytest.mark.parametrize(("programs", "hosts"), [(1, 1), (500, 1), (501, 1), (1700, 3), (3, 45)])
def test_every_program_is_asked_about_once_and_few_at_a_time(programs: int, hosts: int) -> None:
    requests = {}
    for host in range(hosts):
        numbers = list(range(host * programs, (host + 1) * programs))
        requests["host_%d" % host] = (numbers, {"figures": True, "sources": [{"program": str(n)} for n in numbers]})
    asked: list[int] = []
    for part in answer.parts(requests):
        assert len(part) <= answer.HOSTS_AT_A_TIME
        for numbers, request in part.values():
            assert [entry["program"] for entry in request["sources"]] == [str(number) for number in numbers]
            assert request["figures"] and 0 < len(numbers) <= answer.PROGRAMS_AT_A_TIME
            asked += numbers
    assert sorted(asked) == list(range(hosts * programs))
