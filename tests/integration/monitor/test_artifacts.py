# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artefacts of runs stay within count, age and size; a run under way loses nothing."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from monitor.runs.runs import MIB, OLDEST_ARTIFACT_SECONDS, Runs

LOCAL = str(Path(__file__).resolve().parents[3] / "inventory" / "local")


def artefact(state: Path, name: str, size: int, age: float) -> Path:
    """A folder as a run leaves it, the most of it in a subfolder as ansible-runner's events are."""
    folder = state / "artifacts" / name
    (folder / "job_events").mkdir(parents=True)
    (folder / "job_events" / "1.json").write_bytes(b"x" * size)
    (folder / "stdout").write_text("said")
    os.utime(folder, (time.time() - age, time.time() - age))
    return folder


def begin(state: Path, *, keep: int = 50, largest: int = 200 * MIB, busy: str = "") -> set[str]:
    """Begin a real run, which rotates; the names of the artefacts left, without its own."""

    async def work() -> set[str]:
        runs = Runs(state, [LOCAL], keep=keep)
        runs.largest = largest
        first = runs.begin("check", {}, 60.0) if busy else None
        if first is not None:
            (first.folder / "grown").write_bytes(b"x" * 3 * MIB)
        job = runs.begin("check", {}, 60.0)
        left = {path.name for path in (state / "artifacts").iterdir()} - {job.ident}
        if first is not None:
            assert first.ident in left
            left.discard(first.ident)
        for one in (first, job):
            if one is not None:
                runs.end(one, "the test has seen enough")
                await one.done
        return left

    return asyncio.run(work())


def test_the_oldest_go_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    for number in range(6):
        artefact(tmp_path, "run-%d" % number, MIB, age=600 - number)
    assert begin(tmp_path, largest=3 * MIB + 100_000) == {"run-3", "run-4", "run-5"}


def test_count_and_age_hold_too(tmp_path: Path) -> None:
    for place, keep, left in (("a", 50, {"run-0", "run-1", "run-2", "run-3"}), ("b", 3, {"run-2", "run-3"})):
        artefact(tmp_path / place, "ancient", 10, age=OLDEST_ARTIFACT_SECONDS + 10)
        for number in range(4):
            artefact(tmp_path / place, "run-%d" % number, 10, age=600 - number)
        assert begin(tmp_path / place, keep=keep) == left


def test_the_newest_stays_however_large_it_is(tmp_path: Path) -> None:
    artefact(tmp_path, "older", 10, age=60)
    artefact(tmp_path, "huge", 4 * MIB, age=1)
    assert begin(tmp_path, largest=MIB) == {"huge"}


def test_a_run_under_way_keeps_its_artefacts(tmp_path: Path) -> None:
    artefact(tmp_path, "older", 10, age=60)
    begin(tmp_path, largest=MIB, busy="yes")
