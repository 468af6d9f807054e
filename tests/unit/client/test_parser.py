# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that there is not: both command lines say what there is, and propose none that acts."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

import pytest

from monitor.cli import main
from monitor.core.client import answers, commands, console
from monitor.core.model.request import KINDS

BOTH = [main.main, console.main]
Line = Callable[[Sequence[str]], int]


def said(line: Line, words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        line(words.split())
    assert ended.value.code == commands.USAGE
    return capsys.readouterr().err.partition(": error: ")[2]


@pytest.mark.parametrize("line", BOTH)
@pytest.mark.parametrize("word", ["opne", "drian", "restrat", "exce", "withdrwa", "rolout"])
def test_a_word_like_an_act_shows_every_command_and_proposes_none(
    line: Line, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(line, word, capsys)
    assert text.startswith("there is no command %s (muster --help shows all)\n" % word)
    _sentence, looks, acts = re.split(r"\n  to (?:look|act): ", text)
    assert {"status", "why", "logs", "events"} <= set(looks.split())
    assert {"open", "drain", "host", "rollout", "withdraw"} <= set(acts.split())
    acting = {(kind.command or kind.name).split()[0] for kind in KINDS.values()}
    assert not acting & set(looks.split()) and "exec" not in looks.split()


@pytest.mark.parametrize("line", BOTH)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("stauts", "there is no command stauts; did you mean status? (muster --help shows all)\n"),
        ("host drian", "there is no command host drian; there is confirm-down\n"),
        ("drill bgin server_1", "there is no command drill bgin; there are begin and end\n"),
        ("rollout stats", "there is no command rollout stats; did you mean status?\n"),
        ("rollout puase", "there is no command rollout puase; there are status, pause, resume, abort and revert\n"),
    ],
)
def test_a_look_is_proposed_and_a_second_word_names_what_there_is(
    line: Line, words: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(line, words, capsys) == says


def test_another_word_that_is_wrong_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(main.main, "completion bsh", capsys).startswith("argument shell: ")


@pytest.mark.parametrize("line", BOTH)
@pytest.mark.parametrize("words", [
    ["stop", ""], ["start", "01", " "], ["explain", ""], ["logs", ""], ["ps", ""], ["why", ""], ["drain", ""],
    ["signal", "scen2_srv_01/x", ""], ["drill", "begin", ""],
])  # fmt: skip
def test_a_name_that_is_empty_is_a_wrong_command(
    line: Line, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        line(words)
    assert ended.value.code == commands.USAGE
    assert capsys.readouterr().err.rstrip().endswith("is empty; is a variable of your shell not set?")


@pytest.mark.parametrize("written", ["server_1", "server_1=nan", "server_1=inf", "server_1=x", "=5", ""])
def test_a_load_of_a_what_if_is_a_host_and_a_number(written: str) -> None:
    names = ("down", "up", "drain", "undrain", "add_item", "remove_item")
    options = argparse.Namespace(**dict.fromkeys(names), load=[written])
    with pytest.raises(answers.NoAssumption, match="must be HOST=PERCENT"):
        answers.assumptions(options)
