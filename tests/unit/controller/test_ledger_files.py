# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble with the ledger's files: locks, damage, other versions, full disks, other owners."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import ledger_files
from tests.unit.controller.ledgers import claim, ledger_fixture, line, script  # noqa: F401 - a fixture


class TestALockedLedger:
    def test_is_waited_for(self, ledger: controller_ledger.Ledger) -> None:
        holder = self._hold(ledger.path, 0.3)
        try:
            assert ledger.commit(1, {}) == 2
        finally:
            holder.kill()
            holder.communicate()

    def test_ends_in_a_sentence_that_names_the_process(self, ledger: controller_ledger.Ledger) -> None:
        holder = self._hold(ledger.path, 60)
        try:
            with controller_ledger.Ledger(ledger.path, patience=0.3) as hasty:
                with pytest.raises(controller_ledger.LedgerLocked) as locked:
                    hasty.commit(1, {"claims": {"a_1": claim(1)}})
                assert hasty.read()[1] == 1
            assert "stayed locked for 0 s by process %d (%s" % (holder.pid, sys.executable) in str(locked.value)
        finally:
            holder.kill()
            holder.communicate()
        assert ledger.commit(1, {}) == 2

    @staticmethod
    def _hold(path: str, seconds: float) -> subprocess.Popen[str]:
        text = (
            "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "database.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(float(sys.argv[2]))\n"
        )
        holder = script(text, path, str(seconds))
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        return holder


class TestADamagedLedger:
    def test_names_the_copy_it_made_and_the_last_backup(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(4)}})
        backup = ledger.backup()
        ledger.close()
        with open(ledger.path, "r+b") as handle:
            handle.write(b"overwritten by something else " * 20)
        damaged = Path(ledger.path).read_bytes()
        with pytest.raises(controller_ledger.LedgerDamaged) as first:
            ledger.read()
        words = str(first.value)
        aside = words.split("copied to ")[1].split(";")[0]
        assert Path(aside).read_bytes() == damaged == Path(ledger.path).read_bytes()
        assert "last backup (%s): stop the monitor, muster ledger restore, muster deploy" % backup in words
        with pytest.raises(controller_ledger.LedgerDamaged):
            ledger.read()
        copies = [name for name in os.listdir(os.path.dirname(ledger.path)) if "damaged" in name]
        assert len(copies) == 1

    def test_in_the_middle_is_found_by_the_check(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_%d" % n: claim(1, "h" * 500) for n in range(200)}})
        ledger.close()
        size = os.path.getsize(ledger.path)
        with open(ledger.path, "r+b") as handle:
            handle.seek(size // 2 // 4096 * 4096)
            handle.write(os.urandom(4096))
        with pytest.raises(controller_ledger.LedgerDamaged, match="is damaged"):
            ledger.check()

    @pytest.mark.parametrize("content", [b"", b"SQLite format 3"])
    def test_empty_or_cut_off_is_not_taken_for_a_fresh_one(
        self, ledger: controller_ledger.Ledger, content: bytes
    ) -> None:
        ledger.close()
        Path(ledger.path).write_bytes(content)
        with pytest.raises(controller_ledger.LedgerDamaged, match=r"is damaged .*it was left as it is"):
            ledger.commit(1, {})
        assert Path(ledger.path).read_bytes() == content

    def test_of_another_program_is_left_alone(self, tmp_path: Path) -> None:
        path = str(tmp_path / "ledger.db")
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE notes (text)")
        with pytest.raises(controller_ledger.LedgerDamaged, match="no mark of a ledger"):
            controller_ledger.Ledger(path).read()

    def test_of_a_newer_version_is_left_alone(self, ledger: controller_ledger.Ledger) -> None:
        with sqlite3.connect(ledger.path) as other:
            other.execute("PRAGMA user_version = 5")
        with controller_ledger.Ledger(ledger.path) as older, pytest.raises(controller_ledger.LedgerError) as newer:
            older.commit(1, {})
        assert "was written by a newer muster (schema 5; this one knows up to 4)" in str(newer.value)

    def test_of_an_older_version_is_read_and_marked_by_the_first_commit(self, ledger: controller_ledger.Ledger) -> None:
        with sqlite3.connect(ledger.path) as other:
            other.execute("PRAGMA user_version = 1")
            other.execute("UPDATE record SET value = '1' WHERE kind = 'meta' AND name = 'schema'")
        with controller_ledger.Ledger(ledger.path) as newer:
            state, revision = newer.read()
            assert (state["meta"]["schema"], state["pauses"], state["notices"]) == (1, {}, {})
            pause = {"by": "eve", "why": "new fan", "at": 1.0, "until": None}
            newer.commit(revision, {"pauses": {"item/01": pause}})
            state, revision = newer.read()
            assert (state["meta"]["schema"], state["pauses"]) == (4, {"item/01": pause})
        with sqlite3.connect(ledger.path) as other:
            assert other.execute("PRAGMA user_version").fetchone() == (4,)

    def test_keeps_three_backups(self, ledger: controller_ledger.Ledger) -> None:
        for revision in range(1, 6):
            assert ledger.backup() == ledger.backup()
            ledger.commit(revision, {})
        names = [os.path.basename(path) for path in ledger_files.backups(ledger.path)]
        assert names == ["ledger-%010d.db" % revision for revision in (3, 4, 5)]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk and giving folders away needs root")
class TestAsRoot:
    def test_a_full_disk_loses_nothing_and_says_so(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(disk)], check=True)
        try:
            with controller_ledger.Ledger(str(disk / "state" / "ledger.db")) as ledger:
                ledger.create("scenario_2", "id")
                ledger.commit(1, {"claims": {"a_1": claim(1)}})
                with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * 4096)
                big = {"a_%d" % n: claim(2, "h" * 2000) for n in range(1, 60)}
                with pytest.raises(controller_ledger.LedgerError, match=r"nothing was changed: .*full.* kB are free"):
                    ledger.commit(2, {"claims": big}, [line("never")])
                state, revision = ledger.read()
                assert (state["claims"], revision, ledger.trail()) == ({"a_1": claim(1)}, 2, [])
                (disk / "filler").unlink()
                assert ledger.commit(2, {"claims": big}) == 3
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_a_folder_of_another_owner_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "state"
        folder.mkdir()
        os.chown(folder, 1, 1)
        with pytest.raises(controller_ledger.LedgerError) as refused:
            controller_ledger.Ledger(str(folder / "ledger.db")).create("s", "id")
        owner, me = ledger_files.user_name(1), ledger_files.user_name(0)
        assert "belongs to %s and you are %s: run this as %s" % (owner, me, owner) in str(refused.value)
        assert list(folder.iterdir()) == []
