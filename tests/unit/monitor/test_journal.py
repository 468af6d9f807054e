# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's log reaches its file in spite of trouble with the disk, and a repeated defect does not flood it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from monitor.base import journal as module
from monitor.base.journal import Journal


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(path: Path) -> list[str]:
    return [line["event"] for line in lines(path)]


def test_a_large_file_becomes_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    journal = Journal(log)
    monkeypatch.setattr(module, "FILE_BYTES", 10)
    journal.say("first")
    monkeypatch.setattr(module, "FILE_BYTES", 10_000)
    journal.say("second")
    assert (events(tmp_path / "log.1"), events(log)) == (["first"], ["second"])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log", "log.1"]


@pytest.mark.parametrize("broken", ["open", "first", "second"])
def test_without_a_new_file_the_old_one_is_gone_on_with(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    journal = Journal(log)
    real_open, real_replace = Path.open, os.replace
    calls: list[str] = []

    def full_open(path: Path, *arguments: Any, **words: Any) -> Any:
        if broken == "open":
            raise OSError(28, "No space left on device")
        return real_open(path, *arguments, **words)

    def full_replace(source: Any, target: Any) -> None:
        calls.append(str(source))
        if len(calls) == {"open": 0, "first": 1, "second": 2}[broken]:
            raise OSError(28, "No space left on device")
        real_replace(source, target)

    with monkeypatch.context() as full:
        full.setattr(Path, "open", full_open)
        full.setattr(os, "replace", full_replace)
        full.setattr(module, "FILE_BYTES", 10)
        journal.say("first")
        full.setattr(module, "FILE_BYTES", 10_000)
        journal.say("second")
    kept = log if log.exists() else tmp_path / "log.1"
    assert events(kept) == ["first", "second"]
    monkeypatch.setattr(module, "FILE_BYTES", 10)
    journal.say("third")
    monkeypatch.setattr(module, "FILE_BYTES", 10_000)
    journal.say("fourth")
    assert (events(tmp_path / "log.1"), events(log)) == (["first", "second", "third"], ["fourth"])


def test_a_closed_stream_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    journal = Journal()
    journal.say("news", "nobody hears it")
    assert journal.last == "news: nobody hears it"


def test_a_defect_is_logged_with_its_traceback_once_and_counted_each_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log")
    for number in range(3):
        try:
            raise KeyError("item %d" % number)
        except KeyError as error:
            journal.failed("a turn", error)
    [told] = lines(tmp_path / "log")
    assert (told["event"], told["why"]) == ("error", "a turn failed: KeyError: 'item 0'")
    assert 'raise KeyError("item %d" % number)' in told["traceback"]
    assert journal.counts["error", ""] == 3
    assert journal.defect == "a turn failed: KeyError: 'item 2'"
