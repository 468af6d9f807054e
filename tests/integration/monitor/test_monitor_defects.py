# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A defect of the monitor itself is logged, counted and shown, and all other work continues."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor import hook_task
from monitor.judge.brain import Brain
from monitor.judge.effects import Effect
from monitor.judge.hosts import Signal
from monitor.loop import Monitor
from monitor.runs.runs import Outcome
from monitor.web import desk, events, health_routes
from tests.integration.api_client import Client
from tests.integration.monitor.served_monitor import Told, folder, get, monitor, play, web_here, write_site
from tests.integration.probes.real_buses import until

__all__ = ["folder"]  # the fixture


class Broken:
    """A method that raises an error while `fails` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.fails = False
        self.calls = 0
        real = getattr(owner, name)

        def instead(*arguments: Any, **words: Any) -> Any:
            self.calls += 1
            if self.fails:
                raise KeyError("a defect")
            return real(*arguments, **words)

        monkeypatch.setattr(owner, name, instead)


def errors(journal: Told) -> list[dict[str, Any]]:
    return [line for line in journal.lines if line["event"] == "error"]


def test_a_turn_that_fails_is_logged_and_shown_and_the_next_ones_follow(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = Broken(monkeypatch, Brain, "turn")

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal) as (core, running):
            core._look_again = 0.05
            turn.fails = True
            core.wake()
            await until(lambda: core.failing, "it is noticed")
            sick = await get(folder, "/healthz")
            assert sick.status == 503
            assert sick.json["why"] == "a turn of the loop failed: KeyError: 'a defect'; its log says more"
            assert b"\nmuster_loop_failing 1.0\n" in (await get(folder, "/metrics")).body
            calls = turn.calls
            await until(lambda: turn.calls > calls + 2, "it is tried again")
            [told] = errors(journal)
            assert 'raise KeyError("a defect")' in told["traceback"]
            assert journal.counts["error", ""] >= turn.calls - 1
            turn.fails = False
            await until(lambda: not core.failing, "it goes on")
            assert (await get(folder, "/healthz")).status == 200
            assert b"\nmuster_loop_failing 0.0\n" in (await get(folder, "/metrics")).body
            assert not running.done()

    play(scene)


def test_events_do_not_make_a_failing_loop_busy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Broken(monkeypatch, Brain, "turn")

    async def scene() -> None:
        async with monitor(folder, Told()) as (core, _running):
            turn.fails = True
            core.wake()
            await until(lambda: core.failing, "it fails")
            calls = turn.calls
            for _unused in range(500):
                core.wake()
                await asyncio.sleep(0)
            assert turn.calls <= calls + 1  # its pause may have been over by chance

    play(scene)


def test_a_watch_list_that_could_not_be_taken_in_is_taken_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Broken(monkeypatch, Brain, "take_watch")

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal) as (core, _running):
            core._look_again = 0.05
            take.fails = True
            write_site(folder)
            await until(lambda: core.failing, "it is noticed")
            take.fails = False
            await until(lambda: core._brain.watch.revision == core.watch.revision, "it is taken in")

    play(scene)


def test_a_failing_report_ends_no_task_and_the_intents_of_a_lost_run_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[dict[str, Any]] = []

    def run_over(_self: Brain, _run: str, result: dict[str, Any], _why: str, _now: float) -> list[Effect]:
        results.append(result)
        if result:
            raise TypeError("this result is none")
        return []

    monkeypatch.setattr(Brain, "run_over", run_over)
    Broken(monkeypatch, Brain, "program_ended").fails = True
    Broken(monkeypatch, Brain, "line_changed").fails = True

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal) as (core, _running):
            core._run_over("run-1", {"results": []}, Outcome(0, ""))
            assert results == [{"results": []}, {}]
            told: list[Callable[[], None]] = [
                lambda: core._event({"event": "exited", "instance": "scen2_srv_01", "epoch": 1, "program": "p"}),
                lambda: core._line_changed("server_1", Signal.LOST, "why"),
            ]
            for tell in told:
                tell()
            whys = [line["why"] for line in errors(journal)]
            assert [why.partition(" failed")[0] for why in whys] == [
                "the intake of a run's result", "the intake of an event", "the intake of a line's state",
            ]  # fmt: skip

    play(scene)


def test_a_status_that_cannot_be_made_is_seen_by_who_follows_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(health_routes, "STATUS_OLD_SECONDS", 0.3)
    paint = Broken(monkeypatch, desk.Desk, "_paint")

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal, web_here):
            stream = Client(folder / "run" / "api.sock").stream()
            with contextlib.closing(stream):
                await asyncio.to_thread(alive, stream, lambda age: age < 0.3)
                paint.fails = True
                write_site(folder)
                await asyncio.to_thread(alive, stream, lambda age: age > 0.5)
                assert any(line["why"].startswith("the API failed: KeyError") for line in errors(journal))
                sick = await get(folder, "/healthz")
                assert (sick.status, "the status has not been readable for" in sick.json["why"]) == (503, True)
                paint.fails = False
                await asyncio.to_thread(alive, stream, lambda age: age < 0.3)
                assert (await get(folder, "/healthz")).status == 200

    play(scene)


def test_a_ledger_that_cannot_be_read_makes_the_status_old(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(health_routes, "STATUS_OLD_SECONDS", 0.3)
    monkeypatch.setattr(desk, "YOUNG", 0.1)

    async def scene() -> None:
        journal = Told()
        async with monitor(folder, journal, web_here):
            stream = Client(folder / "run" / "api.sock").stream()
            with contextlib.closing(stream):
                await asyncio.to_thread(alive, stream, lambda age: age < 0.3)
                (folder / "ledger.db").rename(folder / "away")
                await asyncio.to_thread(alive, stream, lambda age: age > 0.5)
                sick = await get(folder, "/healthz")
                assert (sick.status, "there is no ledger" in sick.json["why"]) == (503, True)
                assert journal.said("there is no ledger")
                (folder / "away").rename(folder / "ledger.db")
                await asyncio.to_thread(alive, stream, lambda age: age < 0.3)
                assert (await get(folder, "/healthz")).status == 200

    play(scene)


def alive(stream: Any, fits: Callable[[float], bool]) -> None:
    """Wait for a heartbeat that reports a status of this age, in seconds."""
    for _unused in range(400):
        event, _ident, data = next(stream)
        while event != "alive":
            event, _ident, data = next(stream)
        if fits(data["at"] - data["painted"]):
            return
    raise AssertionError("no sign of life told of such a status")


def test_the_telling_of_hooks_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_task, "AFTER_FAILURE_SECONDS", 0.01)
    calls: list[int] = []

    async def tell(*_unused: Any) -> tuple[str, bool, float]:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("a defect")
        return "", False, 0.0

    monkeypatch.setattr(hook_task, "_tell", tell)

    async def scene() -> None:
        journal = Told()
        core = Monitor(folder, [], journal, standby=False)
        async with hook_task.telling(core, journal):
            await until(lambda: len(calls) >= 3, "it is tried again")
        assert [line["why"] for line in errors(journal)] == ["the telling of hooks failed: RuntimeError: a defect"]

    play(scene)
