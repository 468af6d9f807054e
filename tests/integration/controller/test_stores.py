# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of every store of the ledger: SQLite, etcd, and etcd behind a wire that fails on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import etcd, ledgers, moving, store
from monitor.core.controller.etcd_ledger import TAIL, EtcdLedger
from monitor.core.controller.ledger import Ledger
from tests.integration.controller import etcd_cluster
from tests.integration.controller.data_hosts import Room
from tests.unit.controller.ledgers import claim, line

Open = Callable[[], Any]  # one more user of the same ledger


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[etcd_cluster.Cluster]:
    etcd_cluster.needed()
    made = etcd_cluster.Cluster(tmp_path_factory.mktemp("etcd"))
    yield made
    made.end()


@pytest.fixture(params=["sqlite", "etcd", "etcd behind a bad wire"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    name = "%s-%x" % (tmp_path.name, time.time_ns())
    if request.param == "sqlite":
        yield lambda: Ledger(str(tmp_path / "state" / "ledger.db"), patience=30.0)
        return
    urls, wires = request.getfixturevalue("cluster").clients, []
    if request.param != "etcd":
        wires = [etcd_cluster.BadWire(url, seed) for seed, url in enumerate(urls)]
        urls = [wire.url for wire in wires]
    yield lambda: EtcdLedger(etcd.Client(urls), name, patience=30.0)
    for wire in wires:
        wire.end()


@pytest.fixture
def ledger(opened: Open) -> Iterator[Any]:
    with opened() as made:
        made.create("scenario_2", "scenario_2-c0ffee")
        yield made


class TestEveryStore:
    def test_is_not_there_before_it_is_made(self, opened: Open) -> None:
        with opened() as ledger:
            assert not ledger.exists() and not ledger.has_planned()
            with pytest.raises(store.LedgerMissing, match="deploy this site first"):
                ledger.read()

    def test_knows_its_site_and_holds_nothing(self, ledger: Any) -> None:
        state, revision = ledger.read()
        meta = {"site": "scenario_2", "site_id": "scenario_2-c0ffee", "schema": store.SCHEMA, "last_run": 0}
        assert (state["meta"], revision) == (meta, 1)
        assert all(not records for kind, records in state.items() if kind != "meta")

    def test_is_never_made_over_another(self, ledger: Any, opened: Open) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(3)}})
        with opened() as other, pytest.raises(store.LedgerError, match="there is a ledger already at"):
            other.create("scenario_2", "scenario_2-other")
        assert ledger.read()[0]["claims"]["a_1"]["epoch"] == 3

    def test_says_whether_a_run_has_planned(self, ledger: Any) -> None:
        ledger.commit(1, {"requests": {"a": {"kind": "reconcile", "at": 1.0}}})
        assert not ledger.has_planned()
        ledger.commit(2, {"meta": {"last_run": 1}})
        assert ledger.has_planned()

    def test_changes_and_deletes_in_one_revision_that_others_see(self, ledger: Any, opened: Open) -> None:
        second = ledger.commit(1, {"wanted": {"a_1": {"state": "started"}}, "claims": {"a_1": claim(1), "b": claim(1)}})
        third = ledger.commit(second, {"claims": {"b": None, "a_1": claim(2)}, "meta": {"last_run": 7}})
        with opened() as other:
            state, revision = other.read()
        assert (second, third, revision) == (2, 3, 3)
        assert state["wanted"] == {"a_1": {"state": "started"}}
        assert state["claims"] == {"a_1": claim(2)}
        assert state["meta"]["last_run"] == 7

    def test_on_an_older_revision_changes_nothing(self, ledger: Any, opened: Open) -> None:
        with opened() as other:
            assert other.read()[1] == 1
            ledger.commit(1, {"claims": {"a_1": claim(1)}})
            with pytest.raises(store.LostRace) as lost:
                other.commit(1, {"claims": {"a_1": claim(9)}}, [line("never")])
        assert lost.value.found == 2
        assert ledger.read()[0]["claims"]["a_1"]["epoch"] == 1
        assert ledger.trail() == []

    def test_never_takes_an_epoch_back(self, ledger: Any) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(8)}})
        with pytest.raises(store.LedgerError, match="the claim of a_1 would go back from epoch 8 to 7"):
            ledger.commit(2, {"claims": {"b_1": claim(1), "a_1": claim(7)}})
        assert list(ledger.read()[0]["claims"]) == ["a_1"]

    def test_refuses_what_json_cannot_hold_and_unknown_kinds(self, ledger: Any) -> None:
        with pytest.raises(ValueError):
            ledger.commit(1, {"hosts": {"server_1": {"since": float("nan")}}})
        with pytest.raises(ValueError, match="no records of kind wnated"):
            ledger.commit(1, {"wnated": {}})
        assert ledger.commit(1, {}) == 2

    def test_can_skip_revisions_and_never_goes_back(self, ledger: Any) -> None:
        assert ledger.commit(1, {}, above=40) == 41
        assert ledger.commit(41, {}, above=7) == 42
        assert ledger.read()[1] == 42

    def test_tells_what_changed_since(self, ledger: Any) -> None:
        ledger.commit(1, {"claims": {"a_1": claim(1), "b_1": claim(1)}})
        ledger.commit(2, {"claims": {"b_1": claim(2)}})
        assert ledger.changed_since(1, "claims") == ["a_1", "b_1"]
        assert ledger.changed_since(2, "claims") == ["b_1"]

    def test_keeps_the_order_of_the_trail_and_finds_by_instance(self, ledger: Any) -> None:
        ledger.commit(1, {}, [line("one", instance="a_1"), line("two", instance="b_1")])
        ledger.commit(2, {})
        ledger.commit(3, {}, [line("three", instance="a_1")])
        assert [entry["what"] for entry in ledger.trail()] == ["one", "two", "three"]
        assert [entry["what"] for entry in ledger.trail(limit=2)] == ["two", "three"]
        assert [entry["what"] for entry in ledger.trail(instance="a_1")] == ["one", "three"]
        first = ledger.trail(after=0, limit=1)[0]
        assert (first["what"], first["revision"]) == ("one", 2)
        assert [entry["what"] for entry in ledger.trail(after=first["id"])] == ["two", "three"]
        assert ledger.trail(after=ledger.trail(limit=1)[0]["id"]) == []

    def test_chains_its_trail(self, ledger: Any, opened: Open) -> None:
        assert ledger.verify_trail().head == ""
        ledger.commit(1, {}, [line("one"), line("two", instance="a_1")])
        ledger.commit(2, {})
        with opened() as other:
            other.commit(3, {}, [line("three")])
            found = other.verify_trail()
        assert (found.entries, found.unchained, found.first, found.last, found.broken) == (3, 0, 1, 3, "")
        assert found.head

    def test_takes_a_commit_of_thousands_whole(self, ledger: Any, opened: Open) -> None:
        claims = {"scen2_srv_%04d" % number: claim(1, "server_%d" % (number % 40)) for number in range(3000)}
        asked = {"state": "started", "host": None, "by": "eve", "why": "first seen", "at": 1.0}
        wanted = dict.fromkeys(claims, asked)
        trail = [line("first seen", instance=name) for name in claims]
        revision = ledger.commit(1, {"claims": claims, "wanted": wanted}, trail)
        with opened() as other:
            state, found = other.read()
            assert (state["claims"], state["wanted"], found) == (claims, wanted, revision)
            assert other.trail(limit=3)[-1]["instance"] == "scen2_srv_2999"
            assert other.trail(after=2998, limit=9)[0]["instance"] == "scen2_srv_2998"

    def test_lets_one_of_several_win_each_revision_and_loses_no_commit(self, ledger: Any, opened: Open) -> None:
        """Each counts up what it read: a commit that got lost, or was written twice, is missing in the sum."""
        each, failed = 8, []

        def count(name: str) -> None:
            done = 0
            with opened() as mine:
                while done < each:
                    state, revision = mine.read()
                    number = state["meta"]["last_run"] + 1
                    try:
                        mine.commit(revision, {"meta": {"last_run": number}}, [line(name)])
                        done += 1
                    except store.LostRace:
                        continue
                    except BaseException as error:
                        failed.append(error)
                        raise

        threads = [threading.Thread(target=count, args=("writer %d" % number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        state, revision = ledger.read()
        assert (state["meta"]["last_run"], revision) == (3 * each, 1 + 3 * each)
        entries = ledger.trail(limit=1000)
        assert [entry["revision"] for entry in entries] == list(range(2, 2 + 3 * each))
        assert [entry["id"] for entry in entries] == list(range(1, 1 + 3 * each))


def write_head(client: etcd.Client, name: str, head: str) -> None:
    question = {"success": [etcd.put("/muster/%s/head" % name, head)]}
    client.ask("/v3/kv/txn", question, time.monotonic() + 5, again=True)


class TestEtcd:
    @pytest.fixture
    def name(self, tmp_path: Path) -> str:
        return "%s-%x" % (tmp_path.name, time.time_ns())

    def test_reads_a_snapshot_and_what_came_after(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        with EtcdLedger(etcd.Client(cluster.clients), name) as ledger:
            ledger.create("s", "s-1")
            for revision in range(1, 2 * TAIL + 20):
                ledger.commit(revision, {"claims": {"a_%d" % (revision % 7): claim(revision)}}, [line(str(revision))])
            with EtcdLedger(etcd.Client(cluster.clients), name) as other:
                assert other.read() == ledger.read()
                head = other._head()
                assert head is not None and 0 < head.base < head.revision
                assert len(other.trail(limit=1000)) == 2 * TAIL + 19

    def test_of_a_newer_version_is_left_alone(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        client = etcd.Client(cluster.clients)
        with EtcdLedger(client, name) as ledger:
            ledger.create("s", "s-1")
            write_head(client, name, '{"schema": 99, "revision": 1, "base": 0, "entries": 0}')
            for verb in (ledger.read, lambda: ledger.commit(1, {})):
                with pytest.raises(store.LedgerError, match="written by a newer muster"):
                    verb()

    def test_that_was_put_back_to_an_older_copy_is_refused(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        client = etcd.Client(cluster.clients)
        with EtcdLedger(client, name) as ledger:
            ledger.create("s", "s-1")
            ledger.commit(1, {})
            ledger.read()
            write_head(client, name, '{"schema": 3, "revision": 1, "base": 0, "entries": 0}')
            with pytest.raises(store.LedgerDamaged, match="went back from revision 2 to 1"):
                ledger.commit(1, {})

    def test_shows_an_entry_of_its_trail_that_somebody_changed(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        client = etcd.Client(cluster.clients)
        with EtcdLedger(client, name) as ledger:
            ledger.create("s", "s-1")
            for revision, what in enumerate(("one", "two", "three"), start=1):
                ledger.commit(revision, {}, [line(what)])
            key = "/muster/%s/log/%012d" % (name, 3)
            ask = {"success": [etcd.get(key)]}
            answer = client.ask("/v3/kv/txn", ask, time.monotonic() + 5, again=True)
            forged = etcd.found(answer["responses"][0])[0].value.replace("two", "nothing")
            client.ask("/v3/kv/txn", {"success": [etcd.put(key, forged)]}, time.monotonic() + 5, again=True)
            assert ledger.verify_trail().broken == "entry 2 was changed, or what was before it"

    def test_an_unknown_outcome_is_said_to_be_one(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        with EtcdLedger(etcd.Client(cluster.clients), name) as ledger:
            ledger.create("s", "s-1")
            ledger.read()
        wire = etcd_cluster.BadWire(cluster.clients[0], 1, share=0.0)
        try:
            with EtcdLedger(etcd.Client([wire.url]), name, patience=1.0) as ledger:
                ledger.read()
                fates = iter([""] + ["answer"] * 1000)  # it reads the head, and then no answer comes any more
                wire.fate = lambda: next(fates)  # type: ignore[method-assign]
                with pytest.raises(store.Outcome, match="whether revision 2 of the ledger was written is not known"):
                    ledger.commit(1, {"claims": {"a_1": claim(1)}})
        finally:
            wire.end()
        with EtcdLedger(etcd.Client(cluster.clients), name) as ledger:
            assert ledger.read()[1] == 2


class TestAMove:
    def test_to_etcd_and_back_keeps_everything_and_runs_go_on(
        self, cluster: etcd_cluster.Cluster, room: Room, tmp_path: Path
    ) -> None:
        room.open()
        room.run("deploy")
        folder = room.site.state_dir
        before, trail = moved(folder), ledgers.open_ledger(folder).trail(limit=1000)
        moving.move(folder, {"etcd": cluster.clients})
        assert isinstance(ledgers.open_ledger(folder), EtcdLedger)
        assert moved(folder) == before
        with ledgers.open_ledger(folder) as ledger:
            assert ledger.trail(limit=1000) == trail
            assert (ledger.verify_trail().broken, ledger.verify_trail().unchained) == ("", 0)
        room.run("restart", instances=["scen2_srv_02"])
        assert room.run()["requests"] == {}
        with Ledger(str(Path(folder) / "ledger.db")) as old, pytest.raises(store.LedgerMoved, match="moved to etcd"):
            old.commit(old.read()[1], {})
        before = moved(folder)
        with ledgers.open_ledger(folder) as ledger:
            copy = ledger.backup()
        moving.move(folder, {})
        assert isinstance(ledgers.open_ledger(folder), Ledger)
        assert moved(folder) == before
        with Ledger(copy, copy=True) as backup:
            assert (backup.everything(), backup.trail(limit=1000)) == (
                before, ledgers.open_ledger(folder).trail(limit=1000))  # fmt: skip
        assert room.run()["requests"] == {}
        moving.move(folder, {"etcd": cluster.clients})
        assert moved(folder)[1] >= before[1]
        with ledgers.open_ledger(folder) as ledger:
            ledger.clear()  # type: ignore[union-attr]

    @pytest.mark.parametrize("step", ["fill", "retire", "write_document"])
    def test_that_is_interrupted_is_finished_by_the_next_one(
        self, cluster: etcd_cluster.Cluster, room: Room, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room.open()
        room.run("deploy")
        folder = room.site.state_dir
        before = moved(folder)
        holder: Any = {"fill": EtcdLedger, "retire": Ledger, "write_document": moving.publish}[step]
        done = getattr(holder, step)

        def interrupted(*arguments: Any) -> None:
            done(*arguments) if step == "retire" else None
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(holder, step, interrupted)
            moving.move(folder, {"etcd": cluster.clients})
        assert isinstance(ledgers.open_ledger(folder), Ledger)
        moving.move(folder, {"etcd": cluster.clients})
        assert moved(folder) == before
        with ledgers.open_ledger(folder) as ledger:
            ledger.clear()  # type: ignore[union-attr]


def moved(folder: str) -> Any:
    """All records of the ledger with the revisions at which they were written, and its own."""
    with ledgers.open_ledger(folder) as ledger:
        return ledger.everything()
