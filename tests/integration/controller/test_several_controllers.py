# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several controllers share in a real etcd: who leads, documents beside the ledger, certificates."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.controller import etcd, joining, ledgers, publish, shared, store
from monitor.core.controller.etcd_ledger import EtcdLedger
from monitor.core.controller.seat import Seat
from monitor.core.model.place import LedgerPlace
from monitor.core.model.site import site_to_json
from tests.integration.controller import etcd_cluster
from tests.integration.controller.data_hosts import Room
from tests.unit.controller.ledgers import claim

SOON = 2.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[etcd_cluster.Cluster]:
    """Of one member that only lets in who has a certificate."""
    etcd_cluster.needed()
    folder = tmp_path_factory.mktemp("tls")
    etcd_cluster.certificates(folder)
    made = etcd_cluster.Cluster(folder, members=1, tls=folder)
    made.folder = folder  # type: ignore[attr-defined]
    yield made
    made.end()


@pytest.fixture
def name() -> str:
    return "site-%x" % time.time_ns()


class TestWhoLeads:
    def test_a_commit_counts_only_in_the_term_that_wanted_it(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        first, second = (Seat(cluster.client(), name, controller) for controller in ("c1", "c2"))
        with EtcdLedger(cluster.client(), name) as old, EtcdLedger(cluster.client(), name) as new:
            old.create("s", "s-1")
            for seat in (first, second):
                seat.grant(SOON)
            old.term = first.sit(SOON).term
            assert old.commit(1, {"claims": {"a_1": claim(1)}}) == 2
            assert second.sit(SOON)._replace(since=0) == (("c1", old.term, 0, False, ("c1", "c2")))
            first.leave(SOON)
            with pytest.raises(store.NotLeading, match="no longer leads \\(at present none does\\): nothing was done"):
                old.commit(2, {"claims": {"a_1": claim(2)}})
            new.term = second.sit(SOON).term
            assert new.commit(2, {"claims": {"a_1": claim(3)}}) == 3
            with pytest.raises(store.NotLeading, match="no longer leads \\(c2 does\\)"):
                old.commit(3, {"claims": {"a_1": claim(4)}})
            old.term = 0  # the word of hosts about what was done always counts
            assert old.commit(3, {}) == 4
            assert new.read()[0]["claims"]["a_1"]["epoch"] == 3

    def test_a_lease_that_is_not_kept_ends_and_the_next_one_leads(
        self, cluster: etcd_cluster.Cluster, name: str
    ) -> None:
        first, second = (Seat(cluster.client(), name, controller) for controller in ("c1", "c2"))
        first.grant(SOON)
        term = first.sit(SOON).term
        second.grant(SOON)
        deadline = time.monotonic() + 80
        while not (sitting := second.sit(SOON)).ours:
            assert second.keep(SOON) > 0 and time.monotonic() < deadline
            time.sleep(0.1)
        assert sitting.term > term and first.keep(SOON) == 0

    def test_one_that_has_just_started_leaves_the_lead_to_one_that_is_warm(
        self, cluster: etcd_cluster.Cluster, name: str
    ) -> None:
        """A monitor that was killed and started again led first, without lines and without a run: 8.7 s, not 3.4."""
        killed, warm, cold = (Seat(cluster.client(), name, controller) for controller in ("c1", "c2", "c3"))
        cold.warm = False
        for seat in (killed, warm, cold):
            seat.grant(SOON)
            seat.sit(SOON)
        assert killed.ours and not cold.ours
        killed.leave(SOON)
        assert cold.sit(SOON) == ("", 0, 0.0, False, ("c2", "c3"))
        assert warm.sit(SOON).ours
        warm.leave(SOON)
        assert cold.sit(SOON).ours, "nobody is warm"

    def test_an_answer_comes_back_by_the_ledger(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        first, second = (Seat(cluster.client(), name, controller) for controller in ("c1", "c2"))
        assert second.answered("r1", SOON) == {}
        first.answer("r1", {"ok": True, "said": ["done"]}, SOON)
        assert second.answered("r1", SOON) == {"ok": True, "said": ["done"]}


class TestADocumentBesideTheLedger:
    def test_takes_the_place_of_the_one_before_whole(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        with EtcdLedger(cluster.client(), name) as ledger:
            assert ledger.take("held", "site") == ""
            for text in ("x" * 700_000, "y" * 300_000):
                ledger.hold("held", "site", text)
                assert ledger.take("held", "site") == text
            assert len(ledger._page(ledger._key("part", ""), 1000)) == 2  # none of the first is left
            ledger.let_go("held", "site")
            assert ledger.take("held", "site") == "" and ledger.held("held") == {}

    def test_is_published_by_the_others(self, cluster: etcd_cluster.Cluster, room: Room, tmp_path: Path) -> None:
        place = LedgerPlace(tuple(cluster.clients), *(str(cluster.folder / file) for file in  # type: ignore[attr-defined]
                                                      ("ca.pem", "controller.pem", "controller.key")))  # fmt: skip
        room.site = dataclasses.replace(room.site, controllers=("c1", "c2"), ledger=place, name="s%x" % time.time_ns())
        room.document = site_to_json(room.site)
        assert joining.join(room.site, "c1", check=False)
        room.open()
        room.run("deploy")
        other = dataclasses.replace(room.site, state_dir=str(tmp_path / "other"))
        assert joining.join(other, "c2", check=False) and not joining.join(other, "c2", check=False)
        with ledgers.open_ledger(other.state_dir) as ledger:
            assert shared.take(ledger, other.state_dir)
        here, there = (
            {name: publish.read_published(folder, name) for name in ("site.json", "watch.json")}
            for folder in (room.site.state_dir, other.state_dir)
        )
        assert there["site.json"]["site"].pop("state_dir") != here["site.json"]["site"].pop("state_dir")
        assert there == here
        assert json.loads((tmp_path / "other" / "ledger.json").read_text())["controller"] == "c2"


class TestAnOlderCopyThatWasPutBack:
    def test_is_refused_until_a_deploy_goes_on_above_it(self, cluster: etcd_cluster.Cluster, room: Room) -> None:
        place = LedgerPlace(tuple(cluster.clients), *(str(cluster.folder / file) for file in  # type: ignore[attr-defined]
                                                      ("ca.pem", "controller.pem", "controller.key")))  # fmt: skip
        room.site = dataclasses.replace(room.site, controllers=("c1", "c2"), ledger=place, name="s%x" % time.time_ns())
        room.document = site_to_json(room.site)
        joining.join(room.site, "c1", check=False)
        room.open()
        room.run("deploy")
        folder = room.site.state_dir
        with ledgers.open_ledger(folder) as other:
            records, revision = other.everything()
            told = list(other.trail(limit=1000))
            room.run("restart", instances=["scen2_srv_02"])
            newest = other.read()[1]
            assert newest > revision
            other.clear()  # type: ignore[union-attr]
            other.fill(records, revision, told)
            refused = room.error("plan", request={"kind": "reconcile"}, observations={}, digests={})
            assert "is at revision %d, and revision %d was published here" % (revision, newest) in refused
            assert "muster deploy goes on above it" in room.error("open_site")
            room.open()
            room.run("deploy")
            state, found = other.read()  # one that knew what was lost reads all again
            assert found > newest
            with ledgers.open_ledger(folder) as fresh:
                assert fresh.read() == (state, found)


class TestCertificates:
    def test_who_has_none_is_not_let_in(self, cluster: etcd_cluster.Cluster, name: str) -> None:
        ca = str(cluster.folder / "ca.pem")  # type: ignore[attr-defined]
        ledger = EtcdLedger(etcd.Client(cluster.clients, ca), name, patience=0.5)
        with pytest.raises(store.LedgerError, match="could not be read"):
            ledger.read()

    def test_of_a_member_that_the_authority_did_not_sign_are_refused(
        self, cluster: etcd_cluster.Cluster, name: str
    ) -> None:
        ledger = EtcdLedger(etcd.Client(cluster.clients), name)
        with pytest.raises(store.LedgerError, match="certificate verify failed"):
            ledger.read()

    def test_that_cannot_be_read_are_a_sentence(self, cluster: etcd_cluster.Cluster, tmp_path: Path) -> None:
        place = {"etcd": cluster.clients, "site": "s", "ca": str(tmp_path / "none.pem")}
        with pytest.raises(store.LedgerError, match="certificates cannot be read"):
            ledgers.in_etcd(place, str(tmp_path))


def test_a_site_whose_ledger_is_still_in_the_folder_says_what_to_do(room: Room, tmp_path: Path) -> None:
    room.open()
    room.run("deploy")
    site = dataclasses.replace(room.site, ledger=LedgerPlace(("http://127.0.0.1:1",)))
    with pytest.raises(store.LedgerError, match="stop the monitor, and move it with muster ledger move --to http"):
        joining.join(site, "c1", check=False)
    assert ledgers.where(site.state_dir) == {}
