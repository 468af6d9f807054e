# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand seeded histories of the real monitor's decisions and the real plans against a world that fails.

`story` says what a history is, `world` what must hold in it. Each of the sabotages below takes one safeguard
away and must be noticed: so it is the rules that pass, not the simulation that sleeps.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.core.decide import draft as decide_draft
from monitor.core.decide import keep_running, reconcile, windows
from monitor.core.model.words import DOWN, SUSPECT
from monitor.core.plan import act_requests, outcome
from monitor.judge import brain, hosts
from monitor.judge.asks import Asks
from monitor.judge.hosts import Signal
from monitor.judge.intents import Intents
from monitor.judge.schedule import Schedule
from tests.unit.simulation.story import simulate

SEEDS, EACH_TIME = 1000, 200  # the rest in `make long`
CHUNK = 50
ROOT = Path(__file__).resolve().parents[3]
LATER = [pytest.param(first, marks=pytest.mark.long) for first in range(EACH_TIME, SEEDS, CHUNK)]


@pytest.mark.parametrize("first", [*range(0, EACH_TIME, CHUNK), *LATER])
def test_the_rules_hold_in_every_history(first: int) -> None:
    broken, counted = [], Counter[str]()
    for seed in range(first, first + CHUNK):
        try:
            counted.update(simulate(seed))
        except AssertionError as error:
            broken.append("seed %d: %s (python -m tests.unit.simulation.story %d shows it)" % (seed, error, seed))
    assert not broken, "\n".join(broken)
    assert counted["starts"] > CHUNK and counted["faults"] > CHUNK, "hardly anything happened: %s" % counted


def sees_no_storm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hosts, "_storm", lambda *_unused: "")


def believes_one_signal(patch: pytest.MonkeyPatch) -> None:
    real = hosts._verdict

    def verdict(name: str, *facts: Any) -> hosts.Verdict:
        found = real(name, *facts)
        return dataclasses.replace(found, state=DOWN) if found.state == SUSPECT else found

    patch.setattr(hosts, "_verdict", verdict)


def takes_silence_for_down(patch: pytest.MonkeyPatch) -> None:
    def frees(draft: Any, name: str, _host: str) -> bool:
        draft.free(name, "it does not answer")
        return False

    patch.setattr(reconcile, "_stays_claimed", frees)


def starts_before_the_stop_is_confirmed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(act_requests, "_may_start", lambda *_unused: True)


def knows_no_budget(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcome, "exhausted", lambda *_unused: False)
    patch.setattr(reconcile, "given_up", lambda *_unused: False)
    patch.setattr(keep_running, "charge", lambda *_unused: ())


def ignores_other_runs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide_draft.Draft, "busy", lambda _self, _name: "")


def shows_windows_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(windows, "ends", lambda *_unused: None)


def forgets_intents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Intents, "ready", lambda *_unused: [])
    patch.setattr(reconcile, "keep_running", lambda *_unused: None)


def never_looks_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Schedule, "due", lambda *_unused, **_more: "")


def leaves_requests_unanswered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Asks, "over", lambda *_unused: [])


def leaves_out_what_is_there(patch: pytest.MonkeyPatch) -> None:
    def left_out(self: brain.Brain, asked: bool = False) -> list[str]:
        lines = self.hosts.lines()
        return [n for n, state in self.watch.hosts.items() if state == DOWN and lines[n].signal in hosts.AWAY]

    patch.setattr(brain.Brain, "left_out", left_out)


def holds_for_machines_that_answer(patch: pytest.MonkeyPatch) -> None:
    real = hosts.Hosts.line

    def line(self: hosts.Hosts, name: str, signal: Signal, why: str, now: float) -> bool:
        return real(self, name, Signal.LOST if signal is Signal.GONE else signal, why, now)

    patch.setattr(hosts.Hosts, "line", line)


RARE = {"starts_before_the_stop_is_confirmed": 850}  # the seed before one that shows it, so that it is found soon
SABOTAGES: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]]] = [
    (sees_no_storm, ("storm",)),
    (believes_one_signal, ("down", "storm", "I1", "idle", "back")),
    (takes_silence_for_down, ("I1",)),
    (starts_before_the_stop_is_confirmed, ("I1", "commit first")),
    (knows_no_budget, ("I6",)),
    (ignores_other_runs, ("one run", "I1", "commit first", "I8")),
    (shows_windows_again, ("I8",)),
    (forgets_intents, ("I5", "I6")),
    (never_looks_again, ("I5", "I6", "stopped", "back")),
    (leaves_requests_unanswered, ("asks",)),
    (leaves_out_what_is_there, ("back", "I5")),
    (holds_for_machines_that_answer, ("storm", "back", "I5")),
]


@pytest.mark.parametrize(("sabotage", "rules"), SABOTAGES, ids=[one.__name__ for one, _unused in SABOTAGES])
def test_a_safeguard_that_is_missing_is_noticed(
    sabotage: Callable[[pytest.MonkeyPatch], None], rules: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    first = RARE.get(sabotage.__name__, 0)
    for seed in range(first, first + SEEDS):
        try:
            simulate(seed)
        except AssertionError as error:
            assert str(error).startswith(rules), "seed %d: %s" % (seed, error)
            return
    raise AssertionError("nobody noticed in %d histories" % SEEDS)


def test_a_seed_gives_the_same_history_in_every_process() -> None:
    logs = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.simulation.story", "7"],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stdout.count(b"\n") > 50
        logs.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(logs) == 1
