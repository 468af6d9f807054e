# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of etcd's members stand still, and the members do not: who leads stops in time, and nothing is doubled.

Each member has a disk of its own, a file with ext4 that is frozen again and again: what a member writes down waits, and
it goes on answering what it need not write. It is the failure of a dying or overloaded disk.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.controller import store
from monitor.core.controller.etcd_ledger import EtcdLedger
from monitor.core.controller.seat import Seat
from monitor.judge.leading import Leading
from monitor.lead.session import Session, now
from tests.integration.controller import etcd_cluster
from tests.integration.disks_that_freeze import Disks, needs_disks
from tests.leftovers import own
from tests.unit.controller.ledgers import claim

LENGTH = 2  # s, of the lease of who leads
pytestmark = [pytest.mark.long, needs_disks]


class Contender:
    """A monitor as far as leading goes; it commits as long as it believes to lead."""

    def __init__(self, cluster: etcd_cluster.Cluster, site: str, name: str) -> None:
        self.leading = Leading(name, LENGTH)
        self._lock = threading.Lock()
        self._session = Session(Seat(cluster.client(), site, name, LENGTH), LENGTH, self._told)
        self._ledger = EtcdLedger(cluster.client(), site, patience=1.0)
        self._over = threading.Event()
        self._worker = threading.Thread(target=self._work, daemon=True)
        self.commits: list[tuple[int, int]] = []  # term, revision
        self.refused = 0

    def start(self) -> None:
        self._session.start()
        self._worker.start()

    def end(self) -> None:
        self._over.set()
        self._worker.join(20)
        self._session.end(5)

    def leads(self) -> bool:
        with self._lock:
            return self.leading.leads(now())

    def _told(self, apply: object) -> None:
        with self._lock:
            apply(self.leading)  # type: ignore[operator]

    def _work(self) -> None:
        while not self._over.wait(0.02):
            with self._lock:
                term = self.leading.sitting.term if self.leading.leads(now()) else 0
            if not term:
                continue
            try:
                self._ledger.term = term
                state, revision = self._ledger.read()
                epoch = int((state["claims"].get("a_1") or {}).get("epoch") or 0)
                self.commits.append((term, self._ledger.commit(revision, {"claims": {"a_1": claim(epoch + 1)}})))
            except store.NotLeading:
                self.refused += 1
            except store.LedgerError:
                continue  # no answer: what became of it is known when it is asked again


@pytest.fixture(name="slow")
def slow_fixture(tmp_path: Path) -> Iterator[tuple[etcd_cluster.Cluster, Disks]]:
    etcd_cluster.needed()
    own(tmp_path, keep=True)
    disks = Disks(tmp_path, 3)
    cluster = None
    try:
        cluster = etcd_cluster.Cluster(tmp_path)
        yield cluster, disks
    finally:
        disks.thaw()
        if cluster is not None:
            cluster.end()
        disks.end()


def test_disks_that_stand_still_leave_at_most_one_leader_and_one_history(
    slow: tuple[etcd_cluster.Cluster, Disks],
) -> None:
    cluster, disks = slow
    with EtcdLedger(cluster.client(), "slow") as ledger:
        ledger.create("slow", "slow-1")
    both = [Contender(cluster, "slow", name) for name in ("c1", "c2")]
    over, seen = threading.Event(), {"none": 0, "one": 0, "two": 0}

    def watch() -> None:
        while not over.wait(0.005):
            seen[("none", "one", "two")[sum(one.leads() for one in both)]] += 1

    watching = threading.Thread(target=watch, daemon=True)
    for one in both:
        one.start()
    watching.start()
    chance = random.Random(13)
    try:
        _until(lambda: any(one.commits for one in both), "one leads and commits")
        for burst in range(8):
            stand_still = range(3) if burst % 2 else chance.sample(range(3), 2)
            for number in stand_still:
                disks.freeze(number)
            if burst % 2:  # for longer than a lease: the leader must have stopped by itself
                _until(lambda: not any(one.leads() for one in both), "nobody leads while no member writes")
            else:
                time.sleep(chance.uniform(0.2, LENGTH))  # the fault itself: how long a disk stands still
            disks.thaw()
            before = sum(len(one.commits) for one in both)
            _until(lambda: sum(len(one.commits) for one in both) > before + 3, "commits go on")  # noqa: B023
    finally:
        disks.thaw()
        over.set()
        watching.join(10)
        for one in both:
            one.end()
    assert seen["two"] == 0 and seen["one"] > 100, seen
    done = sorted((revision, term) for one in both for term, revision in one.commits)
    revisions = [revision for revision, _term in done]
    assert len(set(revisions)) == len(revisions), "no revision was given twice"
    terms = [term for _revision, term in done]
    assert terms == sorted(terms), "nothing of an earlier term was written after a later one"
    with EtcdLedger(cluster.client(), "slow") as ledger:
        state, _revision = ledger.read()
    # Commits whose answer was lost may have been written, too; none was counted that was not.
    assert state["claims"]["a_1"]["epoch"] >= len(done)


def test_one_slow_disk_of_three_stops_nothing(slow: tuple[etcd_cluster.Cluster, Disks]) -> None:
    cluster, disks = slow
    with EtcdLedger(cluster.client(), "slow") as ledger:
        ledger.create("slow", "slow-1")
    one = Contender(cluster, "slow", "c1")
    one.start()
    try:
        for number in range(3):
            _until(lambda: one.leads() and one.commits, "it leads")
            disks.freeze(number)
            before = len(one.commits)
            _until(lambda: len(one.commits) > before + 5, "commits go on without member %d" % number)  # noqa: B023
            disks.thaw()
    finally:
        disks.thaw()
        one.end()


def _until(condition: object, what: str, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "%s: not within %g s" % (what, within)
        time.sleep(0.01)

