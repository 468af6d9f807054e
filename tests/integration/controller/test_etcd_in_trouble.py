# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger in an etcd that lost members, its disk or its room: each of these has a cluster of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.controller import etcd, store
from monitor.core.controller.etcd_ledger import EtcdLedger
from monitor.core.controller.seat import Seat
from tests.integration.controller import etcd_cluster
from tests.integration.local_site import wait_for
from tests.unit.controller.ledgers import claim, line


def test_a_ledger_goes_on_without_a_member_and_ends_in_a_sentence_without_a_majority(tmp_path: Path) -> None:
    etcd_cluster.needed()
    cluster = etcd_cluster.Cluster(tmp_path)
    try:
        with EtcdLedger(etcd.Client(cluster.clients, timeout=0.5), "s", patience=20.0) as ledger:
            ledger.create("s", "s-1")
            cluster.send(0, signal.SIGKILL)
            assert ledger.commit(1, {"claims": {"a_1": claim(1)}}) == 2
            cluster.send(1, signal.SIGSTOP)
            ledger.patience = 1.5
            with pytest.raises(store.LedgerError, match=r"could not be read within|is not known"):
                ledger.commit(2, {"claims": {"a_1": claim(2)}})
            cluster.send(1, signal.SIGCONT)
            cluster.start(0)
            cluster.wait()
            ledger.patience = 20.0
            state, revision = ledger.read()
            assert (state["claims"]["a_1"]["epoch"], revision) == (revision - 1, revision)
    finally:
        cluster.end()


def leading_member(cluster: etcd_cluster.Cluster) -> str:
    """The url of the member that leads the others; "" while none does."""
    for alone in (etcd.Client([url], timeout=1.0) for url in cluster.clients):
        with contextlib.suppress(etcd.EtcdError), contextlib.closing(alone):
            state = alone.ask("/v3/maintenance/status", {}, time.monotonic() + 1, again=True)
            if state.get("leader") == state["header"]["member_id"]:
                return alone._members[0].url
    return ""


@pytest.mark.parametrize("another_is_gone", [False, True])
def test_the_member_beside_the_leading_monitor_leaves_the_lead_of_members_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_is_gone: bool
) -> None:
    """A controller without power took both leads along: the next one led after 4.2 s, and not after 2.2."""
    etcd_cluster.needed()
    cluster = etcd_cluster.Cluster(tmp_path)
    try:
        here = wait_for(lambda: leading_member(cluster), "a member leads")
        monkeypatch.setattr(etcd, "is_here", lambda url: url == here)
        if another_is_gone:
            cluster.send(next(n for n, url in enumerate(cluster.clients) if url != here), signal.SIGKILL)
        seat = Seat(etcd.Client(cluster.clients, timeout=1.0), "s", "c1")
        seat.grant(5.0)
        term = seat.sit(5.0).term
        assert seat.ours and seat.stand_aside(5.0)
        wait_for(lambda: leading_member(cluster) not in ("", here), "another member leads")
        assert not seat.stand_aside(5.0), "it does not lead any more"
        assert seat.keep(5.0) and (seat.sit(5.0).term, seat.ours) == (term, True)
    finally:
        cluster.end()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small one of its own, as root."""
    etcd_cluster.needed()
    if os.geteuid():
        pytest.skip("only root can mount a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=140m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
def test_one_whose_disk_is_full_takes_no_commit_and_goes_on_with_room(disk: Path) -> None:
    cluster = etcd_cluster.Cluster(disk, members=1)  # its log alone takes 64 MB at once
    try:
        with EtcdLedger(etcd.Client(cluster.clients), "s", patience=3.0) as ledger:
            ledger.create("s", "s-1")
            ledger.commit(1, {"claims": {"a_1": claim(1)}})
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as handle:
                while True:
                    handle.write(b"x" * 65536)
            failed: store.LedgerError | None = None
            for number in range(200):
                try:
                    ledger.commit(ledger.read()[1], {"meta": {"last_run": number}}, [line("y" * 30_000)])
                except store.LedgerError as error:
                    failed = error
                    break
            assert failed is not None
            filler.unlink()
            if cluster.ended(0):
                cluster.start(0)
            cluster.wait()
            ledger.patience = 20.0
            state, revision = ledger.read()
            assert state["claims"]["a_1"] == claim(1)
            assert ledger.commit(revision, {"claims": {"a_1": claim(2)}}) == revision + 1
            assert ledger.verify_trail().broken == ""
    finally:
        cluster.end()


def test_one_that_has_used_up_its_quota_says_so_and_changes_nothing(tmp_path: Path) -> None:
    etcd_cluster.needed()
    cluster = etcd_cluster.Cluster(tmp_path, members=1, quota=2_000_000)
    try:
        with EtcdLedger(etcd.Client(cluster.clients), "s", patience=3.0) as ledger:
            ledger.create("s", "s-1")
            with pytest.raises(store.LedgerError, match="database space exceeded"):
                for _unused in range(20):
                    ledger.commit(ledger.read()[1], {}, [line("y" * 250_000)])
            assert ledger.verify_trail().broken == ""
            assert ledger.read()[1] == len(ledger.trail(limit=1000)) + 1
    finally:
        cluster.end()
