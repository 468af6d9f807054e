# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes in a monitor when it begins to lead, and when it no longer does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from monitor.base.journal import Journal
from monitor.core.controller import asked
from monitor.core.controller.ledger import Ledger
from monitor.core.model.request import filled
from monitor.judge.asks import Asks
from monitor.judge.brain import Brain
from monitor.judge.effects import Answer, Effect, Note, Send
from monitor.judge.hosts import Signal
from monitor.judge.intents import Intents
from monitor.judge.schedule import Schedule
from monitor.kept import Kept
from monitor.lead.helm import Helm
from monitor.lead.rank import Alone

RESTART = {"kind": "restart", "instances": ["scen2_srv_01"], "who": "eve"}


class Other(Alone):
    """A rank that the test sets."""

    term = 0
    news = ""

    def leads(self) -> bool:
        return self.term > 0

    def changed(self) -> str:
        news, self.news = self.news, ""
        return news

    def become(self, term: int) -> None:
        self.term, self.news = term, "controller_1 leads" if term else "controller_2 leads"

    async def forwarded(self, ident: str) -> dict[str, Any]:
        return {"ok": True, "said": ["the other one did " + ident]}

    def answered(self, ident: str, content: Any) -> None:
        self.told = {ident: content}

    told: dict[str, Any] = {}  # noqa: RUF012


class Room:
    """A monitor's half of it, beside a real ledger in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with Ledger(str(folder / "ledger.db")) as ledger:
            ledger.create("s", "s-1")
        self.brain = Brain({}, {}, Intents("a"), Schedule(0.0))
        self.kept = Kept(folder, Journal(folder / "log"))
        self.said: list[str] = []
        self.fences_gone = 0
        self.numbers: list[int] = []  # of the first words to the witnesses
        self.stopped = 0
        self.helm = Helm(folder, self.brain, self.kept, self, self.carry_out, lambda: None, self.stop)
        self.rank = Other(folder, None, lambda why: None)
        self.helm.rank = self.rank

    def forget(self) -> None:
        self.fences_gone += 1

    def lead(self, first: int) -> None:
        self.numbers.append(first)

    def stop(self) -> None:
        self.stopped += 1

    def carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self.said += [effect.why] if isinstance(effect, Note) else []
            if isinstance(effect, Answer):
                effect.waiter.set_result(self.helm.answered(str(effect.request["id"]), effect.content))

    async def settled(self) -> None:
        while self.kept._tasks:
            await asyncio.wait(self.kept._tasks)


def test_one_that_begins_to_lead_counts_silence_from_then_on_and_takes_up_what_was_asked(tmp_path: Path) -> None:
    async def play() -> None:
        room = Room(tmp_path)
        room.brain.hosts.follow(["server_1"])
        room.brain.hosts.line("server_1", Signal.FINE, "", 1.0)
        room.brain.hosts.line("server_1", Signal.LOST, "silent", 2.0)
        ident = asked.note(str(tmp_path), RESTART, time.time())
        assert not room.helm.steers(50.0)
        room.rank.become(7)
        assert room.helm.steers(100.0)
        assert room.brain.hosts.lines()["server_1"].since == 100.0
        assert room.brain.schedule.asked
        room.brain.ask({**RESTART, "id": "early"}, None)
        assert room.brain._send_request(101.0, 0.0) == []  # before a run has looked at the hosts
        room.brain.reconcile_over({}, 102.0)
        (sent,) = room.brain._send_request(103.0, 0.0)
        assert isinstance(sent, Send) and sent.ask is not None
        room.brain.asks = Asks()
        await room.settled()
        assert [ask.request["id"] for ask in room.brain.asks] == [ident]
        room.helm._asked_elsewhere([ident])  # once only
        await room.settled()
        assert len(room.brain.asks) == 1
        assert room.helm.order({"intents": []}) == {"intents": [], "term": 7}
        room.rank.become(0)
        room.helm.steers(101.0)
        room.rank.become(9)
        room.helm.steers(102.0)
        assert time.time_ns() < room.numbers[0] < room.numbers[1]

    asyncio.run(play())


def test_one_that_no_longer_leads_leaves_requests_to_the_next_and_passes_its_answer_on(tmp_path: Path) -> None:
    async def play() -> None:
        room = Room(tmp_path)
        room.rank.become(7)
        room.helm.steers(1.0)
        await room.settled()
        ident = await room.kept.note(filled(RESTART))
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        room.brain.ask({**RESTART, "id": ident}, waiter)
        room.rank.become(0)
        assert not room.helm.steers(2.0)
        assert room.fences_gone == 1 and not len(room.brain.asks)
        assert (await waiter)["said"] == ["the other one did " + ident]
        assert [known for known, _document in asked.left(str(tmp_path), time.time())] == [ident]
        assert room.helm.order({"intents": []}) == {"intents": []}
        assert room.kept.new([ident])  # if it leads again before anybody did it

    asyncio.run(play())


@pytest.mark.parametrize("planned", [True, False])
def test_a_request_that_a_run_had_when_the_lead_was_lost_is_answered_by_that_run_or_by_the_next(
    tmp_path: Path, planned: bool
) -> None:
    """etcd was silent for a second while a run did it: who had asked waited a quarter of an hour."""

    async def play() -> None:
        room = Room(tmp_path)
        room.rank.become(7)
        room.helm.steers(1.0)
        await room.settled()
        room.brain.reconcile_over({}, 1.5)
        ident = await room.kept.note(filled(RESTART))
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        room.brain.ask({**RESTART, "id": ident}, waiter)
        (sent,) = room.brain._send_request(2.0, 0.0)
        assert isinstance(sent, Send) and sent.ask is not None
        room.brain.asks.taken(sent.ask, "run-1")
        room.rank.become(0)
        assert not room.helm.steers(3.0) and not waiter.done()
        plan = {"run": "run-1", "actions": []} if planned else None
        room.carry_out(room.brain.run_over("run-1", {"plan": plan, "sentences": ["done"]} if planned else {}, "", 4.0))
        room.helm.steers(5.0)
        assert (await asyncio.wait_for(waiter, 10))["said"] == (["done"] if planned else ["the other one did " + ident])
        await room.settled()
        assert [known for known, _document in asked.left(str(tmp_path), time.time())] == ([] if planned else [ident])

    asyncio.run(play())


def test_an_answer_goes_back_only_where_another_was_asked(tmp_path: Path) -> None:
    async def play() -> None:
        room = Room(tmp_path)
        room.rank.become(7)
        room.helm.steers(1.0)
        own = await room.kept.note(filled(RESTART))
        room.helm.answered(own, {"ok": True})
        assert room.rank.told == {}
        room.helm.answered("of-another", {"ok": True})
        assert room.rank.told == {"of-another": {"ok": True}}
        await room.settled()
        assert asked.left(str(tmp_path), time.time()) == []
        assert await room.helm.forward(filled(RESTART)) != {}

    asyncio.run(play())


def test_the_only_monitor_ends_when_other_controllers_come(tmp_path: Path) -> None:
    async def play() -> None:
        room = Room(tmp_path)
        helm = Helm(tmp_path, room.brain, room.kept, room, room.carry_out, lambda: None, room.stop)
        assert helm.steers(1.0) and not room.stopped
        (tmp_path / "ledger.json").write_text(json.dumps({"etcd": ["http://a:2379"], "site": "s", "controller": "c1"}))
        helm.steers(2.0)
        assert room.stopped == 1 and "other controllers use it" in room.said[-1]

    asyncio.run(play())


class Waits:
    """A request that waits in a room's monitor, and the person who waits for its answer."""

    def __init__(self, room: Room, who: str = "ops (Eve)") -> None:
        self.room = room
        self.ident = asked.note(str(room.folder), {**RESTART, "who": who}, time.time())
        self.answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        room.rank.term = 7
        room.kept._knows(self.ident, True)
        room.ended: list[str] = []
        room.helm.end_run = lambda ident, why: bool(room.ended.append(ident))
        room.brain.ask({**RESTART, "who": who, "id": self.ident}, self.answer)

    async def withdraw(self, who: str, **more: Any) -> dict[str, Any]:
        by = {"who": who, "from": "console_1", "why": "wrong item", "anyone": False, **more}
        return await self.room.helm.withdraw(self.ident, by)

    def left(self) -> list[str]:
        with Ledger(str(self.room.folder / "ledger.db")) as ledger:
            return list(ledger.read()[0]["requests"])

    def trail(self) -> list[str]:
        with Ledger(str(self.room.folder / "ledger.db")) as ledger:
            return ["%s %s: %s" % (e["who"], e["what"], e["why"]) for e in ledger.trail(limit=9)]


@pytest.mark.parametrize(("who", "more"), [("ops", {}), ("ops (Adam)", {}), ("root", {"anyone": True})])
def test_a_request_that_waits_is_withdrawn_by_its_account_or_an_administrator(
    tmp_path: Path, who: str, more: dict[str, Any]
) -> None:
    async def play() -> None:
        waits = Waits(Room(tmp_path))
        other = asked.note(str(tmp_path), RESTART, time.time())
        found = await waits.withdraw(who, **more)
        said = "restart of scen2_srv_01 is withdrawn by %s: wrong item; nothing was done" % who
        assert found == {"result": "withdrawn", "said": said}
        assert waits.answer.result() == {"ok": False, "said": [said], "refused": True, "run": "", "results": {}}
        assert waits.left() == [other] and len(waits.room.brain.asks) == 0
        assert waits.room.ended == [waits.ident], "a run of its own ends"
        assert waits.trail() == [
            "%s restart of scen2_srv_01, asked for by ops (Eve), is withdrawn: wrong item" % who]  # fmt: skip
        assert (await waits.withdraw(who))["result"] == "gone"
        await waits.room.settled()

    asyncio.run(play())


def test_nobody_else_withdraws_a_request(tmp_path: Path) -> None:
    async def play() -> None:
        waits = Waits(Room(tmp_path))
        found = await waits.withdraw("guest")
        assert (found["result"], "only ops (Eve)" in found["said"]) == ("not yours", True)
        assert waits.left() == [waits.ident] and not waits.answer.done() and waits.trail() == []

    asyncio.run(play())


def test_what_a_run_has_planned_is_not_withdrawn_and_the_answer_says_what_takes_it_back(tmp_path: Path) -> None:
    async def play() -> None:
        waits = Waits(Room(tmp_path))
        ask = waits.room.brain.asks.next()
        assert ask is not None
        waits.room.brain.asks.taken(ask, "standby-1")
        with Ledger(str(tmp_path / "ledger.db")) as ledger:
            ledger.commit(ledger.read()[1], {"requests": {waits.ident: None}}, [])
        found = await waits.withdraw("ops")
        assert found == {"result": "begun", "said": (
            "restart of scen2_srv_01 is begun already by run standby-1, so it is not withdrawn and goes on to its end:"
            " muster stop takes it back")}  # fmt: skip
        assert not waits.answer.done() and len(waits.room.brain.asks) == 1

    asyncio.run(play())


def test_a_run_that_has_not_planned_yet_finds_nothing_to_do(tmp_path: Path) -> None:
    """Its own answer comes too late: the person has the other one, and nobody is asked again."""

    async def play() -> None:
        waits = Waits(Room(tmp_path))
        ask = waits.room.brain.asks.next()
        assert ask is not None
        waits.room.brain.asks.taken(ask, "standby-1")
        assert (await waits.withdraw("ops"))["result"] == "withdrawn"
        assert waits.answer.result()["said"][0].startswith("restart of scen2_srv_01 is withdrawn by ops")
        assert waits.room.brain.asks.over("standby-1", {}, "lost") == []
        await waits.room.settled()

    asyncio.run(play())


def test_a_request_of_another_controller_is_answered_there(tmp_path: Path) -> None:
    async def play() -> None:
        waits = Waits(Room(tmp_path))
        waits.room.kept.let_go([waits.ident])
        assert (await waits.withdraw("ops"))["result"] == "withdrawn"
        assert list(waits.room.rank.told) == [waits.ident]
        await waits.room.settled()

    asyncio.run(play())
