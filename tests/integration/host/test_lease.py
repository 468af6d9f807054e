# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lease on real hosts: it begins, allows starts, and ends what runs when it ends, whatever stands still."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from monitor.core.host.lease import allowed, kernel
from monitor.core.host.machine import procs
from tests.integration.host.host_in_a_folder import Host, kill, only_supervisor, program, wait_for
from tests.integration.host.leased_hosts import TERMS, Leased, leased_fixture  # noqa: F401 - a fixture

pytestmark = only_supervisor


def start(host: Host, instance: str = "app_01", epoch: int = 1) -> dict[str, int]:
    host.define(instance, [program("bus", 1, environment={"MUSTER_BUS": "stop_application"}), program("view", 2)])
    result = host.do("start", instance, epoch)
    assert result["result"] == "running", result
    return host.pids(instance)


def log(host: Host) -> str:
    return Path(host.root, "log/supervisord.log").read_text()


def test_a_fenced_host_has_stopped_everything_when_the_fence_says_so(
    leased: Leased, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    monkeypatch.setattr(allowed, "_PATIENCE", 0.1)  # of an act that waits for a lease
    supervisord = one.manager_pid()
    leased.fence("one")
    assert not any(procs.alive(pid) for pid in pids.values())
    wait_for(lambda: "nothing that needed it runs" in log(one), "the guard says that it stopped everything")
    assert procs.alive(supervisord), "host services go on"
    seen = one.observe()
    assert seen["lease"]["held"] is False and seen["lease"]["witnesses"] == sorted(leased.hosts)
    assert seen["instances"]["app_01"]["ended"]["program"] == "*lease"
    refused = one.do("start", "app_01", 2)
    assert refused["result"] == "refused" and "holds no lease" in refused["reason"], refused
    # By hand, past muster: muster-exec refuses.
    Path(one.root, "run/claims/app_01").write_text("3\n")

    def refuses() -> bool:
        one.ctl("start", "app_01:*")  # the guard may end it before it has said so
        return "holds no lease" in one.log("app_01", "view")

    wait_for(refuses, "muster-exec refuses", 20)
    wait_for(lambda: not one.processes("app_01"), "none of them has become the program")


def test_a_host_that_stands_still_has_ended_when_the_fence_says_so(leased: Leased) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    stopped = [one.manager_pid(), *pids.values()]
    for pid in stopped:
        kill(pid, signal.SIGSTOP)
    leased.fence("one")
    assert not any(procs.alive(pid) for pid in stopped)


@pytest.mark.long
def test_without_a_majority_of_witnesses_everything_stops(leased: Leased) -> None:
    one = leased.hosts["one"]
    pids = start(one)
    for name in ("two", "three"):
        kill(leased.hosts[name].manager_pid(), signal.SIGSTOP)
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
    one.ctl("start", "app_01:view")
    wait_for(lambda: "of an earlier lease" in one.log("app_01", "view"), "muster-exec refuses")
    assert "view" not in one.pids("app_01")


def test_a_program_dies_when_its_service_manager_dies_before_it_is_executed(leased: Leased) -> None:
    """The parent that muster-exec looks for is not the one that runs it here."""
    one = leased.hosts["one"]
    start(one)
    environment = {"MUSTER_ROOT": one.root, "MUSTER_INSTANCE": "app_01", "MUSTER_HOST": "one",
                   "PATH": os.environ["PATH"]}  # fmt: skip
    done = subprocess.run([one.root + "/bin/muster-exec", "/bin/echo", "runs"], env=environment, text=True,
                          capture_output=True, timeout=30, check=False)  # fmt: skip
    assert done.returncode == 78 and "service manager that started this has ended" in done.stderr, done


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
