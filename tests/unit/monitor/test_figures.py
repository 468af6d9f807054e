# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of programs over time: what is kept, what is read back, and how fast it grows."""

from __future__ import annotations

import json
import os
import pty
import sys
import time
from pathlib import Path

import pytest

from monitor.core.client import figures as client_figures
from monitor.core.client.figures import top_lines
from monitor.core.report import trend
from monitor.web.figures.segments import COLUMNS, Segments
from monitor.web.figures.summary import summary

NAMES = ["a/bus", "a/work", "b/bus"]
POINT = (0.5, 1048576.0, 4.0, 12.0, 60.0)


def kept(folder: Path, moments: int, segments: Segments, begin: float = 1000.0) -> None:
    for number in range(moments):
        segments.add(begin + 60 * number, NAMES, {"a/work": (number, *POINT[1:])})


def test_what_is_kept_is_read_back_and_what_was_not_known_is_left_out(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "figures")
    segments.add(1000.0, NAMES, {"a/work": (None, *POINT[1:])})
    segments.add(1060.0, NAMES, {})
    segments.add(1120.0, NAMES, {"a/work": POINT, "b/bus": POINT})
    assert segments.read("a/work", 0.0) == [[1000.0, None, *POINT[1:]], [1120.0, *POINT]]
    assert segments.read("a/work", 1100.0) == [[1120.0, *POINT]]
    assert segments.read("b/bus", 0.0) == [[1120.0, *POINT]]
    assert segments.read("a/bus", 0.0) == segments.read("nobody", 0.0) == []
    modes = [os.stat(path).st_mode & 0o777 for path in (tmp_path / "figures", *(tmp_path / "figures").iterdir())]
    assert modes == [0o700, 0o600]


def test_a_full_segment_and_other_programs_begin_a_new_one_and_old_ones_are_removed(tmp_path: Path) -> None:
    segments = Segments(tmp_path, kept=600.0, rows=5)
    kept(tmp_path, 40, segments)
    assert len(list(tmp_path.iterdir())) == 3
    assert [point[1] for point in segments.read("a/work", 0.0)] == [float(n) for n in range(25, 40)]
    segments.add(3400.0, ["c/bus"], {"c/bus": POINT})
    assert len(segments.read("c/bus", 0.0)) == 1
    assert segments.read("a/work", 0.0), "the programs of before are not forgotten at once"


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    segments = Segments(tmp_path, most_bytes=2000, rows=5)
    kept(tmp_path, 100, segments)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000
    assert segments.read("a/work", 0.0)[-1][1] == 99.0


@pytest.mark.parametrize("torn", [1, 7, 60])
def test_a_row_that_was_torn_by_a_crash_is_not_read_and_not_written_to(tmp_path: Path, torn: int) -> None:
    kept(tmp_path, 3, Segments(tmp_path))
    (path,) = tmp_path.iterdir()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - torn)
    after = Segments(tmp_path)
    after.add(1300.0, NAMES, {"a/work": POINT})
    assert [point[0] for point in after.read("a/work", 0.0)] == [1000.0, 1060.0, 1300.0]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]\n", b'{"schema": 2}\n', b"\xff\n", b'{"schema":1,"columns":[],"names":5}\n']
)
def test_a_file_that_is_no_segment_is_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "999.figures").write_bytes(content)
    (tmp_path / "note.txt").write_text("no number")
    segments = Segments(tmp_path)
    assert segments.read("a/work", 0.0) == []
    kept(tmp_path, 1, segments)
    assert len(segments.read("a/work", 0.0)) == 1


def test_another_process_goes_on_with_the_newest_segment(tmp_path: Path) -> None:
    kept(tmp_path, 2, Segments(tmp_path))
    kept(tmp_path, 2, Segments(tmp_path), 1120.0)
    assert len(list(tmp_path.iterdir())) == 1
    assert len(Segments(tmp_path).read("a/work", 0.0)) == 4


def test_where_the_clock_was_set_back_the_future_is_left_out(tmp_path: Path) -> None:
    segments = Segments(tmp_path, rows=2)
    kept(tmp_path, 3, segments, 9000.0)
    kept(tmp_path, 2, segments, 1000.0)
    assert [point[0] for point in segments.read("a/work", 0.0)] == [1000.0, 1060.0]


def test_ten_thousand_programs_over_twelve_hours_stay_within_their_bounds(tmp_path: Path) -> None:
    """A row of them, times the rows of twelve hours, and the heads: what the issue allows is 200 MiB."""
    names = ["scen2_srv_%05d/data_processing" % number for number in range(10000)]
    segments = Segments(tmp_path)
    segments.add(1000.0, names, {})
    (path,) = tmp_path.iterdir()
    head = len(path.open("rb").readline())
    row = path.stat().st_size - head
    assert 12 * 60 * row + 13 * head < 200 << 20


def grown(per_minute: float, minutes: int, start: float = 0.0) -> list[list[float | None]]:
    return [[60.0 * n, 1.0, 1e6 + per_minute * n, 4.0, 10.0, start + 60.0 * n] for n in range(minutes)]


def test_growth_is_told_per_hour_since_the_last_start() -> None:
    points = grown(1000.0, 60)
    later = [[at + 3600.0, *rest] for at, *rest in grown(10.0, 60)]  # type: ignore[operator]
    assert summary(points)["growth"]["memory"] == pytest.approx(60000.0)
    both = summary([*points, *later])
    assert both["starts"] == 1
    assert both["growth"] == {"memory": pytest.approx(600.0), "threads": 0.0, "files": 0.0}


def test_a_start_is_noticed_over_a_time_in_which_nobody_looked() -> None:
    """(moment, age)"""
    for points, starts in (
        ([(0, 60), (60, 120), (7200, 7100)], 1), ([(0, 60), (60, None), (120, 30)], 1), ([(0, 60), (7200, 7260)], 0),
        ([(0, 9000), (-3600, 9060), (60, 9120)], 0),  # clocks were set
    ):  # fmt: skip
        assert len(trend.starts(points, 1)) == starts, points


@pytest.mark.parametrize("minutes", [0, 1, 30])
def test_nothing_is_said_of_growth_before_half_an_hour(minutes: int) -> None:
    assert summary(grown(1000.0, minutes))["growth"]["memory"] is None


def test_points_without_a_known_start_count_as_one_run() -> None:
    points = [[at, cpu, memory, threads, files, None] for at, cpu, memory, threads, files, _age in grown(0.0, 40)]
    assert trend.current_run(points, 5) == []
    assert set(summary(points)["figures"]) == set(COLUMNS[:-1])


def program(name: str, cpu: float, memory: int) -> dict[str, object]:
    return {"instance": name, "program": "work", "host": "server_1", "pid": 1, "cpu": cpu, "memory": memory << 20,
            "threads": 1, "files": 3, "restarts": 0}


def test_top_shows_the_greatest_first_and_says_what_does_not_fit() -> None:
    programs = [program("a", 1.0, 30), program("b", 5.0, 10), program("c", 3.0, 20), {"pid": None}]
    document = {"programs": programs, "silent": {"server_2": "it is down"}}
    lines = top_lines(document, "cpu", 10)
    assert [line.split("/")[0] for line in lines[1:4]] == ["b", "c", "a"]
    assert "CPU *" in lines[0]
    assert lines[-1] == "server_2: it is down"
    assert [line.split("/")[0] for line in top_lines(document, "memory", 10)[1:4]] == ["a", "c", "b"]
    assert top_lines(document, "cpu", 4)[2:] == ["2 more below", "server_2: it is down"]
    assert json.dumps(lines)


def test_every_key_of_a_table_counts_also_those_that_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as keys, os.fdopen(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with client_figures._keys(True) as pressed:
            for typed, key in ((b"m", "m"), (b"\x1b[C", ""), (b"\x1b[A\xff\x00q", "q"), (b"mfQx", "q"), (b"Mf", "f")):
                keys.write(typed)
                time.sleep(0.05)  # they come at once
                assert pressed(5.0) == key
            assert pressed(0.01) == ""


def test_a_table_without_an_input_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with client_figures._keys(True) as pressed:
        assert pressed(0.01) == ""
