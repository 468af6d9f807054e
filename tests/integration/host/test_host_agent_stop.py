# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping an instance: in order, completely, confirmed from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host.machine import procs
from monitor.core.host.service.supervisor.orders import SupervisordOrders
from tests.integration.host.host_in_a_folder import Host, gate, host_fixture, kill, only_supervisor, program, wait_for  # noqa: F401 - a fixture


def test_greatest_stop_sequence_stops_first(host: Host) -> None:
    host.define("app_01", [program("bus", 1, ["dummy/witness"]), program("core", 2, ["dummy/witness"]),
                           program("edge", 3, ["dummy/witness"], stop_sequence=9)])
    host.do("start", "app_01", 1)
    lines: list[str] = []
    wait_for(lambda: lines.extend(host.witness()) or len(lines) == 3, "all three are at work")
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert host.witness() == ["stop edge 1", "stop core 1", "stop bus 1"]
    assert host.processes("app_01") == []


def test_an_urgent_stop_asks_all_at_once(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("slow", 2, ["dummy/stubborn"], stop_timeout=4),
                           program("slower", 3, ["dummy/stubborn"], stop_timeout=4)])
    host.do("start", "app_01", 1)
    began = time.monotonic()
    host.do("stop", "app_01", 1, urgent=True)
    assert time.monotonic() - began < 8, "one after the other"


def test_a_stop_leaves_neither_claim_nor_placed_configuration(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    assert Path(host.root, "run/claims/app_01").read_text().splitlines()[0] == "1"
    assert host.placed("app_01").exists()
    host.do("stop", "app_01", 1)
    assert not Path(host.root, "run/claims/app_01").exists()
    assert not host.placed("app_01").exists()
    assert "app_01" not in host.known_to_manager()
    assert host.observe()["instances"] == {}


def test_stopping_what_does_not_run_changes_nothing(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.act()
    answer = host.act(host.wish("stop", "app_01", 3))
    assert answer["results"]["app_01"]["result"] == "stopped"
    assert not answer["changed"]


def test_a_program_that_ignores_sigterm_is_killed_when_its_time_is_over(host: Host) -> None:
    host.define("app_01", [program("stubborn", 1, ["dummy/stubborn"], stop_timeout=0.5)])
    host.do("start", "app_01", 1)
    began = time.monotonic()
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert time.monotonic() - began > 0.4
    assert host.processes("app_01") == []


def test_children_of_children_go_too_even_in_a_session_of_their_own(host: Host) -> None:
    host.define("app_01", [program("family", 1, ["dummy/family"], stop_timeout=0.5)])
    host.do("start", "app_01", 1)
    wait_for(lambda: len(host.processes("app_01")) >= 4, "the family is complete")
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert host.processes("app_01") == []


def test_children_that_outlived_their_parent_are_seen_and_removed_before_the_next_start(host: Host) -> None:
    host.define("app_01", [program("family", 1, ["dummy/family"], stop_timeout=0.5)])
    host.do("start", "app_01", 1)
    wait_for(lambda: len(host.processes("app_01")) >= 4, "the family is complete")
    kill(host.pids("app_01")["family"])
    wait_for(lambda: not host.pids("app_01"), "the parent is gone")
    seen = host.observe()["instances"]["app_01"]
    assert seen["epochs"] == [1] and len(seen["strays"]) >= 2
    old = {p.pid for p in host.processes("app_01")}
    assert host.do("restart", "app_01", 2)["result"] == "running"
    assert {p.epoch for p in host.processes("app_01")} == {2}
    assert not old & {p.pid for p in host.processes("app_01")}


def test_a_copy_started_by_hand_is_reported_and_left_alone(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.act()
    facts = host.facts
    stray = subprocess.Popen(["sleep", "1000"], env={
        **os.environ, "MUSTER_SITE": facts["site_id"], "MUSTER_HOST": facts["host"], "MUSTER_INSTANCE": "app_01",
        "MUSTER_PROGRAM": "bus", "MUSTER_ITEM": "01"})
    try:
        wait_for(lambda: host.processes("app_01"), "the copy shows")
        seen = host.observe()
        assert seen["instances"] == {} and "say that they are app_01" in seen["foreign"][0]
        assert host.do("stop", "app_01", 4)["result"] == "stopped"
        assert stray.poll() is None
    finally:
        stray.kill()


@only_supervisor
def test_a_stop_works_without_the_service_manager(host: Host) -> None:
    host.define("app_01", [program("family", 1, ["dummy/family"], stop_timeout=0.5)])
    host.do("start", "app_01", 1)
    wait_for(lambda: len(host.processes("app_01")) >= 4, "the family is complete")
    pid = host.manager_pid()
    kill(pid)
    wait_for(lambda: not procs.alive(pid), "supervisord is gone")
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert host.processes("app_01") == []


@only_supervisor
def test_a_stop_works_with_a_service_manager_that_hangs(host: Host) -> None:
    host.define("app_01", [program("bus", 1, stop_timeout=0.5)])
    host.do("start", "app_01", 1)
    pid = host.manager_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert host.do("stop", "app_01", 1)["result"] == "stopped"
        assert host.processes("app_01") == []
    finally:
        os.kill(pid, signal.SIGCONT)


def test_an_instance_that_left_the_site_is_stopped_without_knowing_its_programs(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("core", 2)])
    host.do("start", "app_01", 1)
    result = host.do("stop", "app_01", 1, programs=[])
    assert result["result"] == "stopped", result
    assert host.processes("app_01") == []


def test_programs_that_left_the_application_are_stopped_with_a_restart(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("old", 2)])
    host.do("start", "app_01", 1)
    host.define("app_01", [program("bus", 1)])
    assert host.do("restart", "app_01", 2)["result"] == "running"
    assert {p.program for p in host.processes("app_01")} == {"bus"}


def test_a_program_that_hangs_stopped_takes_its_signal_nevertheless(host: Host) -> None:
    host.define("app_01", [program("bus", 1, stop_timeout=30.0)])
    host.do("start", "app_01", 1)
    os.kill(host.pids("app_01")["bus"], signal.SIGSTOP)
    began = time.monotonic()
    assert host.do("restart", "app_01", 2, urgent=True)["result"] == "running"
    assert time.monotonic() - began < 30, "it waited for the stop's own deadline"


def test_a_running_gate_is_stopped_too(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=20)])
    process = host.agent_act(host.wish("start", "app_01", 1))
    wait_for(lambda: any(p.program == "check" for p in host.processes("app_01")), "the gate runs")
    kill(process.pid)
    process.wait()
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert host.processes("app_01") == []


@pytest.fixture
def freezer() -> Iterator[Path]:
    """A control group whose processes can be frozen: not even SIGKILL ends them then."""
    group = Path("/sys/fs/cgroup/freezer/muster-test-%d" % os.getpid())
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no freezer that we may use")
    try:
        yield group
    finally:
        (group / "freezer.state").write_text("THAWED")
        wait_for(lambda: not (group / "tasks").read_text(), "the thawed processes are gone")
        group.rmdir()


def test_a_process_that_sigkill_does_not_end_is_reported_and_nothing_new_starts(host: Host, freezer: Path) -> None:
    host.define("app_01", [program("bus", 1, stop_timeout=0.3)])
    host.do("start", "app_01", 1)
    pid = host.pids("app_01")["bus"]
    (freezer / "tasks").write_text(str(pid))
    (freezer / "freezer.state").write_text("FROZEN")
    result = host.do("restart", "app_01", 2)
    assert result["result"] == "refused", result
    assert result["reason"] == "process %d (sleep) of app_01 does not die, its state is D" % pid
    assert [p.pid for p in host.processes("app_01")] == [pid]
    (freezer / "freezer.state").write_text("THAWED")
    wait_for(lambda: not host.processes("app_01"), "the thawed process is gone")
    assert host.do("restart", "app_01", 3)["result"] == "running"


@only_supervisor  # systemd does not tell an order from an end with 0
def test_what_ended_past_muster_is_distinguished_by_the_word_of_the_service_manager(host: Host) -> None:
    """Supervisor/supervisor#888; ralphlange/procServ (a program that ends with 0)."""
    for name in ("app_01", "app_02"):
        host.define(name, [program("bus", 1)])
        host.do("start", name, 1)
    assert "endings" not in host.observe()["instances"]["app_01"], "it lives"
    orders = SupervisordOrders(host.root)
    orders.exchange([("stop", "app_01", "bus")])
    for process in host.processes("app_02"):
        os.kill(process.pid, signal.SIGKILL)
    for name, how in (("app_01", "stopped"), ("app_02", "was killed by a signal")):
        wait_for(lambda: not host.processes(name), "%s is gone" % name)  # noqa: B023
        wait_for(lambda: "endings" in host.observe()["instances"][name], "its end is known")  # noqa: B023
        assert host.observe()["instances"][name]["endings"] == {"bus": how}
