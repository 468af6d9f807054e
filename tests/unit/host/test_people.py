# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command for the people of a host: placed by one call, as a whole or not at all; what check mode says of it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.core.host import install, people, relay
from monitor.core.host.machine import files
from monitor.core.model import answers
from plugins.plugin_utils import _agent_files

ROOT = Path(__file__).resolve().parents[3]
ME, MINE = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
SOURCES = {"client/console.py": "from ..model import words\ndef main():\n    print(words.SAID)\n    return 3\n",
           "model/words.py": "SAID = 'one'\n"}  # fmt: skip
Json = dict[str, Any]


class Console:
    """A host in a folder, and the request of the role."""

    def __init__(self, folder: Path) -> None:
        self.sockets = folder / "muster_api" / "console_1"
        self.library, self.command = folder / "muster_console", folder / "muster"
        self.request: Json = {
            "verb": "people", "host": {"host": "console_1", "root": str(folder / "root")}, "state": "present",
            "group": MINE, "user": ME, "command": str(self.command), "python": sys.executable,
            "library": str(self.library),
        }  # fmt: skip

    def install(self, sources: dict[str, str] | None = None, **more: Any) -> Json:
        bundle = _agent_files.bundle(SOURCES if sources is None else sources)
        return people.people({**self.request, "files": bundle, **more})

    def run(self) -> str:
        done = subprocess.run([self.command], env={}, cwd="/", text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        return done.stdout if done.returncode == 3 else "%d: %s" % (done.returncode, done.stdout)

    def picture(self) -> dict[str, tuple[str, int, bytes]]:
        """Every path below the folder with its rights and content."""
        found = {}
        for path in self.library.parent.rglob("*"):
            facts = path.lstat()
            found[str(path)] = (oct(facts.st_mode), facts.st_mtime_ns, b"" if path.is_dir() else path.read_bytes())
        return found


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setattr(relay, "SHARED", str(tmp_path / "muster_api"))
    return Console(tmp_path)


def test_it_is_placed_with_the_right_rights_and_a_second_call_changes_nothing(console: Console) -> None:
    before = os.umask(0o077)
    try:
        told = console.install(check=True, diff=True)
        assert not list(console.library.parent.iterdir())
        done = console.install(diff=True)
    finally:
        os.umask(before)
    assert told == done == answers.checked("people", done)
    assert console.run() == "one\n"
    modes = {path: stat.S_IMODE(os.stat(path).st_mode) for path in console.picture()}
    assert modes.pop(str(console.sockets)) == 0o2750
    assert modes.pop(str(console.command)) == 0o755
    assert {mode for path, mode in modes.items() if os.path.isdir(path)} == {0o755}
    assert {mode for path, mode in modes.items() if not os.path.isdir(path)} == {0o644}
    names = {entry["after_header"]: entry["before_header"] for entry in done["diff"]}
    assert names == {"console_1: muster_console/client/console.py": "/dev/null",
                     "console_1: muster_console/model/words.py": "/dev/null",
                     str(console.command): str(console.command)}  # fmt: skip
    pictured = console.picture()
    assert console.install(diff=True) == {"changed": False, "did": [], "warnings": []}
    assert console.picture() == pictured


def test_it_starts_compiled(console: Console) -> None:
    console.install()
    [source] = console.library.rglob("words.py")
    compiled = source.parent / "__pycache__" / ("words.%s.pyc" % sys.implementation.cache_tag)
    source.write_text("SAID = 'not read'\n")
    assert compiled.exists() and console.run() == "one\n"


def test_another_version_replaces_it_and_only_the_one_before_stays(console: Console) -> None:
    versions = [{**SOURCES, "model/words.py": "SAID = '%d'\n" % number} for number in range(3)]
    console.install({**SOURCES, "report/old.py": "x = 1\n"})
    told = console.install(versions[0], check=True)
    assert told["did"] == ["wrote model/words.py of the command", "left out report/old.py of the command",
                           "wrote %s" % console.command]  # fmt: skip
    assert console.run() == "one\n"
    for number, version in enumerate(versions):
        assert console.install(version)["changed"]
        assert console.run() == "%d\n" % number
        assert len(list(console.library.iterdir())) == 2
        assert console.install(version)["changed"] is False
    assert not list(console.library.rglob("old.py"))


def test_what_the_role_placed_file_by_file_is_replaced(console: Console) -> None:
    former = {**SOURCES, "report/old.py": "x = 1\n"}
    for name, text in former.items():
        path = console.library / "muster_console" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    console.command.write_text(people.COMMAND % {"python": sys.executable, "mark": people.MARK, "host": "console_1",
                                                 "folder": '"%s"' % console.library})  # fmt: skip
    console.command.chmod(0o755)
    assert console.run() == "one\n"
    said = console.install({**SOURCES, "model/words.py": "SAID = 'two'\n"})["did"]
    assert "wrote model/words.py of the command" in said and "left out report/old.py of the command" in said
    assert console.run() == "two\n"
    console.install({**SOURCES, "model/words.py": "SAID = 'three'\n"})
    assert not (console.library / "muster_console").exists()


@pytest.mark.parametrize("what", ["text", "mode", "gone", "compiled", "folder", "command", "sockets"])
def test_what_somebody_changed_is_put_right_and_nothing_else_is_touched(console: Console, what: str) -> None:
    console.install()
    pictured = console.picture()
    [words] = console.library.rglob("words.py")
    touched = {"text": words, "mode": words, "gone": words, "compiled": words, "folder": words.parent,
               "command": console.command, "sockets": console.sockets}[what]  # fmt: skip
    {
        "text": lambda: words.write_text("SAID = 'changed'\n"),
        "mode": lambda: words.chmod(0o666),
        "gone": words.unlink,
        "compiled": next((words.parent / "__pycache__").glob("words.*")).unlink,
        "folder": lambda: words.parent.chmod(0o777),
        "command": lambda: console.command.write_text(people.MARK),
        "sockets": lambda: console.sockets.chmod(0o755),
    }[what]()
    told = console.install(check=True)
    [sentence] = told["did"]
    assert str(touched) in sentence
    assert console.install() == told
    assert {path: facts[::2] for path, facts in console.picture().items()} == {
        path: facts[::2] for path, facts in pictured.items()}  # fmt: skip
    assert console.run() == "one\n"
    assert console.install()["changed"] is False


def test_a_call_that_is_killed_leaves_the_version_before(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write it is killed at, or, for the disk, fails at."""
    console.install()
    newer = {**SOURCES, "model/words.py": "SAID = 'two'\n"}
    original, left = files._write_new, 0

    def write(path: str, data: bytes, mode: int) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            os._exit(1)
        return original(path, data, mode)

    monkeypatch.setattr(files, "_write_new", write)
    ends = []
    for before in range(8):
        left = before
        child = os.fork()
        if child == 0:
            console.install(newer)
            os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        assert console.run() == ("two\n" if ends[-1] == 0 else "one\n"), before
    assert ends == [1, 1, 1, 1, 1, 1, 0, 0], "two sources, three packages, the command"
    assert len(list(console.library.iterdir())) == 2, "nothing of those that were killed is left"


def test_who_may_not_be_let_in_is_a_sentence_and_nothing_is_touched(console: Console) -> None:
    console.command.write_text("#!/bin/sh\n")
    assert console.install() == {"error": "%s is not a file of muster on console_1: give another path as "
                                          "monitor_console_command" % console.command}  # fmt: skip
    console.command.unlink()
    assert console.install(group="nobody_has_this") == {
        "error": "the group nobody_has_this does not exist on console_1: make it there"}  # fmt: skip
    assert console.install(user="nobody_is_this") == {"error": "there is no account nobody_is_this on console_1"}
    assert not list(console.library.parent.iterdir())
    told = console.install(user="nobody_is_this", check=True)
    assert told["changed"] and "made %s" % console.sockets in told["did"]


def test_absent_leaves_nothing_but_what_is_others(console: Console) -> None:
    console.install()
    other = console.sockets.parent / "console_2"
    other.mkdir()
    told = console.install(state="absent", check=True)
    assert told["did"] == ["removed %s" % path for path in (console.sockets, console.library, console.command)]
    assert console.install(state="absent") == told
    assert sorted(console.library.parent.rglob("*")) == [other.parent, other]
    assert console.install(state="absent")["changed"] is False
    other.rmdir()
    console.command.write_text("#!/bin/sh\n")
    assert console.install(state="absent")["changed"] is False
    assert list(console.library.parent.iterdir()) == [console.command], "a command of somebody else stays"


def test_the_real_one_runs_without_the_checkout(console: Console) -> None:
    names = yaml.safe_load((ROOT / "roles/monitor/vars/main.yml").read_text())["monitor_console_files"]
    assert console.install(_agent_files.of_core(names))["changed"]
    done = subprocess.run([console.command, "--help"], env={}, cwd="/", text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "open the HCI of item 02 on this console" in done.stdout


def test_every_folder_above_a_file_is_a_package() -> None:
    assert install.folders_of(["a/b/c.py", "d.py"]) == ["", "a", "a/b"]
