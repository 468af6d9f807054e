# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host without a monitor restarts what crashed by itself, as the last run allowed it; and nothing else.

`test_systemd_contract` runs all of it once more where the hosts have systemd.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host import contact
from monitor.core.host.alone import grants, helper
from monitor.core.host.machine import procs
from tests.integration.host.host_in_a_folder import Host, kill, program, wait_for
from tests.integration.host.host_texts import MANAGER
from tests.integration.host.leased_hosts import Leased

AFTER = 1.0  # s without a monitor
STRATEGIES = {"bus": "restart_application", "view": "restart_process", "core": "restart_process"}


def allowed(until: int, **other: Any) -> dict[str, Any]:
    return {"until": until, "used": 0, "limit": 5, "window": 600.0, "stable": 10.0, "waits": [0.0, 0.0, 2.0],
            "row": 0, "ages": [], "bus": "bus", "repair": "auto", "strategies": STRATEGIES, **other}  # fmt: skip


@pytest.fixture(name="leased", scope="module")
def shared_fixture() -> Iterator[Leased]:
    made = Leased()
    try:
        made.hosts["one"].prepare(lease=made.settings("one", alone=AFTER))
        yield made
    finally:
        made.close()


@pytest.fixture(name="one")
def one_fixture(leased: Leased) -> Iterator[Host]:
    """A host that holds a lease and has nothing of the tests before."""
    one = leased.hosts["one"]
    leased.lift("one")
    wait_for(lambda: one.observe()["lease"]["held"], "it holds a lease", 20)
    for folder in ("run/alone", "run/seen"):
        for path in Path(one.root, folder).iterdir():
            path.unlink()
    Path(one.root, "log/muster.log").unlink(missing_ok=True)
    Path(one.root, "var/open").unlink(missing_ok=True)
    one.define("app_01", [program("bus", 1, environment={"MUSTER_BUS": "restart_application"}),
                          program("core", 2), program("view", 3)])  # fmt: skip
    yield one
    one.do("stop", "app_01", 1000)
    wait_for(lambda: not helper_is_there(one), "nothing is left to help", 20)


def start(one: Host, epoch: int = 1, **other: Any) -> dict[str, int]:
    result = one.do("start", "app_01", epoch, alone=allowed(epoch + 10, **other))
    assert result["result"] == "running", result
    return one.pids("app_01")


def epochs(one: Host) -> set[int]:
    return {process.epoch for process in one.processes("app_01")}


def whole(one: Host, epoch: int) -> bool:
    return epochs(one) == {epoch} and set(one.pids("app_01")) == {"bus", "core", "view"}


def told(one: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = one.observe()["alone"]["app_01"]["attempts"]
    return found


def helper_is_there(one: Host) -> bool:
    return helper.helper(one.root) > 0


def test_a_crashed_bus_is_whole_again_without_a_monitor_and_reported(one: Host) -> None:
    pids = start(one)
    kill(pids["bus"])
    wait_for(lambda: whole(one, 2), "all of it runs under the next epoch", 30)
    assert not any(procs.alive(pid) for pid in pids.values())
    wait_for(lambda: told(one) and told(one)[0]["result"], "the attempt is over")
    [attempt] = told(one)
    assert (attempt["number"], attempt["did"], attempt["result"]) == (2, "restart", "running"), attempt
    assert "run *alone: restart app_01 (epoch 2" in Path(one.root, "log/muster.log").read_text()
    assert one.do("restart", "app_01", 2)["result"] == "running", "of the same epoch: there is nothing to do"
    assert one.do("restart", "app_01", 1)["result"] == "refused", "what the host used is used"


def test_a_program_is_started_alone_where_its_strategy_says_so(one: Host) -> None:
    pids = start(one)
    kill(pids["view"])
    wait_for(lambda: whole(one, 1) and one.pids("app_01")["view"] != pids["view"], "it runs again", 30)
    assert one.pids("app_01")["bus"] == pids["bus"]
    wait_for(lambda: told(one) and told(one)[0]["result"], "the attempt is over")
    assert [(a["number"], a["did"]) for a in told(one)] == [(2, "repair")]


def test_with_a_monitor_on_the_line_the_host_does_nothing(one: Host) -> None:
    pids = start(one)
    kill(pids["bus"])
    ended = contact.now()
    while contact.now() < ended + 4 * AFTER:  # it would have helped itself by then
        contact.note([one.root])
        assert 2 not in epochs(one)
        assert not helper_is_there(one)
    wait_for(lambda: whole(one, 2), "the monitor is gone, so it helps itself", 30)
    wait_for(lambda: helper_is_there(one), "somebody helps")
    contact.note([one.root])

    def gone() -> bool:
        contact.note([one.root])
        return not helper_is_there(one)

    wait_for(gone, "a monitor is back, so nobody helps any more", 20)


def test_what_a_run_stopped_or_a_person_did_by_hand_stays(one: Host) -> None:
    start(one)
    wait_for(lambda: helper_is_there(one), "somebody helps", 20)
    if MANAGER != "systemd":  # which does not say whether a program ended by an order
        one.ctl("stop", "app_01:*")
        log = Path(one.root, "log/muster.log")
        wait_for(lambda: "nothing is done about app_01: somebody stopped it" in log.read_text(), "it says so", 20)
        assert not epochs(one)
    assert one.do("restart", "app_01", 11, alone=allowed(21))["result"] == "running"
    assert one.do("stop", "app_01", 21)["result"] == "stopped"
    assert "app_01" not in one.observe()["alone"]
    wait_for(lambda: not helper_is_there(one), "there is nothing left to help", 20)
    assert not one.processes("app_01")


def test_what_is_allowed_is_taken_away_and_given_while_it_runs(one: Host) -> None:
    pids = start(one)
    assert one.do("grant", "app_01", 1)["result"] == "running"
    assert one.observe()["alone"] == {} and one.pids("app_01") == pids
    assert one.do("grant", "app_01", 2, alone=allowed(30))["result"] == "refused", "it runs under another epoch"
    assert one.observe()["alone"] == {}
    assert one.do("grant", "app_01", 1, alone=allowed(30))["result"] == "running"
    assert one.observe()["alone"]["app_01"]["until"] == 30 and one.pids("app_01") == pids
    kill(pids["bus"])
    wait_for(lambda: whole(one, 2), "it restarts it under the next epoch", 30)


def test_a_crash_loop_ends_with_the_budget(one: Host) -> None:
    start(one, limit=2, waits=[0.0], ages=[1.0])
    kill(one.pids("app_01")["bus"])
    wait_for(lambda: whole(one, 2), "once more", 30)
    wait_for(lambda: told(one) and told(one)[0]["result"], "the attempt is over")
    kill(one.pids("app_01")["bus"])
    log = Path(one.root, "log/muster.log")
    wait_for(lambda: "its failure budget is spent" in log.read_text(), "it says why it gives up", 30)
    assert [attempt["number"] for attempt in told(one)] == [2]


def test_a_grant_ends_with_its_lease(one: Host, leased: Leased) -> None:
    """The instance may run elsewhere by then."""
    start(one)
    leased.fence("one")
    assert not one.processes("app_01")
    wait_for(lambda: not helper_is_there(one), "without a lease nobody helps", 20)
    assert one.observe()["alone"]["app_01"]["stands"] is False
    leased.lift("one")
    wait_for(lambda: one.observe()["lease"]["held"], "it holds another lease", 20)
    kept = Path(one.root, grants.FOLDER, "app_01.json")
    assert kept.exists() and grants.read(one.root, "app_01") is None
    # A helper that stood still meanwhile, between its look and its act:
    known = grants._read(one.root, "app_01")
    assert known is not None
    attempt = {"number": 2, "did": "restart", "at": 0.0, "why": ""}
    order = dict(known.order, do="restart", epoch=2, urgent=True, reason="late", only=None,
                 granted={"token": known.grant.token, "attempt": attempt})  # fmt: skip
    late = one.ask("act", instances=[order], lease=known.grant.session, deadline=20.0, run="*alone")
    assert late["results"]["app_01"]["result"] == "refused", late
    assert not one.processes("app_01")


def test_the_lease_is_lost_in_the_middle_of_a_start(one: Host, leased: Leased) -> None:
    one.define("app_01", [program("bus", 1, environment={"MUSTER_BUS": "restart_application"}),
                          program("slow", 2, ["dummy/gate"], wait_exit=True), program("view", 3)])  # fmt: skip
    one.open_gate()
    start(one)
    Path(one.root, "var/open").unlink()
    kill(one.pids("app_01")["bus"])
    wait_for(lambda: epochs(one) == {2}, "it starts again, and waits in the gate", 30)
    leased.fence("one")
    assert not one.processes("app_01")
    one.open_gate()
    wait_for(lambda: told(one) and told(one)[0]["result"], "the attempt is over", 30)
    assert told(one)[0]["result"] != "running" and not one.processes("app_01")


def test_a_helper_that_is_killed_is_replaced_and_its_attempt_counts(one: Host) -> None:
    start(one)
    wait_for(lambda: helper_is_there(one), "somebody helps", 20)
    helping = helper.helper(one.root)
    kill(helping, signal.SIGSTOP)
    kill(one.pids("app_01")["bus"])
    os.kill(helping, signal.SIGKILL)
    wait_for(lambda: whole(one, 2), "another one helps", 40)
