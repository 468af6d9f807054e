# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster exec`: what is muster's and what is the command's, and what a terminal gets of its output."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from monitor.cli import by_sudo, execute, main
from monitor.cli.by_playbook import Event
from monitor.cli.places import UsageError
from monitor.core.model import execution

ONE = "02/data_processing"


@pytest.mark.parametrize(
    ("given", "words", "within"),
    [
        (["exec", ONE, "--", "ls", "-l", "--", "x"], ["ls", "-l", "--", "x"], 60),
        (["exec", ONE, "--within", "5", "--", "ls", "--within", "7"], ["ls", "--within", "7"], 5),
        (["exec", "--within", "5", ONE, "--", "exec", "-i", "x"], ["exec", "-i", "x"], 5),
        (["-i", "inventory/local", "exec", ONE, "--", "-c"], ["-c"], 60),
        (["exec", ONE, "ls"], ["ls"], 60),
        (["exec", ONE], [], 60),
    ],
)
def test_what_follows_the_dashes_is_the_commands(given: list[str], words: list[str], within: int) -> None:
    options = main._parsed(given)
    assert (options.verb, options.program, options.words, options.within) == ("exec", ONE, words, within)


def test_dashes_of_other_commands_are_theirs() -> None:
    assert main._parsed(["stop", "--reason", "exec", "--", "02"]).instances == ["02"]


@pytest.mark.parametrize(
    "given", [["exec", ONE, "--", "ls"], ["restart", ONE, "--arg", "x"], ["start", ONE, "--env=A=b"]]
)
def test_by_sudo_nothing_runs_but_what_the_site_describes(given: list[str]) -> None:
    with pytest.raises(UsageError, match="nothing runs but what the site describes"):
        by_sudo.refuse(main._parsed(given))
    by_sudo.refuse(main._parsed(["restart", ONE]))


def test_a_terminal_is_told_nothing_by_an_output() -> None:
    shown = execute._harmless("ok\tä\x1b[2J\r\n\u202e".encode() + b"\xff\n")
    assert shown == "ok\tä\\x1b[2J\n\\u202e\\xff\n".encode()


def test_the_trail_counts_the_arguments() -> None:
    assert execution.words(["/usr/bin/curl", "-u", "eve:secret"]) == "/usr/bin/curl with 2 arguments"
    assert execution.words(["ls"]) == "ls"
    assert execution.told({"code": 0, "why": "", "took": 0.25}) == "exited with 0 after 0.2 s"
    assert execution.told({"error": "server_2 is down"}) == "not run: server_2 is down"


def test_a_run_hands_on_what_came_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its last step fails with the command, so that a playbook does."""
    out = base64.b64encode(b"out\n").decode()
    came = {"code": 7, "why": "", "out": out, "err": "", "left_out": [0, 0], "took": 0.1}
    events = [Event("task", "Run it", "exec"), Event("ok", "server_1", "exec", {"came": came}),
              Event("failed", "server_1", "exec", {"came": came}, "exited with 7"), Event("end", code=2)]  # fmt: skip
    monkeypatch.setattr(execute, "play", lambda *_given, **_more: iter(events))
    places = SimpleNamespace(remote=None, need_inventory=lambda: ["inventory/local"], here=dict)
    options = main._parsed(["exec", ONE, "--", "false"])
    assert execute.execute(options, places) == 7  # type: ignore[arg-type]
    assert capsys.readouterr().out == "out\n"
    refused = [Event("failed", "controller", "exec", {}, "scen2_hci_01 does not run"), Event("end", code=2)]
    monkeypatch.setattr(execute, "play", lambda *_given, **_more: iter(refused))
    assert execute.execute(options, places) == execution.FAILED_CODE  # type: ignore[arg-type]
    assert "scen2_hci_01 does not run" in capsys.readouterr().err


def test_the_callback_passes_it_on() -> None:
    text = (Path(__file__).resolve().parents[3] / "plugins/callback/lines.py").read_text(encoding="utf-8")
    documentation = yaml.safe_load(text.split('DOCUMENTATION = """')[-1].split('"""')[0])
    assert "came" in documentation["options"]["result_keys"]["default"]
