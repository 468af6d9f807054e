# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site that is never deployed again does not grow for ever: ordinary runs forget what is too old."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import ledger_files
from tests.integration.controller.data_hosts import Room

DAY = 86400.0


@pytest.fixture(autouse=True)
def a_short_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_ledger, "NEVER_FORGOTTEN", 0)


def remember(room: Room, *ages: float) -> None:
    """Entries of the trail of so many days ago."""
    with controller_ledger.Ledger(os.path.join(room.site.state_dir, "ledger.db")) as ledger:
        entries = [{"at": time.time() - age * DAY, "what": "long ago"} for age in ages]
        ledger.commit(ledger.read()[1], {}, entries)


def remembered(room: Room) -> int:
    return sum(entry["what"] == "long ago" for entry in room.ask("trail", limit=100000)["trail"])


def test_trail_entries_that_are_too_old_are_removed_by_the_next_run(tmp_path: Path) -> None:
    room = Room(tmp_path, trail_days=30)
    room.open()
    remember(room, 400, 31.5, 30.5, 29, 1)
    room.run("deploy")
    assert remembered(room) == 2
    remember(room, 400)
    room.run()
    assert remembered(room) == 3, "what stays is one piece"


def test_it_is_done_once_a_day(tmp_path: Path) -> None:
    room = Room(tmp_path, trail_days=30)
    room.open()
    remember(room, 30.5, 30.2, 29)
    room.run("deploy")
    assert remembered(room) == 3, "nothing is a day too old yet"


def test_many_go_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_ledger, "AT_ONCE", 10)
    room = Room(tmp_path, trail_days=30)
    room.open()
    remember(room, *(100 + number for number in range(25)), 1)
    left = []
    for _unused in range(4):
        room.run()
        left.append(remembered(room))
    assert left == [16, 6, 1, 1]


def test_copies_that_were_never_finished_go_too(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.open()
    folder = Path(room.site.state_dir) / "backup"
    folder.mkdir(mode=0o700)
    old, fresh = folder / "ledger-0000000001.db.new-41", folder / "ledger-0000000002.db.new-42"
    for path, age in ((old, ledger_files.UNFINISHED + 1), (fresh, 0)):
        path.write_bytes(b"half a copy")
        os.utime(path, (time.time() - age, time.time() - age))
    room.run("deploy")
    assert (old.exists(), fresh.exists()) == (False, True)
    assert 0 < len(ledger_files.backups(os.path.join(room.site.state_dir, "ledger.db"))) <= ledger_files.BACKUPS
