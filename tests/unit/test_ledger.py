# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger on real SQLite files: compare-and-set, races, crashes, full disks, damage, locks, owners."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.shared import _ledger, _ledger_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[_ledger.Ledger]:
    with _ledger.Ledger(str(tmp_path / "state" / "ledger.db"), patience=5.0) as made:
        made.create("scenario_2", "scenario_2-c0ffee")
        yield made


def claim(epoch: int, host: str = "server_1") -> dict[str, object]:
    return {"host": host, "epoch": epoch, "phase": "running"}


def line(what: str, **more: object) -> dict[str, object]:
    return {"at": 1000.0, "who": "eve", "from": "controller", "what": what, "why": "a test", "result": "ok", **more}


def script(text: str, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own that imports the ledger; it says a line when it is where the test wants it."""
    head = "import sys, time, sqlite3\nfrom monitor.shared import _ledger, _ledger_files\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + text, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestAFreshLedger:
    def test_knows_its_site_and_holds_nothing(self, ledger: _ledger.Ledger) -> None:
        state, revision = ledger.read()
        assert revision == 1
        meta = {"site": "scenario_2", "site_id": "scenario_2-c0ffee", "schema": 2, "last_run": 0}
        assert state == {"meta": meta, "wanted": {}, "claims": {}, "hosts": {}, "pauses": {}, "notices": {}}

    def test_is_for_its_owner_only(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {}, [line("first")])
        folder = os.path.dirname(ledger.path)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in os.listdir(folder):
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name

    def test_is_never_made_over_another(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"scen2_srv_01": claim(3)}})
        with pytest.raises(_ledger.LedgerError, match=r"there is a ledger already at .*ledger\.db"):
            ledger.create("scenario_2", "scenario_2-other")
        assert ledger.read()[0]["claims"]["scen2_srv_01"]["epoch"] == 3

    def test_is_made_by_one_of_many_at_once(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state" / "ledger.db")
        text = (
            "try:\n  _ledger.Ledger(sys.argv[1]).create('s', sys.argv[2]); print('made')\n"
            "except _ledger.LedgerError: print('was there')"
        )
        makers = [script(text, path, "id-%d" % number) for number in range(6)]
        said = [maker.communicate(timeout=30)[0].strip() for maker in makers]
        assert sorted(said) == ["made"] + ["was there"] * 5
        assert sorted(os.listdir(os.path.dirname(path))) == ["ledger.db"]
        with _ledger.Ledger(path) as ledger:
            assert ledger.read()[0]["meta"]["site_id"] == "id-%d" % said.index("made")

    def test_missing_says_deploy_first_and_makes_nothing(self, tmp_path: Path) -> None:
        ledger = _ledger.Ledger(str(tmp_path / "nowhere" / "ledger.db"))
        with pytest.raises(_ledger.LedgerMissing, match=r"there is no ledger at .*: deploy this site first"):
            ledger.read()
        assert list(tmp_path.iterdir()) == []


class TestACommit:
    def test_changes_and_deletes_in_one_revision(self, ledger: _ledger.Ledger) -> None:
        wanted = {"state": "started", "host": None, "by": "eve", "why": "", "at": 1.5}
        second = ledger.commit(1, {"wanted": {"a_1": wanted}, "claims": {"a_1": claim(1), "b_1": claim(1)}})
        third = ledger.commit(second, {"claims": {"b_1": None, "a_1": claim(2)}, "meta": {"last_run": 7}})
        state, revision = ledger.read()
        assert (second, third, revision) == (2, 3, 3)
        assert state["wanted"] == {"a_1": wanted}
        assert state["claims"] == {"a_1": claim(2)}
        assert state["meta"]["last_run"] == 7

    def test_on_an_older_revision_changes_nothing(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(1)}})
        with pytest.raises(_ledger.LostRace) as lost:
            ledger.commit(1, {"claims": {"a_1": claim(9)}}, [line("never")])
        assert lost.value.found == 2
        assert ledger.read()[0]["claims"]["a_1"]["epoch"] == 1
        assert ledger.trail() == []

    def test_never_takes_an_epoch_back(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(8)}})
        with pytest.raises(_ledger.LedgerError, match="the claim of a_1 would go back from epoch 8 to 7"):
            ledger.commit(2, {"claims": {"b_1": claim(1), "a_1": claim(7)}})
        assert list(ledger.read()[0]["claims"]) == ["a_1"]

    def test_of_a_value_json_cannot_hold_leaves_the_ledger_alone(self, ledger: _ledger.Ledger) -> None:
        with pytest.raises(ValueError):
            ledger.commit(1, {"hosts": {"server_1": {"since": float("nan")}}, "claims": {"a_1": claim(1)}})
        assert ledger.read()[1] == 1
        assert ledger.commit(1, {}) == 2

    def test_of_an_unknown_kind_is_a_mistake_of_the_caller(self, ledger: _ledger.Ledger) -> None:
        with pytest.raises(ValueError, match="no records of kind wnated"):
            ledger.commit(1, {"wnated": {}})

    def test_can_skip_revisions_and_never_goes_back(self, ledger: _ledger.Ledger) -> None:
        assert ledger.commit(1, {}, above=40) == 41
        assert ledger.commit(41, {}, above=7) == 42

    def test_tells_what_changed_since(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(1), "b_1": claim(1)}})
        ledger.commit(2, {"claims": {"b_1": claim(2)}})
        assert ledger.changed_since(1, "claims") == ["a_1", "b_1"]
        assert ledger.changed_since(2, "claims") == ["b_1"]


class TestTheTrail:
    def test_keeps_order_and_finds_by_instance(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {}, [line("one", instance="a_1"), line("two", instance="b_1")])
        ledger.commit(2, {}, [line("three", instance="a_1")])
        assert [entry["what"] for entry in ledger.trail()] == ["one", "two", "three"]
        assert [entry["what"] for entry in ledger.trail(limit=2)] == ["two", "three"]
        assert [entry["what"] for entry in ledger.trail(instance="a_1")] == ["one", "three"]
        first = ledger.trail(after=0, limit=1)[0]
        assert (first["what"], first["revision"]) == ("one", 2)
        assert [entry["what"] for entry in ledger.trail(after=first["id"])] == ["two", "three"]

    def test_cannot_be_rewritten(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {}, [line("one")])
        with sqlite3.connect(ledger.path) as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute("UPDATE trail SET entry = '{}'")

    def test_forgets_only_what_is_old(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {}, [line("old"), dict(line("new"), at=2000.0)])
        assert ledger.forget_trail(1500.0) == 1
        assert [entry["what"] for entry in ledger.trail()] == ["new"]


class TestALease:
    def test_is_held_by_one_until_given_back(self, ledger: _ledger.Ledger) -> None:
        first = ledger.lease("monitor", "a", 30.0)
        assert (first.holder, first.token) == ("a", 1)
        refused = ledger.lease("monitor", "b", 30.0)
        assert (refused.holder, refused.token) == ("a", 1) and 0 < refused.left <= 30.0
        assert ledger.lease("monitor", "a", 30.0).token == 1
        assert ledger.lease("monitor", "a", 0).holder == ""
        assert ledger.lease("monitor", "b", 30.0)[:2] == ("b", 2)

    def test_ends_by_itself_and_the_next_holder_gets_a_higher_token(self, ledger: _ledger.Ledger) -> None:
        ledger.lease("monitor", "a", 0.05)
        deadline = time.monotonic() + 5
        while ledger.lease("monitor", "b", 5.0).holder != "b":
            assert time.monotonic() < deadline
        assert ledger.lease("monitor", "a", 5.0)[:2] == ("b", 2)

    def test_ends_with_a_reboot(self, ledger: _ledger.Ledger) -> None:
        ledger.lease("monitor", "a", 3600.0)
        with sqlite3.connect(ledger.path) as other:
            other.execute("UPDATE lease SET boot = 'an earlier boot'")
        assert ledger.lease("monitor", "b", 5.0).holder == "b"

    def test_leaves_the_revision_alone(self, ledger: _ledger.Ledger) -> None:
        ledger.lease("monitor", "a", 5.0)
        assert ledger.read()[1] == 1


_COUNT_UP = """
done = 0
with _ledger.Ledger(sys.argv[1], patience=30.0) as ledger:
    while done < int(sys.argv[2]):
        state, revision = ledger.read()
        number = state['meta']['last_run'] + 1
        try:
            ledger.commit(revision, {'meta': {'last_run': number}}, [{'at': 0.0, 'what': sys.argv[3]}])
        except _ledger.LostRace:
            continue
        done += 1
"""


class TestRaces:
    def test_of_processes_lose_no_commit(self, ledger: _ledger.Ledger) -> None:
        racers = [script(_COUNT_UP, ledger.path, "25", "racer %d" % number) for number in range(4)]
        for racer in racers:
            assert racer.communicate(timeout=120)[1] == "" and racer.returncode == 0
        state, revision = ledger.read()
        assert state["meta"]["last_run"] == 100
        assert revision == 101
        entries = ledger.trail(limit=1000)
        assert [entry["revision"] for entry in entries] == list(range(2, 102))
        assert {sum(entry["what"] == "racer %d" % number for entry in entries) for number in range(4)} == {25}

    def test_of_threads_let_one_win_each_revision(self, ledger: _ledger.Ledger) -> None:
        winners: list[int] = []
        gate = threading.Barrier(8)

        def race(number: int) -> None:
            with _ledger.Ledger(ledger.path, patience=30.0) as mine:
                gate.wait(30)
                try:
                    mine.commit(1, {"claims": {"a_1": claim(number + 1)}})
                except _ledger.LostRace:
                    return
                winners.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(winners) == 1
        state, revision = ledger.read()
        assert (revision, state["claims"]["a_1"]["epoch"]) == (2, winners[0] + 1)

    def test_a_reader_sees_one_moment_while_others_write(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(2), "b_1": claim(2)}})
        text = (
            "with _ledger.Ledger(sys.argv[1]) as ledger:\n"
            "  for _ in range(150):\n"
            "    state, revision = ledger.read()\n"
            "    new = {'host': 'h', 'epoch': revision + 1, 'phase': 'running'}\n"
            "    ledger.commit(revision, {'claims': {'a_1': new, 'b_1': new}})\n"
        )
        writer = script(text, ledger.path)
        seen = set()
        while writer.poll() is None:
            state, revision = ledger.read()
            assert state["claims"]["a_1"]["epoch"] == state["claims"]["b_1"]["epoch"] == revision
            seen.add(revision)
        assert writer.communicate()[1] == ""
        assert len(seen) > 1


class TestACrash:
    def test_in_the_middle_of_commits_leaves_whole_commits_only(self, ledger: _ledger.Ledger) -> None:
        """Every acknowledged commit is there, and none is half there: both claims and the trail agree."""
        text = (
            "with _ledger.Ledger(sys.argv[1]) as ledger:\n"
            "  while True:\n"
            "    state, revision = ledger.read()\n"
            "    new = {'host': 'h' * 5000, 'epoch': revision + 1, 'phase': 'running'}\n"
            "    claims = {'a_%d' % n: new for n in range(30)}\n"
            "    ledger.commit(revision, {'claims': claims}, [{'at': 0.0, 'what': 'x'}])\n"
            "    print(revision + 1, flush=True)\n"
        )
        for turn in range(6):
            writer = script(text, ledger.path)
            assert writer.stdout is not None
            for _ in range(3):
                acknowledged = int(writer.stdout.readline())
            # A different moment within the commit each time.
            time.sleep(turn * 0.0007)
            os.kill(writer.pid, signal.SIGKILL)
            rest = writer.communicate(timeout=10)[0].split()
            acknowledged = int(rest[-1]) if rest and rest[-1].isdigit() else acknowledged
            ledger.check()
            state, revision = ledger.read()
            assert revision >= acknowledged
            assert {record["epoch"] for record in state["claims"].values()} == {revision}
            assert ledger.trail(limit=1)[0]["revision"] == revision


class TestALockedLedger:
    def test_is_waited_for(self, ledger: _ledger.Ledger) -> None:
        holder = self._hold(ledger.path, 0.3)
        try:
            assert ledger.commit(1, {}) == 2
        finally:
            holder.kill()
            holder.communicate()

    def test_ends_in_a_sentence_that_names_the_process(self, ledger: _ledger.Ledger) -> None:
        holder = self._hold(ledger.path, 60)
        try:
            with _ledger.Ledger(ledger.path, patience=0.3) as hasty:
                with pytest.raises(_ledger.LedgerLocked) as locked:
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
    def test_names_the_copy_it_made_and_the_last_backup(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(4)}})
        backup = ledger.backup()
        ledger.close()
        with open(ledger.path, "r+b") as handle:
            handle.write(b"overwritten by something else " * 20)
        damaged = Path(ledger.path).read_bytes()
        with pytest.raises(_ledger.LedgerDamaged) as first:
            ledger.read()
        words = str(first.value)
        aside = words.split("copied to ")[1].split(";")[0]
        assert Path(aside).read_bytes() == damaged == Path(ledger.path).read_bytes()
        assert "cp %s %s; then reconcile" % (backup, ledger.path) in words
        with pytest.raises(_ledger.LedgerDamaged):
            ledger.read()
        copies = [name for name in os.listdir(os.path.dirname(ledger.path)) if "damaged" in name]
        assert len(copies) == 1

    def test_goes_on_from_its_backup_as_the_sentence_says(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(4)}})
        ledger.backup()
        ledger.close()
        Path(ledger.path).write_bytes(b"x" * 8192)
        with pytest.raises(_ledger.LedgerDamaged) as damaged:
            ledger.read()
        command = str(damaged.value).split("stop the monitor, ")[1].split("; then reconcile")[0]
        subprocess.run(command, shell=True, check=True)
        state, revision = ledger.read()
        assert (state["claims"]["a_1"], revision) == (claim(4), 2)
        assert ledger.commit(2, {"claims": {"a_1": claim(5)}}) == 3

    def test_in_the_middle_is_found_by_the_check(self, ledger: _ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_%d" % n: claim(1, "h" * 500) for n in range(200)}})
        ledger.close()
        size = os.path.getsize(ledger.path)
        with open(ledger.path, "r+b") as handle:
            handle.seek(size // 2 // 4096 * 4096)
            handle.write(os.urandom(4096))
        with pytest.raises(_ledger.LedgerDamaged, match="is damaged"):
            ledger.check()

    @pytest.mark.parametrize("content", [b"", b"SQLite format 3"])
    def test_empty_or_cut_off_is_not_taken_for_a_fresh_one(self, ledger: _ledger.Ledger, content: bytes) -> None:
        ledger.close()
        Path(ledger.path).write_bytes(content)
        with pytest.raises(_ledger.LedgerDamaged, match=r"is damaged .*it was left as it is"):
            ledger.commit(1, {})
        assert Path(ledger.path).read_bytes() == content

    def test_of_another_program_is_left_alone(self, tmp_path: Path) -> None:
        path = str(tmp_path / "ledger.db")
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE notes (text)")
        with pytest.raises(_ledger.LedgerDamaged, match="no mark of a ledger"):
            _ledger.Ledger(path).read()

    def test_of_a_newer_version_is_left_alone(self, ledger: _ledger.Ledger) -> None:
        with sqlite3.connect(ledger.path) as other:
            other.execute("PRAGMA user_version = 3")
        with _ledger.Ledger(ledger.path) as older, pytest.raises(_ledger.LedgerError) as newer:
            older.commit(1, {})
        assert "was written by a newer muster (schema 3; this one knows up to 2)" in str(newer.value)

    def test_of_an_older_version_is_read_and_marked_by_the_first_commit(self, ledger: _ledger.Ledger) -> None:
        with sqlite3.connect(ledger.path) as other:
            other.execute("PRAGMA user_version = 1")
            other.execute("UPDATE record SET value = '1' WHERE kind = 'meta' AND name = 'schema'")
        with _ledger.Ledger(ledger.path) as newer:
            state, revision = newer.read()
            assert (state["meta"]["schema"], state["pauses"], state["notices"]) == (1, {}, {})
            pause = {"by": "eve", "why": "new fan", "at": 1.0, "until": None}
            newer.commit(revision, {"pauses": {"item/01": pause}})
            state, revision = newer.read()
            assert (state["meta"]["schema"], state["pauses"]) == (2, {"item/01": pause})
        with sqlite3.connect(ledger.path) as other:
            assert other.execute("PRAGMA user_version").fetchone() == (2,)

    def test_keeps_three_backups(self, ledger: _ledger.Ledger) -> None:
        for revision in range(1, 6):
            assert ledger.backup() == ledger.backup()
            ledger.commit(revision, {})
        names = [os.path.basename(path) for path in _ledger_files.backups(ledger.path)]
        assert names == ["ledger-%010d.db" % revision for revision in (3, 4, 5)]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk and giving folders away needs root")
class TestAsRoot:
    def test_a_full_disk_loses_nothing_and_says_so(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(disk)], check=True)
        try:
            with _ledger.Ledger(str(disk / "state" / "ledger.db")) as ledger:
                ledger.create("scenario_2", "id")
                ledger.commit(1, {"claims": {"a_1": claim(1)}})
                with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * 4096)
                big = {"a_%d" % n: claim(2, "h" * 2000) for n in range(1, 60)}
                with pytest.raises(_ledger.LedgerError, match=r"nothing was changed: .*full.* kB are free"):
                    ledger.commit(2, {"claims": big}, [line("never")])
                state, revision = ledger.read()
                assert (state["claims"], revision, ledger.trail()) == ({"a_1": claim(1)}, 2, [])
                (disk / "filler").unlink()
                assert ledger.commit(2, {"claims": big}) == 3
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_somebody_else_s_folder_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "state"
        folder.mkdir()
        os.chown(folder, 1, 1)
        with pytest.raises(_ledger.LedgerError) as refused:
            _ledger.Ledger(str(folder / "ledger.db")).create("s", "id")
        owner, me = _ledger_files.user_name(1), _ledger_files.user_name(0)
        assert "belongs to %s and you are %s: run this as %s" % (owner, me, owner) in str(refused.value)
        assert list(folder.iterdir()) == []
