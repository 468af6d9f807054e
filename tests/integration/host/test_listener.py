# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""muster's listener in supervisord: it stops programs whose bus ended, without a monitor, and reports every exit."""

from __future__ import annotations

import fcntl
import signal
import socket
import time
from pathlib import Path

import pytest

from monitor.core.host.machine import instance_files, procs
from tests.integration.host.host_in_a_folder import Host, host_fixture, kill, program, wait_for  # noqa: F401 - a fixture
from tests.integration.host.supervisor_events import BUS, MEMBERS, Ear, application, ear_fixture, ended, ignores_term  # noqa: F401 - a fixture


@pytest.mark.parametrize("strategy", ["restart_application", "stop_application"])
def test_programs_whose_bus_ended_are_stopped_without_a_monitor(host: Host, strategy: str) -> None:
    application(host, "app_01", strategy)
    application(host, "app_02", strategy)
    pids, others = host.pids("app_01"), host.pids("app_02")
    kill(pids[BUS])
    ended(*pids.values())
    assert host.processes("app_01") == []
    assert host.pids("app_02") == others
    wait_for(lambda: "ended" in host.observe()["instances"]["app_01"], "the word that it did so")
    seen = host.observe()["instances"]
    assert seen["app_01"]["ended"]["program"] == BUS and seen["app_01"]["claim"] == 1
    assert "ended" not in seen["app_02"]


def test_a_hung_bus_that_is_killed_takes_the_rest_along(host: Host) -> None:
    application(host, "app_01")
    pids = host.pids("app_01")
    kill(pids[BUS], signal.SIGSTOP)
    kill(pids[BUS])
    ended(*pids.values())


@pytest.mark.parametrize("strategy", ["continue", "restart_process", ""])
def test_other_strategies_leave_the_rest_running(host: Host, ear: Ear, strategy: str) -> None:
    application(host, "app_01", strategy)
    pids = host.pids("app_01")
    kill(pids.pop(BUS))
    assert ear.hear_of(BUS)["stopped"] == []
    assert host.pids("app_01") == pids


def test_the_end_of_any_other_program_stops_nothing(host: Host, ear: Ear) -> None:
    application(host, "app_01")
    pids = host.pids("app_01")
    kill(pids.pop("view"))
    event = ear.hear_of("view")
    assert (event["stopped"], event["expected"], event["code"]) == ([], False, -1)
    assert host.pids("app_01") == pids


def test_while_a_run_is_at_work_on_the_instance_it_is_left_to_that_run(host: Host, ear: Ear) -> None:
    application(host, "app_01")
    pids = host.pids("app_01")
    lock = instance_files.Lock(host.root, "app_01")
    assert lock.take()
    try:
        kill(pids.pop(BUS))
        event = ear.hear_of(BUS)
        assert event["busy"] and event["stopped"] == []
        assert host.pids("app_01") == pids
    finally:
        lock.release()


def test_the_lock_is_free_again_afterwards(host: Host, ear: Ear) -> None:
    application(host, "app_01")
    kill(host.pids("app_01")[BUS])
    ear.hear_of(BUS)
    with open(Path(host.root, "run/locks/app_01"), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_end_of_a_bus_of_an_older_epoch_stops_nothing(host: Host, ear: Ear) -> None:
    """As if its end came late: by then the claim is that of another incarnation."""
    application(host, "app_01")
    pids = host.pids("app_01")
    instance_files.write_claim(host.root, "app_01", 2, {})
    kill(pids.pop(BUS))
    event = ear.hear_of(BUS)
    assert (event["epoch"], event["stopped"], event["busy"]) == (1, [], False)
    assert host.pids("app_01") == pids


def test_a_program_that_was_started_under_another_epoch_is_not_stopped(host: Host, ear: Ear) -> None:
    application(host, "app_01")
    first = host.pids("app_01")
    instance_files.write_claim(host.root, "app_01", 2, {})
    for name in (BUS, "view"):  # only these two under the new one
        host.ctl("stop", "app_01:" + name)
        host.ctl("start", "app_01:" + name)
    kill(wait_for(lambda: host.pids("app_01").get(BUS), "the bus runs again"))
    event = ear.hear_of(BUS)
    assert (event["epoch"], event["stopped"]) == (2, ["view"])
    wait_for(lambda: host.pids("app_01") == {"chart": first["chart"]}, "only the program of the old epoch is left")


def test_events_say_what_happened(host: Host, ear: Ear) -> None:
    before = time.time()
    application(host, "app_01")
    passed = ear.hear()
    assert passed.pop("pid") > 0 and before - 1 < passed.pop("at") < time.time() + 1
    assert passed == {"event": "exited", "host": "server_1", "instance": "app_01", "program": "check", "epoch": 1,
                      "code": 0, "expected": True, "stopped": [], "busy": True}
    bus = host.pids("app_01")[BUS]
    kill(bus)
    event = ear.hear()
    assert event.pop("at") > before - 1
    assert event == {"event": "exited", "host": "server_1", "instance": "app_01", "program": BUS, "epoch": 1,
                     "pid": bus, "code": -1, "expected": False, "stopped": ["chart", "view"], "busy": False}


def test_a_stop_by_a_run_is_no_event(host: Host, ear: Ear) -> None:
    application(host, "app_01")
    ear.hear_of("check")
    host.do("restart", "app_01", 2)
    ear.hear_of("check")
    host.do("stop", "app_01", 2)
    assert ear.silent()


def test_the_end_of_the_service_manager_is_an_event(host: Host, ear: Ear) -> None:
    manager = host.manager_pid()
    kill(manager, signal.SIGTERM)
    event = ear.hear()
    assert (event["event"], event["host"]) == ("ending", "server_1")
    ended(manager)


def test_full_dead_and_foreign_sockets_do_no_harm(host: Host, ear: Ear) -> None:
    folder = Path(host.root, "run/listeners")
    dead = Ear(host, "dead.sock")
    dead.close()
    folder.joinpath("notes.sock").write_text("somebody's own")
    stream = socket.socket(socket.AF_UNIX)
    stream.bind(str(folder / "stream.sock"))
    full = Ear(host, "full.sock")
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            sender.sendto(b"{}", str(full.path))
    try:
        application(host, "app_01")
        pids = host.pids("app_01")
        kill(pids[BUS])
        assert ear.hear_of(BUS)["stopped"] == ["chart", "view"]
        ended(*pids.values())
        assert sorted(path.name for path in folder.iterdir()) == ["full.sock", "notes.sock", "stream.sock", "test.sock"]
    finally:
        for one in (sender, stream, full):
            one.close()


def test_without_a_folder_of_listeners_everything_else_works(host: Host) -> None:
    Path(host.root, "run/listeners").rmdir()
    application(host, "app_01")
    pids = host.pids("app_01")
    kill(pids[BUS])
    ended(*pids.values())


def test_a_restart_while_the_members_are_being_stopped_waits_for_them_and_no_longer(host: Host) -> None:
    """The run comes while a member is still dying: supervisord kills it in its time, counted from the first signal."""
    application(host, "app_01", "restart_application", program("stubborn", 3, ["dummy/stubborn"], stop_timeout=1.0))
    pids = host.pids("app_01")
    wait_for(lambda: ignores_term(pids["stubborn"]), "the stubborn program is at work")
    kill(pids[BUS])
    ended(pids["view"], pids["chart"])
    assert procs.alive(pids["stubborn"])
    result = host.do("restart", "app_01", 2, urgent=True)
    assert result["result"] == "running", result
    assert not procs.alive(pids["stubborn"])
    assert {process.epoch for process in host.processes("app_01")} == {2}
    assert set(host.pids("app_01")) == {BUS, "stubborn", *MEMBERS}
    assert "ended" not in host.observe()["instances"]["app_01"]


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.002, 0.004, 0.008])
def test_a_run_that_meets_the_listener_at_any_moment_ends_with_one_whole_incarnation(host: Host, delay: float) -> None:
    application(host, "app_01")
    for epoch in range(2, 8):
        kill(host.pids("app_01")[BUS])
        time.sleep(delay)  # not a condition to wait for: the moment is what varies
        result = host.do("restart", "app_01", epoch, urgent=True)
        assert result["result"] == "running", result
        assert {process.epoch for process in host.processes("app_01")} == {epoch}
        assert set(host.pids("app_01")) == {BUS, *MEMBERS}


def test_the_stop_of_what_its_host_stopped_already_clears_it(host: Host) -> None:
    application(host, "app_01", "stop_application")
    pids = host.pids("app_01")
    kill(pids[BUS])
    ended(*pids.values())
    assert host.do("stop", "app_01", 1)["result"] == "stopped"
    assert "app_01" not in host.observe()["instances"]


def test_a_process_read_while_it_is_collected_has_no_exit_code() -> None:
    """The kernel says 0 for what exited with 1, then: a gate that failed would pass."""
    late = (b"5636 (say) X 0 -1 -1 0 -1 4227084 558 0 0 0 0 0 0 0 20 0 0 0 290211 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 17"
            b" 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
    zombie = (b"2674 (say) Z 27201 27200 5695 0 -1 4227148 208 0 0 0 0 0 0 0 20 0 1 0 285324 0 0 18446744073709551615"
              b" 0 0 0 0 0 0 0 16781312 2 1 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 256\n")
    assert procs.Stat(late).gone and procs.Stat(late).exit_code is None
    assert procs.Stat(zombie).exit_code == 256
