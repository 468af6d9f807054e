# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slip of a person: one wrong digit, one forgotten word, one key too many. It must not start, stop or move anything.

Sources: a confirmation that a node is dead is what starts its services elsewhere, and wrong ones are common
(ClusterLabs/pcs `stonith confirm` asks for the name again; kubernetes/kubernetes#65936; hashicorp/nomad#2185). Shells
and git propose the nearest command, and people press Return (git/git `help.autocorrect`; python/cpython#60346).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli import main, verbs
from monitor.cli.by_playbook import Event
from monitor.cli.places import Places
from monitor.core.client import api, commands, console
from monitor.core.model.request import KINDS
from monitor.core.model.sentences import did_you_mean, nearest
from monitor.core.plan import plan as planner
from monitor.core.requests import confirm
from monitor.judge.hosts import Signal
from tests.small_site import small_site
from tests.unit.embedded_site import ROOT
from tests.unit.monitor.brain_alone import WALL, Scene
from tests.unit.plan.fleet_in_memory import World

ACTING = {kind.name for kind in KINDS.values()} | {"host"}
PATIENCE = confirm.patience(small_site().settings)


def deployed() -> World:
    world = World(small_site(items=3))
    world.finish(world.begin("deploy"))
    return world


def reasons(world: World) -> list[str]:
    return [action["reason"] for action in world.plans[-1]["actions"] if action["action"] == "refuse"]


class TestConfirmDown:
    def test_of_a_host_that_answers_is_refused_with_when_and_what_would_follow(self) -> None:
        world = deployed()
        before = json.dumps(world.state, sort_keys=True)
        held = [name for name, claim in world.state["claims"].items() if claim["host"] == "server_2"]
        world.finish(world.begin("confirm_down", host="server_2"))
        [reason] = reasons(world)
        assert reason.startswith("server_2 answered at ") and "0.0 s ago, so it is not dead" in reason
        assert held and all("%s starts on server_" % name in reason for name in held)
        assert reason.endswith("--force")
        assert json.dumps(world.state, sort_keys=True) == before

    def test_says_what_would_find_no_room(self) -> None:
        world = deployed()
        for name in ("server_1", "server_3"):
            world.finish(world.begin("drain", host=name, force=True, at_a_time=9))
        world.finish(world.begin("confirm_down", host="server_2"))
        [reason] = reasons(world)
        assert "is drained" in reason

    def test_is_done_with_force_and_the_name_once_more(self) -> None:
        world = deployed()
        world.hosts["server_2"].die()
        heard = {"server_2": world.now}
        world.finish(world.begin("confirm_down", host="server_2", force=True, confirm="server_3"))
        assert reasons(world) == ["to force it, name the host once more (confirm: server_2)"]
        world.finish(world.begin("confirm_down", host="server_2", force=True, confirm="server_2", heard=heard))
        assert world.state["hosts"]["server_2"]["state"] == "down"

    def test_of_a_host_that_answered_a_moment_before_it_was_believed_down_is_done_at_once(self) -> None:
        world = deployed()
        world.hosts["server_2"].die()
        heard = world.now
        world.state["hosts"]["server_2"] = {"state": "down", "since": heard + 0.5, "by": "monitor"}
        world.finish(world.begin("confirm_down", host="server_2", heard={"server_2": heard}))
        assert reasons(world) == [] and world.state["hosts"]["server_2"]["by"] != "monitor"
        world.state["hosts"]["server_2"] = {"state": "down", "since": heard - 60.0, "by": "monitor"}
        world.finish(world.begin("confirm_down", host="server_2", heard={"server_2": world.now}))
        assert len(reasons(world)) == 1, "it answered since"

    def test_of_a_silent_host_is_done_at_once(self) -> None:
        world = deployed()
        world.hosts["server_2"].die()
        world.hosts["server_2"].on = False
        world.finish(world.begin("confirm_down", host="server_2"))
        assert world.state["hosts"]["server_2"]["state"] == "down"

    @pytest.mark.parametrize(("ago", "refused"), [(0.0, True), (PATIENCE - 0.1, True), (PATIENCE + 0.1, False)])
    @pytest.mark.parametrize("by", ["a run", "the monitor"])
    def test_counts_from_the_last_answer(self, ago: float, refused: bool, by: str) -> None:
        world = deployed()
        request: dict[str, Any] = {"kind": "confirm_down", "host": "server_2", "who": "eve", "why": "it burnt"}
        seen: dict[str, Any] = {}
        if by == "a run":
            seen["server_2"] = dict(world.hosts["server_2"].observe(), at=world.now - ago)
        else:
            request["heard"] = {"server_2": world.now - ago}
        made = planner.make_plan(world.site, world.state, 1, seen, request, world.now, "1", world.digests)
        assert bool(made.refusals) == refused

    def test_shows_its_plan_in_a_dry_run(self) -> None:
        world = deployed()
        request = {"kind": "confirm_down", "host": "server_2", "who": "eve", "why": "it burnt", "dry_run": True}
        seen = {name: host.observe() for name, host in world.hosts.items()}
        made = planner.make_plan(world.site, world.state, 1, seen, request, world.now, "1", world.digests)
        assert not made.refusals
        assert any("without --force this is refused" in action.reason for action in made.actions)
        assert any(action.kind == "start" for action in made.actions)

    def test_carries_what_the_monitor_heard(self) -> None:
        scene = Scene()
        scene.ask({"kind": "confirm_down", "host": "server_1"})
        scene.turn(20.0)
        [(_run, order)] = scene.orders
        assert order["request"]["heard"]["server_1"] == pytest.approx(WALL + 20.0)

    def test_carries_when_a_host_fell_silent(self) -> None:
        scene = Scene()
        scene.turn(10.0)
        scene.brain.line_changed("server_1", Signal.LOST, "no answer", 12.0)
        scene.ask({"kind": "confirm_down", "host": "server_1"})
        scene.turn(20.0)
        request = next(order["request"] for _run, order in scene.orders if "request" in order)
        assert request["heard"]["server_1"] < WALL + 20.0 - PATIENCE


class TestNames:
    @given(st.text("ab_-0123456789", min_size=1, max_size=10), st.lists(st.text("ab_-0123456789", max_size=10)))
    def test_that_differ_in_a_number_are_never_proposed(self, word: str, words: list[str]) -> None:
        def numbers(text: str) -> list[int]:
            return [int(part) for part in "".join(c if c.isdigit() else " " for c in text).split()]

        meant = nearest(word, words)
        assert meant == "" or numbers(meant) == numbers(word)

    @pytest.mark.parametrize(
        ("word", "words", "says"),
        [
            ("server_9", ["server_1", "server_2", "console_1"], "; there are server_1 and server_2"),
            ("scen2_srv_09", ["scen2_srv_01", "scen2_srv_02"], "; there are scen2_srv_01 and scen2_srv_02"),
            ("serevr_1", ["server_1", "server_2"], "; did you mean server_1?"),
            ("SERVER-1", ["server_1", "server_2"], "; did you mean server_1?"),
            ("scen2_srv_1", ["scen2_srv_01", "scen2_srv_11"], "; did you mean scen2_srv_01?"),
            ("2", ["01", "02"], "; did you mean 02?"),
            ("9", ["01", "02"], "; there are 01 and 02"),
            ("x", ["01", "02"], ""),
        ],
    )
    def test_are_answered_like_this(self, word: str, words: list[str], says: str) -> None:
        assert did_you_mean(word, words) == says


@pytest.mark.parametrize("word", ["stat", "tops", "log", "page", "strat", "stpo", "drian", "restrat", "opne", "deplyo"])
def test_no_command_that_acts_is_proposed_for_an_unknown_word(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([word, "scen2_srv_01"])
    told = capsys.readouterr().err
    assert ended.value.code == commands.USAGE
    line = next(line for line in told.splitlines() if "error:" in line)
    assert "there is no command %s" % word in line
    assert not any("did you mean %s" % name in line for name in ACTING)


def test_the_look_that_was_meant_is_proposed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["stauts"])
    assert "did you mean status?" in capsys.readouterr().err


class TestExitCodes:
    @pytest.mark.parametrize(
        ("status", "errors", "code"),
        [
            (422, [{"unknown": True}], commands.UNKNOWN),
            (422, [{"unknown": True}, {}], commands.USAGE),
            (422, [{"value": None}], commands.USAGE),
            (400, [], commands.USAGE),
            (404, [], commands.UNKNOWN),
            (403, [], commands.REFUSED),
            (503, [], commands.NO_ANSWER),
            (500, [], commands.FAILED),
        ],
    )
    def test_of_what_the_api_refuses(self, status: int, errors: list[Any], code: int) -> None:
        assert commands.code(api.Refused(status, "x", errors)) == code

    @pytest.mark.parametrize(
        ("action", "result", "code"),
        [
            ("plan", {"mistake": "refused"}, commands.REFUSED),
            ("plan", {"mistake": "unknown name"}, commands.UNKNOWN),
            ("plan", {}, commands.FAILED),
            ("site", {}, commands.USAGE),
        ],
    )
    def test_of_a_playbook_that_failed(self, action: str, result: dict[str, Any], code: int) -> None:
        failed = [Event("failed", "x", action, result, "why")]
        assert verbs.ended(Event("end", code=2), failed) == code

    @pytest.mark.parametrize(("result", "code"), [("running", commands.OK), ("failed", commands.FAILED)])
    def test_of_a_run_that_ended_well_while_an_instance_failed(
        self, result: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        events = [Event("task", "Plan", "plan"), Event("ok", "controller", "settle", {
            "results": {"scen2_srv_01": {"result": result}},
            "lost": ["scen2_srv_01"] if result == "failed" else []}), Event("end")]  # fmt: skip
        monkeypatch.setattr(verbs, "play", lambda *_unused, **_options: iter(events))
        options = argparse.Namespace(timeout=1.0, dry_run=False)
        assert verbs.run(options, Places(("x",), None), "deploy", {}) == code
        assert "planning ..." in capsys.readouterr().err  # long work is not silent, where there is no terminal

    def test_of_a_command_that_was_interrupted_says_what_goes_on(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        def interrupted(*_unused: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(verbs, "change", interrupted)
        assert main.main(["-i", str(tmp_path), "deploy"]) == 130
        assert "interrupted; what hosts or the monitor have begun goes on" in capsys.readouterr().err

    def test_are_in_the_help_of_both_command_lines_and_in_the_documentation(self) -> None:
        operations = (ROOT / "docs" / "operations.md").read_text()
        assert len({code for code, _words in commands.CODES}) == len(commands.CODES)
        for code, words in commands.CODES:
            assert "  %d  %s" % (code, words) in main.EPILOG
            assert "  %d  %s" % (code, words) in console.EPILOG
            assert "| %d | %s" % (code, words.split(";")[0].split(",")[0]) in operations


class TestWords:
    def test_an_error_without_a_subject_gets_its_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        errors = [{"field": "why", "message": "is missing", "value": None},
                  {"field": "host", "message": "there is no host x", "value": "x", "unknown": True}]  # fmt: skip
        commands.refusal(api.Refused(422, "x", errors))
        assert capsys.readouterr().err.splitlines() == ["--reason is missing", "there is no host x"]


class TestDryRun:
    @pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.by_command], ids=lambda kind: kind.name)
    def test_is_an_option_of_every_command_that_acts(self, kind: Any) -> None:
        parsed = main._parser("").parse_args([*_words(kind.example), "--dry-run"])
        assert parsed.dry_run

    def test_asks_the_monitor_for_the_plan_only(self) -> None:
        posted = []

        class Monitor(api.Remote):
            def post(self, path: str, body: Any, timeout: float) -> dict[str, Any]:
                posted.append(path)
                return {"ok": True, "said": [], "refused": False}

        assert commands.act({"kind": "stop"}, Monitor("/nowhere"), 1.0, dry_run=True) == commands.OK
        assert posted == ["/actions?dry_run=1"]


class TestDrain:
    def test_moves_one_after_the_other_unless_it_says_how_many(self) -> None:
        for more, leave in (({}, 1), ({"at_a_time": 9}, 2)):
            world = World(small_site(items=6))
            world.finish(world.begin("deploy"))
            world.finish(world.begin("drain", host="server_1", **more))
            plan = next(plan for plan in world.plans if plan["asked"]["kind"] == "drain")
            assert len([action for action in plan["actions"] if action["action"] == "stop"]) == leave

    def test_is_described_alike_everywhere(self) -> None:
        assert "empty: one" in (ROOT / "monitor/web/static/ask.js").read_text()
        assert "default: 1" in main._parser("").format_help() or "default: 1" in _help("drain")


def _words(example: str) -> list[str]:
    import shlex

    return shlex.split(example)


def _help(command: str) -> str:
    [commands_] = [a for a in main._parser("")._actions if a.dest == "verb"]
    text: str = commands_.choices[command].format_help()  # type: ignore[index,union-attr]
    return " ".join(text.split())
