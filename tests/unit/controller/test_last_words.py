# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of failures: bounded by count, size and age; a name leads nowhere else."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import last_words
from monitor.core.host.logs import left

NOW = time.time()


def record(instance: str = "app_01", epoch: int = 1, at: float = NOW, **more: Any) -> dict[str, Any]:
    lines = [{"at": at, "t": "its last words"}]
    return {"at": at, "instance": instance, "epoch": epoch, "host": "h", "program": "bus", "how": "exited with 1",
            "core": "", "programs": {"bus": lines}, **more}  # fmt: skip


def test_the_newest_come_first_and_have_their_lines(tmp_path: Path) -> None:
    ids = [last_words.keep(str(tmp_path), record(epoch=epoch, at=NOW + epoch)) for epoch in (1, 2, 3)]
    assert [entry["id"] for entry in last_words.listed(str(tmp_path))] == ids[::-1]
    assert last_words.listed(str(tmp_path), "app_02") == []
    shown = last_words.shown(str(tmp_path), ids[1])
    assert shown is not None
    assert (shown["epoch"], shown["lines"][0]["text"]) == (2, "its last words")
    assert (tmp_path / "last_words").stat().st_mode & 0o077 == 0


def test_they_are_few_small_and_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = last_words.keep(str(tmp_path), record("old_01", at=NOW - 40 * 86400))
    for number in range(150):
        last_words.keep(str(tmp_path), record(epoch=number, at=NOW + number))
    other = last_words.keep(str(tmp_path), record("app_02", at=NOW - 5))
    ids = [entry["id"] for entry in last_words.listed(str(tmp_path), most=1000)]
    assert len(ids) == 101 and other in ids and old not in ids
    monkeypatch.setattr(last_words, "MOST_BYTES", 1000)
    last_words.keep(str(tmp_path), record(at=NOW + 1000))
    assert 0 < len(last_words.listed(str(tmp_path), most=1000)) < 10


@pytest.mark.parametrize("name", ["../ledger.db", "", "x", "0000000000000-1-../../x"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    last_words.keep(str(tmp_path), record())
    assert last_words.shown(str(tmp_path), name) is None
    assert last_words.keep(str(tmp_path), record("../x")) == ""


def test_what_a_host_says_is_only_kept_as_lines(tmp_path: Path) -> None:
    words = {"programs": {"bus": [{"at": "x", "t": "\x1b[2J" + "y" * 100000}, "no line"], "core": 7}, "core": None}
    answers = {"h": {"results": {"app_01": {"result": "failed", "epoch": 2, "reason": "bus exited with 1",
                                            "failed": {"bus": "exited with 1"}, "words": words},
                                 "app_02": {"result": "running", "words": words}}}}  # fmt: skip
    [name] = last_words.keep_failed(str(tmp_path), "7", answers)
    shown = last_words.shown(str(tmp_path), name)
    assert shown is not None and shown["program"] == "bus"
    [line] = shown["lines"]
    assert line["at"] is None and line["text"].startswith("?[2J") and len(line["text"]) <= 8000


def test_a_core_file_is_found_by_the_kernels_pattern(tmp_path: Path) -> None:
    for name in ("core.41", "core.bus.42", "corefile"):
        (tmp_path / name).touch()
    assert left.core_file([str(tmp_path)], 42, time.time(), "core.%e.%p") == str(tmp_path / "core.bus.42")
    assert left.core_file([str(tmp_path)], 41, time.time(), "core") == str(tmp_path / "core.41")
    assert left.core_file([], 42, time.time(), "%s/core.%%e.%%p" % tmp_path) == str(tmp_path / "core.bus.42")
    assert left.core_file([str(tmp_path)], 43, time.time(), "core.%e.%p") == ""
    os.utime(tmp_path / "core.bus.42", (1, 1))
    assert left.core_file([str(tmp_path)], 42, time.time(), "core.%e.%p") == ""


def test_supervisord_says_how_a_program_ended(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(NOW))
    (tmp_path / "log/supervisord.log").write_text(
        "%s,001 INFO exited: bus (exit status 3; expected)\n" % stamp
        + "%s,100 WARN exited: core (terminated by SIGSEGV (core dumped); not expected)\n" % stamp)
    assert left.how(str(tmp_path), "core", NOW) == "terminated by SIGSEGV (core dumped)"
    assert left.how(str(tmp_path), "bus", NOW) == "exit status 3"
    assert left.how(str(tmp_path), "bus", NOW - 100) == ""
