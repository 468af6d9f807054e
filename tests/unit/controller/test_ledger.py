# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger on real SQLite files: compare-and-set, the trail, races, crashes."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from monitor.core.controller import ledger as controller_ledger
from tests.unit.controller.ledgers import claim, ledger_fixture, line, script  # noqa: F401 - a fixture


class TestAFreshLedger:
    def test_knows_its_site_and_holds_nothing(self, ledger: controller_ledger.Ledger) -> None:
        state, revision = ledger.read()
        assert revision == 1
        meta = {"site": "scenario_2", "site_id": "scenario_2-c0ffee", "schema": 4, "last_run": 0}
        kinds = ("wanted", "claims", "hosts", "pauses", "notices", "requests", "rollouts", "moves")
        assert state == {"meta": meta, **{kind: {} for kind in kinds}}

    def test_says_whether_a_run_has_planned(self, ledger: controller_ledger.Ledger) -> None:
        """A request that was written down is no plan, and neither is a ledger that is not there."""
        assert ledger.has_planned() is False
        ledger.commit(1, {"requests": {"a": {"kind": "reconcile", "at": 1.0}}})
        assert ledger.has_planned() is False
        ledger.commit(2, {"meta": {"last_run": 1}})
        assert ledger.has_planned() is True
        assert controller_ledger.Ledger(ledger.path + "-elsewhere").has_planned() is False

    def test_of_a_muster_that_still_had_leases_is_read_and_written(self, ledger: controller_ledger.Ledger) -> None:
        with sqlite3.connect(ledger.path) as earlier:
            earlier.execute("CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, token INTEGER NOT NULL,"
                            " boot TEXT, until REAL)")
            earlier.execute("INSERT INTO lease VALUES ('monitor', 'a', 1, 'boot', 5.0)")
        ledger.check()
        assert ledger.commit(1, {"claims": {"scen2_srv_01": claim(3)}}) == 2
        assert ledger.read()[0]["claims"]["scen2_srv_01"]["epoch"] == 3
        assert os.path.exists(ledger.backup())

    def test_is_for_its_owner_only(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {}, [line("first")])
        folder = os.path.dirname(ledger.path)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in os.listdir(folder):
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name

    def test_is_never_made_over_another(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"scen2_srv_01": claim(3)}})
        with pytest.raises(controller_ledger.LedgerError, match=r"there is a ledger already at .*ledger\.db"):
            ledger.create("scenario_2", "scenario_2-other")
        assert ledger.read()[0]["claims"]["scen2_srv_01"]["epoch"] == 3

    def test_is_made_by_one_of_many_at_once(self, tmp_path: Path) -> None:
        path = str(tmp_path / "state" / "ledger.db")
        text = (
            "try:\n  Ledger(sys.argv[1]).create('s', sys.argv[2]); print('made')\n"
            "except LedgerError: print('was there')"
        )
        makers = [script(text, path, "id-%d" % number) for number in range(6)]
        said = [maker.communicate(timeout=30)[0].strip() for maker in makers]
        assert sorted(said) == ["made"] + ["was there"] * 5
        assert sorted(os.listdir(os.path.dirname(path))) == ["ledger.db"]
        with controller_ledger.Ledger(path) as ledger:
            assert ledger.read()[0]["meta"]["site_id"] == "id-%d" % said.index("made")

    def test_missing_says_deploy_first_and_makes_nothing(self, tmp_path: Path) -> None:
        ledger = controller_ledger.Ledger(str(tmp_path / "nowhere" / "ledger.db"))
        with pytest.raises(controller_ledger.LedgerMissing, match=r"there is no ledger at .*: deploy this site first"):
            ledger.read()
        assert list(tmp_path.iterdir()) == []


class TestACommit:
    def test_changes_and_deletes_in_one_revision(self, ledger: controller_ledger.Ledger) -> None:
        wanted = {"state": "started", "host": None, "by": "eve", "why": "", "at": 1.5}
        second = ledger.commit(1, {"wanted": {"a_1": wanted}, "claims": {"a_1": claim(1), "b_1": claim(1)}})
        third = ledger.commit(second, {"claims": {"b_1": None, "a_1": claim(2)}, "meta": {"last_run": 7}})
        state, revision = ledger.read()
        assert (second, third, revision) == (2, 3, 3)
        assert state["wanted"] == {"a_1": wanted}
        assert state["claims"] == {"a_1": claim(2)}
        assert state["meta"]["last_run"] == 7

    def test_on_an_older_revision_changes_nothing(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(1)}})
        with pytest.raises(controller_ledger.LostRace) as lost:
            ledger.commit(1, {"claims": {"a_1": claim(9)}}, [line("never")])
        assert lost.value.found == 2
        assert ledger.read()[0]["claims"]["a_1"]["epoch"] == 1
        assert ledger.trail() == []

    def test_never_takes_an_epoch_back(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(8)}})
        with pytest.raises(controller_ledger.LedgerError, match="the claim of a_1 would go back from epoch 8 to 7"):
            ledger.commit(2, {"claims": {"b_1": claim(1), "a_1": claim(7)}})
        assert list(ledger.read()[0]["claims"]) == ["a_1"]

    def test_of_a_value_json_cannot_hold_leaves_the_ledger_alone(self, ledger: controller_ledger.Ledger) -> None:
        with pytest.raises(ValueError):
            ledger.commit(1, {"hosts": {"server_1": {"since": float("nan")}}, "claims": {"a_1": claim(1)}})
        assert ledger.read()[1] == 1
        assert ledger.commit(1, {}) == 2

    def test_of_an_unknown_kind_is_a_mistake_of_the_caller(self, ledger: controller_ledger.Ledger) -> None:
        with pytest.raises(ValueError, match="no records of kind wnated"):
            ledger.commit(1, {"wnated": {}})

    def test_can_skip_revisions_and_never_goes_back(self, ledger: controller_ledger.Ledger) -> None:
        assert ledger.commit(1, {}, above=40) == 41
        assert ledger.commit(41, {}, above=7) == 42

    def test_tells_what_changed_since(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(1), "b_1": claim(1)}})
        ledger.commit(2, {"claims": {"b_1": claim(2)}})
        assert ledger.changed_since(1, "claims") == ["a_1", "b_1"]
        assert ledger.changed_since(2, "claims") == ["b_1"]


class TestTheTrail:
    def test_keeps_order_and_finds_by_instance(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {}, [line("one", instance="a_1"), line("two", instance="b_1")])
        ledger.commit(2, {}, [line("three", instance="a_1")])
        assert [entry["what"] for entry in ledger.trail()] == ["one", "two", "three"]
        assert [entry["what"] for entry in ledger.trail(limit=2)] == ["two", "three"]
        assert [entry["what"] for entry in ledger.trail(instance="a_1")] == ["one", "three"]
        first = ledger.trail(after=0, limit=1)[0]
        assert (first["what"], first["revision"]) == ("one", 2)
        assert [entry["what"] for entry in ledger.trail(after=first["id"])] == ["two", "three"]

    def test_cannot_be_rewritten(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {}, [line("one")])
        with sqlite3.connect(ledger.path) as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute("UPDATE trail SET entry = '{}'")

    def test_forgets_only_what_is_old(
        self, ledger: controller_ledger.Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(controller_ledger, "NEVER_FORGOTTEN", 0)
        ledger.commit(1, {}, [line("old"), dict(line("new"), at=2000.0)])
        assert ledger.forget_trail(1500.0) == 1
        assert [entry["what"] for entry in ledger.trail()] == ["new"]

    def test_a_clock_that_runs_ahead_does_not_empty_it(self, ledger: controller_ledger.Ledger) -> None:
        most = controller_ledger.NEVER_FORGOTTEN
        ledger.commit(1, {}, [dict(line("now"), at=2000.0)] * (most + 5))
        assert ledger.forget_trail(1e12) == 5
        assert len(ledger.trail(limit=2 * most)) == most


_COUNT_UP = """
done = 0
with Ledger(sys.argv[1], patience=30.0) as ledger:
    while done < int(sys.argv[2]):
        state, revision = ledger.read()
        number = state['meta']['last_run'] + 1
        try:
            ledger.commit(revision, {'meta': {'last_run': number}}, [{'at': 0.0, 'what': sys.argv[3]}])
        except LostRace:
            continue
        done += 1
"""


class TestRaces:
    def test_of_processes_lose_no_commit(self, ledger: controller_ledger.Ledger) -> None:
        racers = [script(_COUNT_UP, ledger.path, "25", "racer %d" % number) for number in range(4)]
        for racer in racers:
            assert racer.communicate(timeout=120)[1] == "" and racer.returncode == 0
        state, revision = ledger.read()
        assert state["meta"]["last_run"] == 100
        assert revision == 101
        entries = ledger.trail(limit=1000)
        assert [entry["revision"] for entry in entries] == list(range(2, 102))
        assert {sum(entry["what"] == "racer %d" % number for entry in entries) for number in range(4)} == {25}

    def test_of_threads_let_one_win_each_revision(self, ledger: controller_ledger.Ledger) -> None:
        winners: list[int] = []
        gate = threading.Barrier(8)

        def race(number: int) -> None:
            with controller_ledger.Ledger(ledger.path, patience=30.0) as mine:
                gate.wait(30)
                try:
                    mine.commit(1, {"claims": {"a_1": claim(number + 1)}})
                except controller_ledger.LostRace:
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

    def test_a_reader_sees_one_moment_while_others_write(self, ledger: controller_ledger.Ledger) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(2), "b_1": claim(2)}})
        text = (
            "with Ledger(sys.argv[1]) as ledger:\n"
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
    def test_in_the_middle_of_commits_leaves_whole_commits_only(self, ledger: controller_ledger.Ledger) -> None:
        """Every acknowledged commit is there, and none is half there: both claims and the trail agree."""
        text = (
            "with Ledger(sys.argv[1]) as ledger:\n"
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
