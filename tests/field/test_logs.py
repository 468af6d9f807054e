# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that others could not show: cut in the middle of a character, rotated while they are followed, of no text.

Sources: Supervisor/supervisor#1693 and #1203 (the beginning of what is shown is cut within a character, and all of it
is garbled), Supervisor/supervisor#1485 (a byte that is no text ends the answer), nxadm/tail#28 and
nomad-driver-podman#26 (the end of a part is lost at a rotation, or nothing more comes after a restart),
moby/moby#30137 and portainer/portainer#1666 (control characters reach terminal and browser).
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from monitor.core.host import agent
from monitor.core.host.logs import files, text
from monitor.web.logs import feed

HOST = {"host": "h", "service_manager": "supervisor"}


def ask(root: Path, **more: object) -> list[str]:
    sources = [{"instance": "app_01", "program": "bus"}]
    answer = agent.handle({"verb": "log", "host": {**HOST, "root": str(root)}, "sources": sources, **more})
    return [line["t"] for line in answer["lines"]]


def log(root: Path) -> Path:
    path = root / "log" / "app_01" / "bus.log"
    path.parent.mkdir(parents=True)
    return path


def test_what_is_shown_begins_with_a_whole_line_of_whole_characters(tmp_path: Path) -> None:
    line = "측정값이 너무 높습니다 %05d"
    log(tmp_path).write_text("".join(line % number + "\n" for number in range(20000)))
    assert ask(tmp_path, lines=3000) == [line % number for number in range(17000, 20000)]
    shown, _left = text.shown(("x" + "측" * 3000).encode())
    assert "\\x" not in shown and shown.endswith("측")


def test_one_bad_byte_costs_nothing_but_itself(tmp_path: Path) -> None:
    log(tmp_path).write_bytes(b"before\nhere \xc1\x1c it is\nafter\n\x00\x00\x00\n")
    assert ask(tmp_path, lines=10) == ["before", "here \\xc1\\x1c it is", "after", "\\x00\\x00\\x00"]


def test_nothing_is_lost_in_rotations_while_it_is_followed(tmp_path: Path) -> None:
    path = log(tmp_path)
    path.touch()
    reader = files.Follower(str(path), (path.stat().st_ino, 0))
    over = threading.Event()

    def write() -> None:
        for number in range(5000):
            with path.open("a") as handle:
                handle.write("line %d\n" % number)
            if number % 97 == 96:
                for part in range(4, 0, -1):
                    older = path.with_name("bus.log.%d" % part)
                    if older.exists():
                        older.rename(path.with_name("bus.log.%d" % (part + 1)))
                path.rename(path.with_name("bus.log.1"))
                path.touch()
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[bytes] = []
    quiet = 0
    while quiet < 20:
        found = reader.lines(1 << 16)
        seen += [line for line, _more in found]
        quiet = 0 if found else quiet + over.is_set()
        time.sleep(0)
    writer.join()
    if not reader.lost:
        assert seen == [b"line %d" % number for number in range(5000)]
    numbers = [int(line.split()[1]) for line in seen]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 4999


def test_a_host_cannot_send_orders_to_a_terminal() -> None:
    """A host that does not escape what it sends is not trusted to."""
    for words in ("\x1b]0;owned\x07", "\x9b2J", "\u202egnp.exe", "\x1b[31mred", "a\nb\rc"):
        made = feed.clean({"s": 0, "at": 1.0, "t": words}, [0])
        assert made is not None
        assert not set(made["text"]) & set("\x1b\x07\x9b\u202e\n\r")
    assert feed.clean({"s": 1, "t": "x"}, [0]) is None and feed.clean("x", [0]) is None
    made = feed.clean({"s": 0, "at": float("nan"), "t": "y" * 10**6}, [0])
    assert made is not None and made["at"] is None and len(made["text"]) <= feed.LONGEST


def test_a_name_that_is_another_files_by_now_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer rotates between the look at the parts and the opening of one: a whole part was left out, unsaid."""
    path = log(tmp_path)
    path.write_text("line 0\n")
    reader = files.Follower(str(path), (path.stat().st_ino, 0))
    looked = files.parts
    numbers = iter(range(1, 4))

    def rotate() -> None:
        for part in range(4, 0, -1):
            older = path.with_name("bus.log.%d" % part)
            if older.exists():
                older.rename(path.with_name("bus.log.%d" % (part + 1)))
        path.rename(path.with_name("bus.log.1"))
        path.write_text("line %d\n" % next(numbers))

    def meanwhile(name: str) -> list[files.Part]:
        found = looked(name)
        if len(found) == 2:
            rotate()
        return found

    assert [line for line, _more in reader.lines(100)] == [b"line 0"]
    rotate()
    monkeypatch.setattr(files, "parts", meanwhile)
    seen = [line for _unused in range(4) for line, _more in reader.lines(100)]
    assert (seen, reader.lost) == ([b"line 1", b"line 2"], "")
