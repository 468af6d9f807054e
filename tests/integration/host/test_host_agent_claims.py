# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing runs without a claim, no older epoch replaces a newer one, one agent at a time, interrupted ones harm not."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from monitor.core.host import agent as host_agent
from monitor.core.host.machine import procs
from tests.integration.addresses import NET
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    answer_of,
    gate,
    host_fixture,
    kill,
    only_supervisor,
    program,
    seven,
    wait_for,
)


def test_a_lower_epoch_than_the_last_seen_is_refused(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 5)
    before = host.pids("app_01")
    for action in ("start", "restart", "stop", "repair", "continue"):
        result = host.do(action, "app_01", 4)
        assert result["result"] == "refused"
        assert result["reason"] == (
            "app_01 was already seen on server_1 with epoch 5: this request is older (epoch 4), nothing was done")
    assert host.pids("app_01") == before


def test_the_last_epoch_is_remembered_after_a_stop(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 5)
    host.do("stop", "app_01", 6)
    assert host.do("start", "app_01", 5)["result"] == "refused"
    assert host.do("start", "app_01", 7)["result"] == "running"


def test_a_run_that_looked_before_the_last_boot_only_stops(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    before = host.pids("app_01")
    for action in ("start", "restart", "repair", "continue"):
        result = host.act(host.wish(action, "app_01", 2), boot="an earlier one")["results"]["app_01"]
        assert (result["result"], result["changed"]) == ("refused", False)
        assert result["reason"] == "server_1 was booted after run 1 had looked at it: nothing is started"
    assert host.pids("app_01") == before
    assert host.act(host.wish("stop", "app_01", 2), boot="an earlier one")["results"]["app_01"]["result"] == "stopped"
    answer = host.act(host.wish("start", "app_01", 3), boot=procs.boot_id())
    assert answer["results"]["app_01"]["result"] == "running"


@only_supervisor
def test_a_start_past_the_tool_is_refused_by_muster_exec(host: Host) -> None:
    """Req 12: the service manager asked directly, without a claim."""
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    host.do("stop", "app_01", 1)
    Path(host.root, "etc/placed/app_01.ini").write_text(Path(host.root, "etc/available/app_01.ini").read_text())
    host.ctl("update")
    host.ctl("start", "app_01:bus")
    wait_for(lambda: "no claim on app_01" in host.log("app_01", "bus"), "the refusal is in the log")
    assert host.processes("app_01") == []
    assert "EXITED" in host.ctl("status", "app_01:bus").stdout


@pytest.mark.parametrize("content", ["", "x\n", "12; rm -rf /\n", "3\nNAME WITH BLANK=1\n", "3\n$(id)=1\n"])
def test_muster_exec_refuses_a_damaged_claim_with_78(host: Host, content: str) -> None:
    Path(host.root, "run/claims/app_01").write_text(content)
    result = muster_exec(host, "app_01", "echo", "started")
    assert result.returncode == 78
    assert "the claim on app_01 is damaged" in result.stderr and "started" not in result.stdout


def test_muster_exec_exports_values_as_they_are(host: Host) -> None:
    nasty = "a $(touch %s/pwned) `id` \"b\" 'c' \\ ; * ~ \t end" % host.folder
    Path(host.root, "run/claims/app_01").write_text("3\nMUSTER_PEERS=%s\nEMPTY=\n" % nasty)
    script = 'printf "%s|%s|%s" "$MUSTER_EPOCH" "$MUSTER_PEERS" "$1"'
    result = muster_exec(host, "app_01", "/bin/sh", "-c", script, "sh", nasty)
    assert result.stdout == "3|%s|%s" % (nasty, nasty)
    assert not Path(host.folder, "pwned").exists()


def muster_exec(host: Host, instance: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "MUSTER_ROOT": host.root, "MUSTER_INSTANCE": instance}
    command = [host.root + "/bin/muster-exec", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10, check=False)


@only_supervisor
def test_the_death_of_supervisord_takes_its_programs_along(host: Host) -> None:
    known = seven(20111)
    host.define("app_01", known["programs"], ports=known["ports"])
    host.do("start", "app_01", 1)
    assert len(host.processes("app_01")) == 5
    kill(host.manager_pid())
    wait_for(lambda: not host.processes("app_01"), "all programs died with supervisord", 2)
    seen = host.observe()
    assert seen["service_manager"] == "stopped" and seen["incarnation"] is None
    assert seen["instances"]["app_01"]["claim"] == 1 and seen["instances"]["app_01"]["programs"] == {}
    answer = host.act(revive=True, start_service_manager=True)
    assert (answer["service_manager"], answer["incarnation"]) == ("started", host.observe()["incarnation"])


def test_two_agents_on_one_instance_work_one_after_the_other(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, ["/bin/sleep", "0.5"]), program("late", 3)])
    first = host.agent_act(host.wish("start", "app_01", 1))
    wait_for(lambda: host.processes("app_01"), "the first one is at work")
    second = host.agent_act(host.wish("restart", "app_01", 2))
    results = [answer_of(agent)["results"]["app_01"] for agent in (first, second)]
    assert [r["result"] for r in results] == ["running", "running"]
    assert {p.epoch for p in host.processes("app_01")} == {2}
    assert len(host.processes("app_01")) == 2


def test_of_two_agents_with_one_epoch_the_second_finds_it_done(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, ["/bin/sleep", "0.3"]), program("late", 3)])
    agents = [host.agent_act(host.wish("start", "app_01", 1)) for _ in range(2)]
    results = [answer_of(agent)["results"]["app_01"] for agent in agents]
    assert sorted(r["changed"] for r in results) == [False, True]
    assert len(host.processes("app_01")) == 2


def test_an_agent_that_waits_for_another_gives_up_at_its_deadline_and_says_for_whom(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=3)])
    first = host.agent_act(host.wish("start", "app_01", 1))
    wait_for(lambda: host.processes("app_01"), "the first one is at work")
    result = host.do("stop", "app_01", 1, deadline=0.5)
    assert result["result"] == "refused", result
    assert result["reason"] == "app_01 is being worked on by process %d on server_1" % first.pid
    answer_of(first)


def test_an_agent_that_was_frozen_past_its_deadline_starts_nothing(host: Host) -> None:
    """Its run was given up meanwhile, and what it should have started may live on another host."""
    host.define("app_01", [program("bus", 1)])
    answer_of(host.agent_act())  # so that the agent and its folders are there
    lock = Path(host.root, "run", "locks", "app_01")
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        agent = host.agent_act(host.wish("start", "app_01", 1), deadline=5.0)
        wait_for(lambda: holds_open(agent.pid, lock), "the agent waits for the lock")
        os.kill(agent.pid, signal.SIGSTOP)
        thaw_at = time.monotonic() + 5.0
    try:
        wait_for(lambda: time.monotonic() > thaw_at, "its time is over")
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    result = answer_of(agent)["results"]["app_01"]
    assert (result["result"], "the time for this start is over" in result["reason"]) == ("failed", True), result
    assert host.processes("app_01") == []
    assert not Path(host.root, "run", "claims", "app_01").exists()


def holds_open(pid: int, path: Path) -> bool:
    descriptors = Path("/proc/%d/fd" % pid)
    try:
        return any(os.path.realpath(entry) == str(path.resolve()) for entry in descriptors.iterdir())
    except OSError:
        return False


def test_an_agent_killed_in_the_middle_of_a_start_is_followed_by_one_that_finishes(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=20), program("late", 3)])
    first = host.agent_act(host.wish("start", "app_01", 1))
    wait_for(lambda: any(p.program == "check" for p in host.processes("app_01")), "the gate waits")
    kill(first.pid)
    first.wait()
    host.open_gate()
    result = host.do("start", "app_01", 1)
    assert result["result"] == "running", result
    assert set(host.pids("app_01")) == {"bus", "late"}


def test_a_gate_left_waiting_by_a_killed_agent_is_waited_for(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=20), program("late", 3)])
    first = host.agent_act(host.wish("start", "app_01", 1))
    wait_for(lambda: any(p.program == "check" and p.epoch == 1 for p in host.processes("app_01")), "the gate waits")
    kill(first.pid)
    first.wait()
    threading.Timer(0.3, host.open_gate).start()
    result = host.do("start", "app_01", 1)
    assert result["result"] == "running", result


def test_an_interrupted_agent_ends_what_it_began(host: Host) -> None:
    """Ctrl-C reaches every process of the terminal; the connection may go, too."""
    host.define("app_01", [program("bus", 1), gate("check", 2, ["/bin/sleep", "0.4"]), program("late", 3)])
    agent = host.agent_act(host.wish("start", "app_01", 1))
    wait_for(lambda: host.processes("app_01"), "the agent is at work")
    assert agent.stdout is not None
    agent.stdout.close()
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(agent.pid, number)
    agent.wait(10)
    assert set(host.pids("app_01")) == {"bus", "late"}
    assert host.observe()["instances"]["app_01"]["last_epoch"] == 1


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.04, 0.06, 0.08])
def test_whenever_an_agent_is_killed_in_a_restart_the_next_one_repairs(host: Host, delay: float) -> None:
    known = seven(20120)
    host.define("app_01", known["programs"], ports=known["ports"])
    host.define("app_02", [program("bus", 1)])
    host.do("start", "app_01", 1)
    agent = host.agent_act(host.wish("restart", "app_01", 2, urgent=True), host.wish("start", "app_02", 1))
    time.sleep(0.03 + delay)  # not a condition to wait for: the moment of death is what varies
    kill(agent.pid)
    agent.wait()
    answer = host.act(host.wish("restart", "app_01", 3), host.wish("start", "app_02", 1))
    assert {r["result"] for r in answer["results"].values()} == {"running"}, answer
    assert {p.epoch for p in host.processes("app_01")} == {3}
    assert len(host.processes("app_01")) == 5 and len(host.processes("app_02")) == 1


@pytest.mark.parametrize("change", [{"site_id": "other-1234"}, {"controller": "control_2"}, {"host": "server_9"}])
def test_a_host_of_another_site_controller_or_name_is_not_acted_on(host: Host, change: dict[str, str]) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    facts = {**host.facts, **change}
    for verb in ("act", "prepare", "remove"):
        answer = host_agent.handle({"verb": verb, "host": facts, "instances": [host.wish("stop", "app_01", 9)]})
        [old, new] = [host.facts[next(iter(change))], next(iter(change.values()))]
        assert old in answer["error"] and new in answer["error"], answer
    assert len(host.processes("app_01")) == 1


def test_observing_as_another_site_tells_whose_host_it_is(host: Host) -> None:
    seen = host_agent.handle({"verb": "observe", "host": {**host.facts, "site_id": "other-1", "controller": "c2"}})
    assert (seen["site_id"], seen["controller"]) == (host.facts["site_id"], "controller")


def test_a_host_that_was_never_prepared_is_reported(tmp_path: Path) -> None:
    other = Host(folder=str(tmp_path))
    other.define("app_01", [program("bus", 1)])
    answer = host_agent.handle({"verb": "act", "host": other.facts, "instances": [other.wish("start", "app_01", 1)]})
    assert answer["error"] == "server_1 was never prepared (%s is not there): deploy first" % other.root
    seen = json.loads(json.dumps(host_agent.handle({"verb": "observe", "host": other.facts, "load": True})))
    assert (seen["prepared"], seen["site_id"], seen["service_manager"]) == (False, None, "absent")
    assert not Path(other.root).exists()


def test_two_hosts_on_one_machine_do_not_see_each_others_processes(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    other = Host("server_2", NET + ".1.2")
    other.facts["site_id"] = host.facts["site_id"]
    try:
        other.prepare()
        other.define("app_01", [program("bus", 1)])
        assert other.observe()["instances"] == {}
        assert other.do("stop", "app_01", 9)["changed"] is False
        assert len(host.processes("app_01")) == 1
    finally:
        other.close()
    assert procs.alive(host.manager_pid())
