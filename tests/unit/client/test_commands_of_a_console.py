# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of a console has every verb of the controller's that its people may use, with the same options."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from monitor.cli import main as controller
from monitor.core.client import console

ROOT = Path(__file__).resolve().parents[3]
# What needs the inventory, the state folder or the rights of an administrator.
ADMINISTRATOR = {"deploy", "check", "capture", "ledger", "adopt", "rotate-key", "demo", "exec", "manual"}
CONSOLE = {"page", "whoami"}  # what makes sense there only
# Options that need what a console does not have.
WITHOUT = {
    "--inventory", "-i", "--state-dir", "--fresh", "--last", "--every", "--deploy", "--from", "--verify", "--all",
    "--rates",
}  # fmt: skip


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [found] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {word for action in parser._actions for word in action.option_strings}


def test_a_console_has_every_verb_that_its_people_may_use() -> None:
    here, there = commands(controller._parser("")), commands(console._parser())
    assert set(here) - set(there) == ADMINISTRATOR
    assert set(there) - set(here) == CONSOLE


def test_each_verb_has_the_same_options() -> None:
    here, there = commands(controller._parser("")), commands(console._parser())
    for name in set(here) & set(there):
        assert options(here[name]) - options(there[name]) <= WITHOUT, name
        assert options(there[name]) <= options(here[name]), name


def test_the_documentation_names_what_a_console_lacks() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if "all verbs but those of an administrator" in line]
    assert set(re.findall(r"`([a-z-]+)`", line)) == ADMINISTRATOR
