# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger in an etcd that lost members, its disk or its room: each of these has a cluster of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.controller import etcd, store
from monitor.core.controller.etcd_ledger import EtcdLedger
from tests.integration.controller import etcd_cluster
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
