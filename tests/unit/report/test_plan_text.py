# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a plan shows every deciding field: two plans that differ in one have different texts."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.core.decide.draft import PlanError
from monitor.core.model.records import Claim, HostRecord, Wanted
from monitor.core.report import plan_text, scenario
from tests import scenario_form

NOW = scenario_form.NOW
WHEN_EMPTY = {  # what a field that is null or empty holds when it holds something
    "actor": {"run": "41", "deadline": NOW},
    "programs": ["bus"],
    "until": NOW,
    "deferred": ["bus"],
    "left": ["bus"],
    "failed": {"bus": "it ended"},
    "failures": [[NOW, "server_9", "it ended"]],
    "crashes": [[NOW, "server_9", "it ended"]],
    "candidates": {
        "x": [{"host": "h", "fits": True, "load": 1, "limit": 2, "reserved": 3, "effective": 4, "why": "room"}]
    },
    "actions": [],
    "changes": {"claims": {"x": None}},
    "trail": [{"at": NOW, "what": "x"}],
    "intents": [{"id": "m-1", "instance": "x", "outcome": "held", "why": "y"}],
    "waits": {"x": NOW},
    "turns": ["x"],
    "drain": {"by": "eve", "since": NOW},
    "acknowledged": {"by": "eve", "at": NOW, "why": "seen"},
}
RECORD = {"phase": "free", "state": "up", "epoch": 1}
Path = tuple[Any, ...]


def plans() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in scenario_form.files():
        given = scenario_form.load(path)["given"]
        if "steps" in given:
            continue
        full = scenario_form.full(given)
        try:
            plan = scenario.decide(full)
        except PlanError:
            continue
        yield scenario_form.name_of(path), plan
        if "answers" in full:
            changes, trail = scenario.outcome(full, plan)
            yield scenario_form.name_of(path) + " answered", {**plan, "changes": changes, "trail": trail}


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, Any]]:
    return dict(plans())


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where the document holds a value that is no container, or an empty one."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not inside:
        yield path
    for key, entry in inside:
        yield from leaves(entry, (*path, key))


def changed(value: Any, path: Path) -> Any:
    if value is None and path[0] == "changes" and len(path) == 3:
        return RECORD
    if not isinstance(value, (bool, str)) and not value:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return 61
        name = next(key for key in reversed(path) if isinstance(key, str))
        return WHEN_EMPTY.get(name, "something else")
    if isinstance(value, bool):
        return not value
    return value + 61 if isinstance(value, (int, float)) else "x" + value


def with_another(value: Any, path: Path, along: Path = ()) -> Any:
    """The document with another value at the end of the path; what is beside the path is shared."""
    if not path:
        return changed(value, along)
    other = copy.copy(value)
    other[path[0]] = with_another(value[path[0]], path[1:], (*along, path[0]))
    return other


def test_every_field_of_every_golden_plan_is_shown(made: dict[str, dict[str, Any]]) -> None:
    hidden = set()
    for name, plan in made.items():
        text = plan_text.plan_lines(plan, NOW)
        for path in leaves(plan):
            if path[0] in plan_text.NOT_SHOWN or (path == ("actions",) and not plan["actions"]):
                continue
            if plan_text.plan_lines(with_another(plan, path), NOW) == text:
                hidden.add((name, path))
    assert hidden == set()


def test_some_golden_plan_has_each_field(made: dict[str, dict[str, Any]]) -> None:
    """A field that is empty everywhere would be shown by chance only."""
    claim = set(Claim(crashes=(), until=1.0).to_json()) | {"crashes"}
    wanted = {
        "plans": set(next(iter(made.values()))) - {"changes"},
        "actions": {"action", "instance", "host", "target", "epoch", "phase", "reason", "urgent", "programs", "after",
                    "digest"},
        "wanted": set(Wanted("started").to_json()),
        "claims": claim,
        "hosts": set(HostRecord().to_json()) | {"drain"},
        "trail": {"at", "who", "from", "what", "why", "result", "run", "instance", "host"},
    }  # fmt: skip
    found: dict[str, set[str]] = {kind: set() for kind in wanted}
    for plan in made.values():
        records = {kind: [r for r in plan["changes"].get(kind, {}).values() if r] for kind in found}
        records.update(plans=[plan], actions=plan["actions"], trail=plan["trail"])
        for kind, documents in records.items():
            for document in documents:
                found[kind] |= {key for key, value in document.items() if value}
    assert {kind: keys - found[kind] for kind, keys in wanted.items()} == {kind: set() for kind in wanted}


def test_a_field_that_the_text_does_not_know_is_shown_under_its_own_name() -> None:
    plan = {
        "run": "1", "revision": 2, "expires": NOW, "request": {"kind": "reconcile", "ticket": "A-1"},
        "actions": [{"action": "stop", "instance": "a_01", "host": "h", "reason": "why", "phase": 1, "grace": 5}],
        "changes": {"claims": {"a_01": {"phase": "free", "epoch": 1, "kept": ["x", "y"]}}, "colours": {"c": {"k": 1}}},
        "trail": [{"at": NOW, "who": "eve", "what": "w", "weight": 3}], "risk": "high",
    }  # fmt: skip
    text = "\n".join(plan_text.plan_lines(plan, NOW))
    for shown in ("ticket A-1", "grace 5", "kept x and y", "colours c: k 1", "weight 3", "risk high"):
        assert shown in text


def test_a_move_that_waits_has_its_moment_as_a_time_and_nothing_that_is_empty() -> None:
    move = {"host": "server_1", "to": "server_2", "by": "eve", "why": "", "at": NOW, "due": NOW + 60, "at_a_time": 0}
    plan = {"run": "1", "request": {"kind": "move"}, "actions": [], "changes": {"moves": {"a_01": move}}}
    assert plan_text.plan_lines(plan, NOW)[-1] == (
        "  moves a_01: host server_1, to server_2, by eve, at 22:13:20, due 22:14:20"
    )


def test_an_empty_plan_says_that_nothing_is_to_be_done() -> None:
    plan = {"run": "1", "revision": 2, "expires": NOW, "request": {"kind": "reconcile", "who": "eve"}, "actions": []}
    assert plan_text.plan_lines(plan, NOW) == [
        "run 1: reconcile for eve, over revision 2, valid until 22:13:20",
        "nothing to do: everything is as wanted",
    ]
    plan["request"] = {"kind": "pause"}
    assert plan_text.plan_lines(plan, NOW)[1] == "no host has anything to do"
