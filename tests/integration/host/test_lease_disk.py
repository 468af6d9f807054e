# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a host stands still: that ends nothing. A fence does, although no signal ends who waits for a disk.

With supervisor only: the machine of `test_systemd_contract` may mount no disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host.lease import kernel
from monitor.core.host.machine import procs
from tests.integration.disks_that_freeze import Disks, needs_disks
from tests.integration.host.host_in_a_folder import program, wait_for
from tests.integration.host.leased_hosts import TERMS, Leased

pytestmark = needs_disks


@pytest.fixture(name="disk")
def disk_fixture(tmp_path: Path) -> Iterator[Disks]:
    made = Disks(tmp_path, 1, mode=0o755)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(name="leased")
def leased_fixture(disk: Disks) -> Iterator[Leased]:
    made = Leased(str(disk.mounts[0]))
    try:
        yield made
    finally:
        disk.thaw()
        made.close()


def start(leased: Leased) -> dict[str, int]:
    one = leased.hosts["one"]
    one.define("app_01", [program("bus", 1, environment={"MUSTER_BUS": "stop_application"}), program("view", 2)])
    result = one.do("start", "app_01", 1)
    assert result["result"] == "running", result
    return one.pids("app_01")


def session(leased: Leased) -> str:
    return Path(leased.hosts["one"].root, "run/lease").read_text().splitlines()[1]


def held_up(pid: int) -> bool:
    """Whether a process waits for a disk in a way that no signal ends."""
    return any(Path("/proc/%d/task" % pid, task.name, "stat").read_text().rpartition(")")[2].split()[0] == "D"
               for task in Path("/proc/%d/task" % pid).iterdir())  # fmt: skip


def test_what_runs_outlives_a_disk_that_stands_still_for_some_leases(leased: Leased, disk: Disks) -> None:
    pids, lease = start(leased), session(leased)
    disk.freeze(0)
    until = kernel.now() + 4 * TERMS.length
    wait_for(lambda: kernel.now() > until, "some leases", 30)
    disk.thaw()
    one = leased.hosts["one"]
    wait_for(lambda: one.observe()["lease"].get("held"), "it holds its lease", 20)
    assert one.pids("app_01") == pids and session(leased) == lease


def test_a_fence_ends_what_runs_although_the_guard_waits_for_its_disk(leased: Leased, disk: Disks) -> None:
    pids = start(leased)
    guard = leased.guard("one")
    disk.freeze(0)
    wait_for(lambda: held_up(guard), "the guard waits for its disk", 20)
    leased.fence("one")
    assert not any(procs.alive(pid) for pid in pids.values())
