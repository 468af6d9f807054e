# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The staged start of an instance, against a real supervisord."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from pathlib import Path

from monitor.core.host.machine import procs
from tests.integration.addresses import NET
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    MANAGER,
    Host,
    dying,
    gate,
    host_fixture,
    kill,
    only_supervisor,
    program,
    seven,
    wait_for,
)


def test_ranks_start_in_order_and_a_gate_holds_the_next_one_back(host: Host) -> None:
    host.define("app_01", [
        program("late", 3, ["dummy/witness"]), program("bus", 1, ["dummy/witness"]), gate("check", 2),
    ])
    lines: list[str] = []

    def watch() -> None:
        wait_for(lambda: lines.extend(host.witness()) or lines, "the bus wrote down its start")
        wait_for(lambda: any(p.program == "check" and p.epoch > 0 for p in host.processes()), "the gate waits")
        assert lines == ["start bus 1"]
        host.open_gate()

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = host.do("start", "app_01", 1)
    watcher.join()
    assert result["result"] == "running", result
    assert result["started"] == ["bus", "check", "late"]
    assert [name for name, _ in result["timeline"]] == ["bus", "check", "late", "running"]
    wait_for(lambda: lines.extend(host.witness()) or len(lines) == 2, "both wrote down their start")
    assert lines == ["start bus 1", "start late 1"]


def test_the_host_keeps_a_log_of_what_was_done_and_why(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, ["dummy/say", "deaf", "3"])])
    host.do("start", "app_01", 3, reason="asked for by eve")
    [line] = Path(host.root, "log/muster.log").read_text().splitlines()
    assert line.endswith("run 1: start app_01 (epoch 3, asked for by eve): failed, check exited with 3 (deaf)")


def test_every_process_carries_who_and_what_it_is(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 7, environment={"MUSTER_PEERS": "127.0.0.1,127.0.0.2"})
    [process] = host.processes("app_01")
    found = process.environment
    assert (found["MUSTER_EPOCH"], found["MUSTER_PROGRAM"], found["MUSTER_ITEM"]) == ("7", "bus", "01")
    assert (found["MUSTER_SITE"], found["MUSTER_HOST"]) == (host.facts["site_id"], "server_1")
    assert found["MUSTER_PEERS"] == "127.0.0.1,127.0.0.2"
    manager = procs.environment(host.manager_pid())
    assert "MUSTER_INSTANCE" not in manager and found["MUSTER_ADDRESS"] == NET + ".1.1"
    if MANAGER == "systemd":
        return  # there the limit is that of units
    limits = [line for line in Path("/proc/%d/limits" % process.pid).read_text().splitlines() if "open files" in line]
    assert int(limits[0].split()[3]) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # not the service manager's


def test_the_same_start_again_changes_nothing(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("other", 2)])
    host.do("start", "app_01", 1)
    before = host.pids("app_01")
    answer = host.act(host.wish("start", "app_01", 1))
    assert not answer["changed"]
    assert answer["results"]["app_01"]["result"] == "running"
    assert host.pids("app_01") == before


def test_a_start_with_a_new_epoch_replaces_what_runs(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    before = host.pids("app_01")
    result = host.do("start", "app_01", 2)
    assert result["result"] == "running" and result["restarted"]
    assert host.pids("app_01") != before
    assert [p.epoch for p in host.processes("app_01")] == [2]


def test_programs_of_sequence_zero_are_not_started(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("tool", 0)])
    assert host.do("start", "app_01", 1)["started"] == ["bus"]


def test_a_required_program_that_cannot_start_stops_the_instance_so_that_it_wastes_nothing(host: Host) -> None:
    """Req 14."""
    host.define("app_01", [program("bus", 1), program("bad", 2, ["dummy/say", "no licence", "4"]),
                           program("good", 2), program("late", 3)])
    result = host.do("start", "app_01", 1, settle=0.3)
    assert result["result"] == "failed", result
    assert result["reason"] == "bad exited with 4 (no licence)"
    assert host.processes("app_01") == []
    assert not Path(host.root, "run/claims/app_01").exists()


def test_a_program_that_ends_soon_after_the_last_rank_is_noticed(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("bad", 2, ["/bin/sh", "-c", "sleep 0.1; exit 5"])])
    result = host.do("start", "app_01", 1, settle=0.4)
    assert result["result"] == "failed" and result["reason"] == "bad exited with 5"


def test_a_program_that_is_not_required_may_fail(host: Host) -> None:
    """Req 24: an HCI start continues after a failure."""
    view, gone = dying(host.folder, "no display")
    host.define("app_01", [program("bus", 1), program("view", 2, view, required=False),
                           program("other", 2, required=False), gate("gone", 3, gone), program("late", 4)])
    result = host.do("start", "app_01", 1)
    assert result["result"] == "running", result
    assert result["failed"] == {"view": "exited with 1 (no display)"}
    assert set(host.pids("app_01")) == {"bus", "other", "late"}
    assert host.observe()["instances"]["app_01"]["failed"] == result["failed"]


def test_with_continue_the_start_goes_on_after_a_required_program_too(host: Host) -> None:
    bad, gone = dying(host.folder, "no")
    host.define("app_01", [program("bus", 1), program("bad", 2, bad), gate("gone", 3, gone), program("late", 4)],
                strategy="continue")
    result = host.do("start", "app_01", 1)
    assert result["result"] == "running" and list(result["failed"]) == ["bad"]
    assert set(host.pids("app_01")) == {"bus", "late"}


def test_with_abort_nothing_later_starts_and_what_runs_stays(host: Host) -> None:
    host.define("app_01", [program("bus", 1), program("bad", 2, ["dummy/say", "no", "1"]), gate("wait", 3),
                           program("late", 4)], strategy="abort")
    result = host.do("start", "app_01", 1)
    assert result["result"] == "failed", result
    assert set(host.pids("app_01")) == {"bus"}


def test_a_programs_own_strategy_wins_over_the_applications(host: Host) -> None:
    host.define("app_01", [
        program("bus", 1),
        program("bad", 2, ["dummy/say", "no", "1"], starting_failure_strategy="continue"), program("late", 3),
    ], strategy="stop")
    assert host.do("start", "app_01", 1, settle=0.1)["result"] == "running"


def test_a_command_that_does_not_exist_is_reported_in_words(host: Host) -> None:
    host.define("app_01", [program("bus", 1, ["dummy/nothing_of_that_name"])])
    result = host.do("start", "app_01", 1, settle=0.2)
    assert result["result"] == "failed", result
    assert "dummy/nothing_of_that_name" in result["reason"] and "No such file" in result["reason"]


def test_a_bus_that_dies_while_its_gate_waits_fails_at_once(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=20)])
    thread = threading.Timer(0.5, lambda: [kill(p.pid) for p in host.processes("app_01") if p.program == "bus"])
    thread.start()
    result = host.do("start", "app_01", 1)
    assert result["reason"].startswith("bus was killed by "), "not the gate's own 20 s"
    assert host.processes("app_01") == []


def test_a_port_in_use_is_reported_before_anything_starts(host: Host) -> None:
    known = seven(20101)
    host.define("app_01", known["programs"], ports=known["ports"])
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("0.0.0.0", 20101))
        stranger.listen()
        result = host.do("start", "app_01", 1)
        assert result["result"] == "failed" and result["started"] == []
        assert result["reason"].startswith("port 20101 of app_01 (client) is taken on server_1 by ")
        assert "process %d" % os.getpid() in result["reason"]
    assert host.do("start", "app_01", 2)["result"] == "running"


def test_the_same_port_at_another_address_of_this_machine_is_no_conflict(host: Host) -> None:
    known = seven(20101)
    host.define("app_01", known["programs"], ports=known["ports"])
    with socket.socket() as stranger:
        stranger.bind((NET + ".1.99", 20101))
        stranger.listen()
        assert host.do("start", "app_01", 1)["result"] == "running"


def test_repair_starts_only_what_is_missing_and_asks_the_gate_before(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2), program("one", 3), program("two", 3)])
    host.open_gate()
    host.do("start", "app_01", 1, digest="first")
    before = host.pids("app_01")
    kill(before["one"])
    wait_for(lambda: "one" not in host.pids("app_01"), "the killed program is gone")
    result = host.do("repair", "app_01", 1, digest="second")
    assert result["result"] == "running" and result["started"] == ["check", "one"]
    after = host.pids("app_01")
    assert {name: after[name] for name in ("bus", "two")} == {name: before[name] for name in ("bus", "two")}
    assert after["one"] != before["one"]
    assert host.observe()["instances"]["app_01"]["digest"] == "first"  # most of it runs with that


def test_repair_with_another_epoch_is_refused(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    result = host.do("repair", "app_01", 2)
    assert result["result"] == "refused", result
    assert result["reason"] == "app_01 runs on server_1 with epoch 1, not 2: restart it"


def test_a_restart_in_place_reads_no_configuration_again(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    placed = os.stat(host.placed("app_01")).st_mtime_ns
    assert host.do("restart", "app_01", 2)["restarted"]
    assert os.stat(host.placed("app_01")).st_mtime_ns == placed


def test_a_restart_takes_changed_configuration(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1, digest="old")
    host.define("app_01", [program("bus", 1), program("more", 2)])
    answer = host.act(host.wish("restart", "app_01", 2, digest="new"))
    assert answer["config"]["written"] == host.config_names("app_01")
    assert set(host.pids("app_01")) == {"bus", "more"}
    assert host.observe()["instances"]["app_01"]["digest"] == "new"


def test_a_mistake_in_one_instances_configuration_holds_up_no_other(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.define("app_02", [program("bus", 1)])
    host.define("app_03", [program("bus", 1)])
    files = host.config_files()
    if MANAGER == "systemd":
        files["app_02.run"]["text"] = "soon" + files["app_02.run"]["text"]
    else:
        files["app_02.ini"]["text"] = files["app_02.ini"]["text"].replace("startsecs=0", "startsecs=soon")
    answer = host.act(*[host.wish("start", name, 1) for name in host.instances], config={"digest": "x", "files": files})
    results = answer["results"]
    assert [results[name]["result"] for name in ("app_01", "app_02", "app_03")] == ["running", "refused", "running"]
    assert ("app_02.run is damaged" if MANAGER == "systemd" else "soon") in results["app_02"]["reason"]


def test_an_instance_without_configuration_is_refused_with_a_sentence(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    result = host.do("start", "app_01", 1, config=None)
    assert result["reason"] == "server_1 has no configuration of app_01: deploy first"


def test_instances_of_a_host_start_in_parallel(host: Host) -> None:
    for number in range(1, 7):
        host.define("app_0%d" % number, [program("bus", 1), gate("check", 2, ["/bin/sleep", "2"]), program("b", 3)])
    answer = host.act(*[host.wish("start", name, 1) for name in host.instances])
    assert {r["result"] for r in answer["results"].values()} == {"running"}
    timelines = [dict(result["timeline"]) for result in answer["results"].values()]
    assert max(line["bus"] for line in timelines) < min(line["b"] for line in timelines)


def test_the_whole_start_has_a_time_of_its_own_however_patient_its_programs_are(host: Host) -> None:
    """muster_settings.start_timeout: each gate is well within its own."""
    slow = ["/bin/sh", "-c", "sleep 0.7"]
    gates = [gate("gate_%d" % rank, rank, slow, start_timeout=60.0) for rank in range(2, 8)]
    host.define("app_01", [program("bus", 1), *gates, program("last", 9, ["dummy/witness"])])
    result = host.do("start", "app_01", 1, deadline=120.0, start_timeout=1.5)
    assert result["result"] == "failed" and "last" not in result["started"], result
    assert host.processes("app_01") == []
    assert host.do("start", "app_01", 2, deadline=120.0, start_timeout=60.0)["result"] == "running"


def test_a_deadline_ends_everything_before_it_is_over(host: Host) -> None:
    host.define("app_01", [program("bus", 1, stop_timeout=0.5), gate("check", 2, start_timeout=60, stop_timeout=0.5)])
    began = time.monotonic()
    result = host.do("start", "app_01", 1, deadline=4.0)
    assert result["result"] == "failed", result
    assert time.monotonic() - began < 60, "it waited for the gate's own deadline"
    assert host.processes("app_01") == []


@only_supervisor
def test_the_death_of_the_service_manager_in_the_middle_ends_the_start_with_that_reason(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=20)])
    threading.Timer(0.5, lambda: kill(host.manager_pid())).start()
    result = host.do("start", "app_01", 1)
    assert result["result"] == "failed"
    assert "the service manager of server_1 does not answer any more" in result["reason"], result
    assert host.processes("app_01") == []
    host.open_gate()
    answer = host.act(host.wish("start", "app_01", 2), start_service_manager=True)
    assert answer["results"]["app_01"]["result"] == "running"


@only_supervisor
def test_without_a_service_manager_a_start_is_refused_or_starts_it(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    pid = host.manager_pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not procs.alive(pid), "supervisord is gone")
    result = host.do("start", "app_01", 1)
    assert result["result"] == "refused" and result["reason"] == "the service manager of server_1 does not run"
    answer = host.act(host.wish("start", "app_01", 1), start_service_manager=True)
    assert answer["service_manager"] == "started"
    assert answer["results"]["app_01"]["result"] == "running"
    assert host.observe()["incarnation"]


def test_an_order_that_comes_again_is_carried_out_once(host: Host) -> None:
    """The monitor was killed while it waited for the answer, and the run sent the same restart again, five times."""
    host.define("app_01", [program("bus", 1), program("core", 2)])
    assert host.do("start", "app_01", 1)["result"] == "running"
    assert host.do("restart", "app_01", 2)["result"] == "running"
    before = host.pids("app_01")
    again = host.do("restart", "app_01", 2)
    assert (again["result"], again["restarted"], host.pids("app_01")) == ("running", False, before)
    assert host.do("restart", "app_01", 3)["restarted"] and host.pids("app_01").keys() == before.keys()
    assert not set(host.pids("app_01").values()) & set(before.values())
