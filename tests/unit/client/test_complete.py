# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What shells complete: every option and subcommand of both command lines, and the names of the site; real shells."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from monitor.cli import main
from monitor.core.client import complete, console
from monitor.core.client.manual import page
from monitor.core.model.version import VERSION

ROOT = Path(__file__).resolve().parents[3]
STATUS = {
    "items": [{"item": "01"}, {"item": "02"}],
    "instances": {"scen2_srv_01": {}, "scen2_hci_01": {}},
    "hosts": [{"host": "server_1"}, {"host": "console_1"}],
    "requests": [{"id": "5f0c21d9a7b3e842"}],
}
PARSERS = {"controller": main._parser(""), "console": console._parser()}


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sta", ["start", "status"]),
        ("stop |", ["01", "02", "scen2_hci_01", "scen2_srv_01"]),
        ("stop 01 |", ["02", "scen2_hci_01", "scen2_srv_01"]),
        ("open 02 --console c", ["console_1"]),
        ("open 02 --con", ["--console"]),
        ("site |", ["start", "stop"]),
        ("site st", ["start", "stop"]),
        ("withdraw |", ["5f0c21d9a7b3e842"]),
        ("drill |", ["begin", "end"]),
        ("drill begin s", ["server_1"]),
        ("drill end |", ["01", "02", "console_1", "server_1"]),
        ("rollout r", ["resume", "revert"]),
        ("what-if --down=s", ["--down=server_1"]),
        ("what-if --down = s", ["server_1"]),
        ("what-if --down =", ["console_1", "server_1"]),
        ("--timeout 3 drain |", ["console_1", "server_1"]),
        ("pause 02 --why |", []),
        ("apply |", [complete.AS_FILES]),
        ("completion b", ["bash"]),
        ("status -- 0", ["01", "02"]),
        ("nonsense |", []),
        ("status --nonsense |", ["01", "02"]),
    ],
)  # fmt: skip
def test_words_that_may_stand_there(parser: argparse.ArgumentParser, line: str, expected: list[str]) -> None:
    if line.startswith("--timeout") and parser is PARSERS["console"]:
        line = line.replace("--timeout 3 ", "")
    words = ["" if word == "|" else word for word in line.split()]
    assert complete.candidates(parser, words, STATUS) == expected
    assert complete.candidates(parser, words, {}) == [w for w in expected if w[-1] not in "12"]


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_every_command_and_option_is_offered(parser: argparse.ArgumentParser) -> None:
    [commands] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    assert complete.candidates(parser, [""], STATUS) == sorted(commands.choices)
    for name, command in commands.choices.items():
        if not any(isinstance(action, argparse._SubParsersAction) for action in command._actions):
            offered = set(complete.candidates(parser, [name, "--"], STATUS))
            assert offered == {o for o in command._option_string_actions if o.startswith("--")}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A `muster` that completes over `STATUS`."""
    path = tmp_path / "muster"
    path.write_text(
        "#!%s\nimport sys\nsys.path.insert(0, %r)\n"
        "from tests.unit.client.test_complete import STATUS\nfrom monitor.cli import main\n"
        "from monitor.core.client import complete\nassert sys.argv[1:3] == ['complete', '--']\n"
        "print('\\n'.join(complete.candidates(main._parser(''), sys.argv[3:], STATUS)))\n"
        % (ROOT / ".venv/bin/python", str(ROOT))
    )
    path.chmod(0o755)
    return path


def shell(name: str, code: str, program: Path) -> list[str]:
    if shutil.which(name) is None:
        pytest.skip("%s is not installed" % name)
    script = program.with_name("script")
    script.write_text(complete.SCRIPTS[name])
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    done = subprocess.run(
        [name, *flags, "-c", code % {"script": script, "program": program}], capture_output=True, text=True, timeout=60,
        env={"PATH": "%s:/usr/bin:/bin" % program.parent, "HOME": str(program.parent)},
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_bash(program: Path) -> None:
    code = """source %(script)s
    ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _muster; printf '%%s\\n' "${COMPREPLY[@]}"; }
    ask muster stop 0; ask muster drain ''; ask muster what-if --down = s"""
    assert shell("bash", code, program) == ["01", "02", "console_1", "server_1", "server_1"]


def test_zsh(program: Path) -> None:
    code = """compdef() { :; }; compadd() { print -l -- "${(@)found}"; }
    source %(script)s; words=(%(program)s drain ''); CURRENT=3; _muster"""
    assert shell("zsh", code, program) == ["console_1", "server_1"]


def test_fish(program: Path) -> None:
    code = "source %(script)s; complete -C 'muster drain '; complete -C 'muster sta'"
    assert shell("fish", code, program) == ["console_1", "server_1", "start", "status"]


def test_the_version_is_that_of_the_collection() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == VERSION


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_the_manual_page_has_every_command_and_no_warning() -> None:
    roff = page(main._parser(""))
    done = subprocess.run(
        ["man", "--warnings", "-l", "-"], input=roff, capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "200"},
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    for words in ("muster rollout", "muster site stop", "--at-a-time N", "EXIT CODES", "muster %s" % VERSION):
        assert words in done.stdout, words
