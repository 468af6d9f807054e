# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs in rotated files: the last lines, what is written next, the run before the last start; and odd bytes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host import agent
from monitor.core.host.logs import files, history, marks, text, times
from monitor.core.host.logs.serve import Stream
from monitor.core.host.logs.sources import Wanted, Wrong

HOST = {"host": "h", "service_manager": "supervisor"}


def log(root: Path, program: str = "bus", instance: str = "app_01") -> Path:
    path = root / "log" / instance / (program + ".log")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def rotate(path: Path, backups: int = 3) -> None:
    """As supervisord does."""
    for number in range(backups - 1, 0, -1):
        if path.with_name("%s.%d" % (path.name, number)).exists():
            path.with_name("%s.%d" % (path.name, number)).rename(path.with_name("%s.%d" % (path.name, number + 1)))
    path.rename(path.with_name(path.name + ".1"))
    path.touch()


def add(path: Path, *lines: str) -> None:
    with path.open("a") as handle:
        handle.writelines(line + "\n" for line in lines)


def ask(root: Path, *programs: str, **more: Any) -> list[str]:
    sources = [{"instance": "app_01", "program": name} for name in programs or ("bus",)]
    host = {**HOST, "root": str(root)}
    answer = agent.handle({"verb": "log", "host": host, "sources": sources, "lines": 100, **more})
    assert "error" not in answer, answer
    return [line.get("t", line.get("note")) for line in answer["lines"]]


def test_the_last_lines_come_from_all_parts_in_their_order(tmp_path: Path) -> None:
    path = log(tmp_path)
    for number in range(3):
        add(path, *("line %d of part %d" % (line, number) for line in range(4)))
        rotate(path)
    add(path, "the newest")
    assert ask(tmp_path, lines=6) == ["line 3 of part 1", *("line %d of part 2" % n for n in range(4)), "the newest"]
    assert len(ask(tmp_path)) == 13


def test_programs_are_merged_by_the_time_that_their_lines_show(tmp_path: Path) -> None:
    day = time.strftime("%Y-%m-%d")
    add(log(tmp_path, "bus"), day + " 00:00:01 one", "  goes on", day + "T00:00:05 four")
    add(log(tmp_path, "core"), day + " 00:00:02,500 two", "[%s 00:00:03.100] three" % day)
    words = [line.split()[-1] for line in ask(tmp_path, "bus", "core")]
    assert words == ["one", "on", "two", "three", "four"]


def test_since_and_a_word_choose_lines(tmp_path: Path) -> None:
    now = time.time()
    for ago, words in ((700, "old Alarm"), (300, "alarm raised"), (30, "all quiet"), (5, "an ALARM again")):
        add(log(tmp_path), "%s %s" % (time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(now - ago)), words))
    assert [line.split(" ", 1)[1] for line in ask(tmp_path, since=now - 600)] == [
        "alarm raised", "all quiet", "an ALARM again"]  # fmt: skip
    assert len(ask(tmp_path, word="alarm")) == 3
    assert len(ask(tmp_path, word="ALARM")) == 1


def test_a_word_is_found_far_back(tmp_path: Path) -> None:
    path = log(tmp_path)
    add(path, "here it is", *("x" * 100 for _unused in range(20000)))
    rotate(path)
    assert ask(tmp_path, word="here") == ["here it is"]


def test_the_run_before_the_last_start_is_told_apart_also_after_rotations(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path = log(tmp_path)
    for epoch in (1, 2, 3):
        marks.add(str(tmp_path), "app_01", epoch, ["bus"])
        add(path, "run %d begins" % epoch, "run %d ends" % epoch)
        rotate(path)
        time.sleep(0.01)
    assert ask(tmp_path, previous=True) == ["run 2 begins", "run 2 ends"]
    for _unused in range(4):
        add(path, "more")
        rotate(path)
    assert ask(tmp_path, previous=True) == ["its lines are not there any more"]


def test_marks_stay_few(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for epoch in range(2000):
        marks.add(str(tmp_path), "app_01", epoch, ["bus", "core"])
    assert (tmp_path / "run/logs/app_01").stat().st_size < 40_000
    assert [mark.epoch for mark in marks.read(str(tmp_path), "app_01")["bus"]][-2:] == [1998, 1999]


def test_a_follower_goes_on_over_rotations_and_from_its_place(tmp_path: Path) -> None:
    path = log(tmp_path)
    add(path, "zero")
    reader = files.Follower(str(path), (path.stat().st_ino, path.stat().st_size))
    add(path, "one")
    assert [line for line, _more in reader.lines(1000)] == [b"one"]
    with path.open("a") as handle:
        handle.write("tw")
    assert reader.lines(1000) == []
    with path.open("a") as handle:
        handle.write("o\n")
    rotate(path)
    add(path, "three")
    seen = [line for _turn in range(3) for line, _more in reader.lines(1000)]
    assert seen == [b"two", b"three"]
    place = reader.place()
    reader.close()
    add(path, "four")
    rotate(path)
    add(path, "five")
    later = files.Follower(str(path), place)
    assert [line for _turn in range(3) for line, _more in later.lines(1000)] == [b"four", b"five"]


def test_a_line_that_a_rotation_cuts_in_two_is_followed_as_one(tmp_path: Path) -> None:
    path = log(tmp_path)
    path.write_text("zero\nhalf of ")
    answer = history.read(Wanted({"host": {**HOST, "root": str(tmp_path)}, "sources": [
        {"instance": "app_01", "program": "bus"}], "lines": 9, "follow": True}))  # fmt: skip
    rotate(path)
    reader = files.Follower(str(path), answer.places["0"])
    assert [line for _turn in range(2) for line, _more in reader.lines(1000)] == []
    with path.open("a") as handle:
        handle.write("a ")
    assert reader.lines(1000) == []
    place = reader.place()
    reader.close()
    with path.open("a") as handle:
        handle.write("line\n")
    later = files.Follower(str(path), place)
    assert [line for _turn in range(3) for line, _more in later.lines(1000)] == [b"half of a line"]
    later.close()


def test_a_moment_to_come_is_not_when_a_line_was_written(tmp_path: Path) -> None:
    day = time.strftime("%Y-%m-%d")
    add(log(tmp_path, "bus"), day + " 00:00:01 one", "2099-01-31 00:00:00 is when it ends")
    add(log(tmp_path, "core"), day + " 00:00:02 two")
    assert [line.split()[-1] for line in ask(tmp_path, "bus", "core")] == ["one", "ends", "two"]


def test_a_time_of_day_in_the_run_before_is_of_the_day_of_that_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    marks.add(str(tmp_path), "app_01", 1, ["bus"])
    started = time.time() - 30 * 3600
    written = time.strftime("%H:%M:%S", time.localtime(started - 60))
    add(log(tmp_path), written + " old")
    facts = log(tmp_path).stat()
    with (tmp_path / "run/logs/app_01").open("a") as handle:
        handle.write(json.dumps({"bus": [started, 2, facts.st_ino, facts.st_size]}) + "\n")
    add(log(tmp_path), time.strftime("%H:%M:%S") + " new")
    assert ask(tmp_path, previous=True, until=started) == [written + " old"]
    assert ask(tmp_path, previous=True, since=started) == []


def test_what_is_not_looked_through_is_said(tmp_path: Path) -> None:
    add(log(tmp_path), "here it is", *("x" * 1000 for _unused in range(18000)))
    assert ask(tmp_path, word="here") == ["only its last 16 MiB were looked through"]


def test_a_follower_that_is_too_late_says_so(tmp_path: Path) -> None:
    path = log(tmp_path)
    add(path, "zero")
    reader = files.Follower(str(path), (path.stat().st_ino, 0))
    assert len(reader.lines(1000)) == 1
    for _unused in range(5):
        rotate(path, backups=1)
        add(path, "x")
    reader.lines(1000)
    assert "rotated away" in reader.lost
    path.write_text("")
    add(path, "y" * 2_000_000, "last")
    reader.lost = ""
    seen = [line for _turn in range(20) for line, _more in reader.lines(100_000)]
    assert seen[-1] == b"last" and "faster" in reader.lost


def test_what_is_no_text_is_shown_as_such() -> None:
    assert text.shown(b"\x1b[2J\x1b]0;owned\x07ok\r\n") == ("\\x1b[2J\\x1b]0;owned\\x07ok", 0)
    assert text.shown(b"caf\xc3\xa9 \xff\xfe") == ("café \\xff\\xfe", 0)
    assert text.shown("\u202eevil\u200b".encode()) == ("\\u202eevil\\u200b", 0)
    shown, left = text.shown(b"a" * 3999 + "é".encode() * 10)
    assert len(shown) == 3999 and left == 19


def test_a_line_without_an_end_is_held_back_within_bounds() -> None:
    cutter = text.Cutter()
    for _unused in range(100):
        assert cutter.lines(b"x" * 100_000) == []
    [(line, more)] = cutter.lines(b"\n")
    assert len(line) == 8000 and len(line) + more == 10_000_000


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (b"2030-01-31 14:00:05 x", 0), (b"2030-01-31T14:00:05,250 x", 0.25), (b"[2030/01/31 14:00:05] x", 0),
        (b"INFO 2030-01-31 14:00:05.5: x", 0.5),
        (b"[2439] 2030/01/31 14:00:05.125 [INF] x", 0.125), (b"Jan 31 14:00:05 host x", 0), (b"14:00:05 x", 0),
        (b'{"at": 1896098405.125, "event": "x"}', 0.125),
    ],
)  # fmt: skip
def test_the_time_of_a_line_is_read_in_many_ways(line: bytes, after: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert times.written(line, 1896098405.0 + 20) == pytest.approx(1896098405 + after)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_of_day_before_a_night_with_a_change_of_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        near = time.mktime((2030, 3, 31, 10, 0, 0, 0, 0, -1))
        assert times.written(b"23:00:00 x", near) == time.mktime((2030, 3, 30, 23, 0, 0, 0, 0, -1))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("line", [b"", b"x", b"25:00:00", b"2030-13-45 00:00:00 x", b"14 apples", b"\xff\xff"])
def test_a_line_without_a_time_has_none(line: bytes) -> None:
    assert times.written(line, time.time()) is None


def test_nothing_but_logs_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    log(tmp_path).symlink_to(secret)
    os.mkfifo(log(tmp_path, "pipe"))
    assert ask(tmp_path, "bus", "pipe") == []
    reader = files.Follower(str(log(tmp_path)), None)
    assert reader.lines(100) == []
    for name in ("../../secret", "..", "", "a\x00b", 3):
        sources = [{"instance": "app_01", "program": name}]
        answer = agent.handle({"verb": "log", "host": {**HOST, "root": str(tmp_path)}, "sources": sources, "lines": 1})
        assert "no name" in answer["error"], name


@pytest.mark.parametrize("odd", [
    {"after": "ab"}, {"after": 1}, {"after": {"f": {"0": {"x": 1}}}}, {"after": {"f": {"0": [float("inf"), 1]}}},
    {"after": {"f": {"0": [1, -1]}}}, {"after": {"f": {"0": []}}}, {"after": {"f": 1}}, {"lines": "x"}, {"over": "x"},
    {"lines": float("inf")}, {"since": "x"}, {"ended": "ab"},
])  # fmt: skip
def test_a_request_of_an_odd_shape_is_refused_and_ends_nothing_else(odd: dict[str, Any], tmp_path: Path) -> None:
    """One process reads the logs of a host for all who look at them."""
    sources = [{"instance": "app_01", "program": "bus"}]
    request = {"host": {**HOST, "root": str(tmp_path)}, "sources": sources, "lines": 1, "follow": True}
    with pytest.raises(Wrong):
        Stream(Wanted({**request, **odd}))
