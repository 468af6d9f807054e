# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lease on real hosts: it begins, allows starts, and ends what runs when it ends, whatever stands still.

`test_systemd_contract` runs all of it once more where the hosts have systemd.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from monitor.core.host import ledger_copies
from monitor.core.host.lease import allowed, kernel
from monitor.core.host.machine import procs
from tests.integration.host.host_in_a_folder import (
    Host,
    kill,
    only_supervisor,
    only_systemd,
    program,
    unit_of,
    wait_for,
)
from tests.integration.host.host_texts import MANAGER
from tests.integration.host.leased_hosts import TERMS, Leased, leased_fixture  # noqa: F401 - a fixture


def by_hand(host: Host, instance: str, *programs: str) -> None:
    """Start programs past muster."""
    for name in programs:
        if MANAGER == "systemd":
            subprocess.run(["systemctl", "start", "--no-block", unit_of(instance, name)], timeout=30, check=False)
        else:
            host.ctl("start", "%s:%s" % (instance, name))


def start(host: Host, instance: str = "app_01", epoch: int = 1) -> dict[str, int]:
    host.define(instance, [program("bus", 1, environment={"MUSTER_BUS": "stop_application"}), program("view", 2)])
    result = host.do("start", instance, epoch)
    assert result["result"] == "running", result
    return host.pids(instance)


def log(host: Host) -> str:
    if MANAGER == "systemd":
        command = ["journalctl", "-q", "-o", "cat", "_SYSTEMD_UNIT=muster-lease:%s.service" % host.facts["host"]]
        return subprocess.run(command, check=True, timeout=30, capture_output=True, text=True).stdout
    return Path(host.root, "log/supervisord.log").read_text()


def test_a_fenced_host_has_stopped_everything_when_the_fence_says_so(
    leased: Leased, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    monkeypatch.setattr(allowed, "_PATIENCE", 0.1)  # of an act that waits for a lease
    manager = leased.guard("one")
    leased.fence("one")
    assert not any(procs.alive(pid) for pid in pids.values())
    wait_for(lambda: "nothing that needed it runs" in log(one), "the guard says that it stopped everything")
    assert procs.alive(manager), "host services go on"
    seen = one.observe()
    assert seen["lease"]["held"] is False and seen["lease"]["witnesses"] == sorted(leased.hosts)
    assert seen["instances"]["app_01"]["ended"]["program"] == "*lease"
    refused = one.do("start", "app_01", 2)
    assert refused["result"] == "refused" and "holds no lease" in refused["reason"], refused
    # By hand, past muster: muster-exec refuses.
    Path(one.root, "run/claims/app_01").write_text("3\n")

    def refuses() -> bool:
        by_hand(one, "app_01", "bus", "view")  # the guard may end it before it has said so
        return "holds no lease" in one.log("app_01", "view")

    wait_for(refuses, "muster-exec refuses", 20)
    wait_for(lambda: not one.processes("app_01"), "none of them has become the program")


def test_programs_end_in_their_order_with_the_lease(leased: Leased) -> None:
    one = leased.hosts["one"]
    one.prepare(lease=leased.settings("one", margin=0.8))
    order = ["view", "core", "bus"]
    programs = [program(name, 3 - rank, ["dummy/witness"]) for rank, name in enumerate(order)]
    one.define("app_01", programs[::-1])
    assert one.do("start", "app_01", 1)["result"] == "running"
    one.witness()
    leased.fence("one")
    assert not one.processes("app_01")
    ended = [line.split()[1] for line in one.witness() if line.startswith("stop ")]
    assert ended and ended == order[: len(ended)], "an overloaded machine kills the rest at the deadline"


def test_a_host_that_stands_still_has_ended_when_the_fence_says_so(leased: Leased) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    stopped = [leased.guard("one"), *pids.values()]
    for pid in stopped:
        kill(pid, signal.SIGSTOP)
    leased.fence("one")
    assert not any(procs.alive(pid) for pid in stopped)


@pytest.mark.long
def test_without_a_majority_of_witnesses_everything_stops(leased: Leased) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    for name in ("two", "three"):
        kill(leased.guard(name), signal.SIGSTOP)
    wait_for(lambda: not any(procs.alive(pid) for pid in pids.values()), "the instance is stopped", 15)
    assert "no majority of the witnesses answers" in log(one)


def test_a_start_that_stood_still_while_the_lease_ended_starts_nothing(leased: Leased) -> None:
    one = leased.hosts["one"]
    start(one)
    claim = Path(one.root, "run/claims/app_01").read_text()
    assert "MUSTER_LEASE=" in claim
    Path(one.root, "run/claims/app_01").write_text(claim.replace("MUSTER_LEASE=", "MUSTER_LEASE=0"))
    pids = one.pids("app_01")
    os.kill(pids["view"], signal.SIGKILL)
    wait_for(lambda: "view" not in one.pids("app_01"), "the program ended")
    by_hand(one, "app_01", "view")
    wait_for(lambda: "of an earlier lease" in one.log("app_01", "view"), "muster-exec refuses")
    assert "view" not in one.pids("app_01")


@only_supervisor
def test_a_program_dies_when_its_service_manager_dies_before_it_is_executed(leased: Leased) -> None:
    """The parent that muster-exec looks for is not the one that runs it here."""
    one = leased.hosts["one"]
    start(one)
    environment = {"MUSTER_ROOT": one.root, "MUSTER_INSTANCE": "app_01", "MUSTER_HOST": "one",
                   "PATH": os.environ["PATH"]}  # fmt: skip
    done = subprocess.run([one.root + "/bin/muster-exec", "/bin/echo", "runs"], env=environment, text=True,
                          capture_output=True, timeout=30, check=False)  # fmt: skip
    assert done.returncode == 78 and "service manager that started this has ended" in done.stderr, done


@only_supervisor
def test_children_of_programs_end_with_supervisord(leased: Leased) -> None:
    one = leased.hosts["one"]
    one.define("app_01", [program("family", 1, ["dummy/family"])])
    assert one.do("start", "app_01", 1)["result"] == "running"
    group = one.pids("app_01")["family"]

    def of_group() -> list[int]:
        found = [(process.pid, procs.stat(process.pid)) for process in one.processes("app_01")]
        return [pid for pid, stat in found if stat is not None and stat.group == group]

    wait_for(lambda: len(of_group()) > 2, "the whole family")
    until = kernel.now() + TERMS.length
    wait_for(lambda: kernel.now() > until, "the guard had some turns")
    kill(one.manager_pid())
    wait_for(lambda: not of_group(), "the program and its children ended", 10)


@only_supervisor
@pytest.mark.long
def test_the_lease_goes_on_when_supervisord_is_reloaded(leased: Leased) -> None:
    one = leased.hosts["one"]
    start(one)
    session = Path(one.root, "run/lease").read_text().splitlines()[1]
    supervisord = one.manager_pid()
    one.ctl("reload")
    wait_for(lambda: one.known_to_manager() and one.processes("app_01") == [], "supervisord has begun again")
    begun = kernel.now()
    until = (begun + 2 * TERMS.length) * 100
    wait_for(lambda: int(Path(one.root, "run/lease").read_text().split()[0]) > until, "the lease goes on", 20)
    assert one.manager_pid() == supervisord
    assert Path(one.root, "run/lease").read_text().splitlines()[1] == session


@pytest.mark.parametrize("how", ["killed", "stopped by hand"])
@only_systemd
def test_the_end_of_the_guard_is_the_end_of_all_it_allowed(leased: Leased, how: str) -> None:
    one = leased.hosts["one"]
    one.define("app_01", [program("bus", 1), program("family", 2, ["dummy/family"])])
    assert one.do("start", "app_01", 1)["result"] == "running"
    before = leased.guard("one")
    assert len(one.processes("app_01")) > 3, "with a child that left the process group"
    if how == "killed":
        kill(before)
    else:
        subprocess.run(["systemctl", "stop", "muster-lease:one.service"], timeout=30, check=True)
    wait_for(lambda: not one.processes("app_01"), "all of it ended", 20)
    if how == "killed":
        wait_for(lambda: leased.guard("one") not in (0, before), "systemd starts the guard again", 20)
        assert one.observe()["instances"]["app_01"]["ended"]["program"] == "*lease"
    else:
        assert one.observe()["lease"]["guard"] is False, "it is reported, and a deploy starts it"
        assert "holds no lease" in one.do("restart", "app_01", 2)["reason"]
    assert one.prepare(lease=leased.settings("one"))["changed"] is (how != "killed")
    wait_for(lambda: one.observe()["lease"]["held"], "it holds a lease again", 20)
    assert one.do("restart", "app_01", 2)["result"] == "running"


def test_a_host_that_is_removed_keeps_no_key_and_no_copy_of_the_ledger(leased: Leased) -> None:
    one = leased.hosts["one"]
    copy = {"site_id": "s", "revision": 7, "at": 1.0, "digest": ledger_copies.digest("{}"), "text": "{}"}
    assert one.ask("keep", copy=copy) == {"kept": 7}
    assert one.ask("remove")["warnings"] == []
    assert not Path(one.root).exists()


def _threads(pid: int) -> list[str]:
    """What of a process has not ended: its files are closed with the last of its threads."""
    living = []
    with contextlib.suppress(OSError):
        for task in Path("/proc/%d/task" % pid).iterdir():
            stat = (task / "stat").read_text()
            if stat.rpartition(")")[2].split()[0] not in "ZX":
                living.append(stat)
    return living


@only_systemd
def test_what_is_bound_to_the_guard_needs_neither_guard_nor_systemd_to_end(leased: Leased) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    pid = leased.guard("one")
    # What is no program of an item is not bound, whatever anybody writes there: else this test would end here.
    Path(one.root, "run/guard").write_text("%d\n1\nnonsense\n%s\n" % (os.getpid(), "9" * 99))
    kill(pid, signal.SIGSTOP)  # it renews nothing; the kernel ends it, and with it what it bound
    wait_for(lambda: not _threads(pid), "the deadline came", 20)
    # No process had a turn between the end of the guard and that of the programs.
    assert not any(procs.alive(member) for member in pids.values())


@only_systemd
def test_switched_off_what_runs_goes_on(leased: Leased) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    assert one.prepare(lease=None)["changed"] is True
    wait_for(lambda: leased.guard("one") == 0, "the guard ended")
    assert one.pids("app_01") == pids and "lease" not in one.observe()
    assert one.prepare(lease=None)["changed"] is False
    assert one.do("restart", "app_01", 2)["result"] == "running"
    assert one.prepare(lease=leased.settings("one"))["changed"] is True
    wait_for(lambda: one.observe()["lease"]["held"], "it holds a lease", 20)
    assert one.do("restart", "app_01", 3)["result"] == "running"
    leased.fence("one")
    assert not one.processes("app_01")
