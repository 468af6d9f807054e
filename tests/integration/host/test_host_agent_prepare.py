# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a host, observing it, removing everything again; the agent as its own process."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.core.host import agent as host_agent
from monitor.core.host.machine import procs
from monitor.core.host.service.errors import without_setpriv
from monitor.core.model.answers import FIGURES
from plugins.plugin_utils import _agent_files
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    DUMMIES,
    MANAGER,
    SUPERVISORD,
    Host,
    answer_of,
    bundle,
    host_fixture,
    kill,
    only_supervisor,
    program,
    service_texts,
    seven,
    wait_for,
)  # fmt: skip


def service(name: str, argument: str = "", text: str = "a") -> dict[str, dict[str, str]]:
    return {**service_texts(name, argument), name + "/bus.conf": {"text": text, "mode": "0640"}}


def pid_of(host: Host, name: str) -> int:
    found = host.observe()["services"].get(name)
    return int(found["pid"]) if found else 0


def itself(pid: int) -> bool:
    """Whether the process is the service's program by now, and not what starts it."""
    return b"infinity" in Path("/proc/%d/cmdline" % pid).read_bytes()


def test_preparing_twice_changes_nothing_the_second_time(host: Host) -> None:
    answer = host.prepare(agent=bundle())  # the fixture prepared without one
    assert answer["did"] == ["installed the agent %s" % bundle()["hash"]]
    assert host.prepare(agent=bundle()) == {"changed": False, "did": [], "warnings": []}


def test_check_mode_of_a_first_prepare_touches_nothing(tmp_path: Path) -> None:
    other = Host(folder=str(tmp_path))
    answer = other.prepare(check=True, diff=True)
    assert answer["changed"] and ("started the service manager" in answer["did"]) == (MANAGER == "supervisor")
    assert not Path(other.root).exists()


def test_host_services_start_with_the_host_restart_when_they_changed_and_go_when_removed(host: Host) -> None:
    host.prepare(services={**service("common"), **service("other")})
    first = wait_for(lambda: pid_of(host, "common"), "the service runs")
    other = wait_for(lambda: pid_of(host, "other"), "the other service runs")
    environment = procs.environment(first)
    assert environment["MUSTER_INSTANCE"] == "common_server_1" and "MUSTER_EPOCH" not in environment

    assert not host.prepare(services={**service("common"), **service("other")})["changed"]
    assert pid_of(host, "common") == first

    answer = host.prepare(services={**service("common", text="b"), **service("other")})
    assert answer["did"] == ["wrote etc/services/common/bus.conf", "restarted the service common"]
    wait_for(lambda: pid_of(host, "common") not in (0, first), "the service was restarted")
    assert pid_of(host, "other") == other

    answer = host.prepare(services=service("other"))
    assert "stopped the service common" in answer["did"]
    assert pid_of(host, "common") == 0 and pid_of(host, "other") == other
    assert host.observe()["instances"] == {}  # services are no instances


def test_a_host_service_that_was_stopped_is_started_again_and_a_crashed_one_starts_by_itself(host: Host) -> None:
    host.prepare(services=service("common"))
    first = wait_for(lambda: pid_of(host, "common"), "the service runs")
    kill(first)
    second = wait_for(lambda: (p := pid_of(host, "common")) != first and p, "supervisord started it again")
    stopped_by_hand(host)
    assert host.prepare(services=service("common"))["did"] == ["started the service common"]
    assert wait_for(lambda: pid_of(host, "common"), "it runs again") != second


def test_a_host_service_that_somebody_stopped_is_started_by_a_run_without_a_preparation(host: Host) -> None:
    """Supervisor/supervisor#888, #729: after `supervisorctl stop all` it stayed away for good."""
    host.prepare(services={**service("common"), **service("other")})
    other = wait_for(lambda: pid_of(host, "other"), "the other service runs")
    first = wait_for(lambda: pid_of(host, "common"), "the service runs")
    stopped_by_hand(host)
    wait_for(lambda: not pid_of(host, "common"), "it is stopped")
    answer = host.act(revive=True)
    assert (answer["services"], answer["changed"]) == (["common"], True)
    assert wait_for(lambda: pid_of(host, "common"), "it runs again") != first
    again = host.act(revive=True)
    assert (again["services"], again["changed"], pid_of(host, "other")) == ([], False, other)


def test_a_host_service_that_ends_soon_after_each_start_pauses_between_them(host: Host) -> None:
    """Supervisor/supervisor#487, #1189: it was started again every few seconds for ever, and nothing said so."""
    host.prepare(services=service("common"))
    pids: list[int] = []
    for _unused in range(4):
        pid = wait_for(lambda: (p := pid_of(host, "common")) not in pids and p, "it is started again")
        wait_for(lambda pid=pid: itself(pid) or host.observe()["services"]["common"].get("pause"), "it begins")
        pids.append(pid)
        assert not host.observe()["services"]["common"].get("pause") or len(pids) == 4
        if len(pids) < 4:
            kill(pid)
    assert host.observe()["services"]["common"]["pause"] == 5.0
    assert not host.act(revive=True)["services"], "it is on its way"
    wait_for(lambda: "pause" not in host.observe()["services"]["common"], "it begins after the pause")
    assert pid_of(host, "common") == pids[-1]
    assert itself(pids[-1])


def stopped_by_hand(host: Host) -> None:
    if MANAGER == "systemd":
        subprocess.run(["systemctl", "stop", "muster-common.service"], check=True, timeout=30)
    else:
        host.ctl("stop", "common:")


def test_instances_that_still_run_an_older_program_are_named(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.define("app_01", [program("bus", 1, ["dummy/witness"])])
    host.define("app_02", [program("bus", 1)])
    for name in host.instances:
        host.do("start", name, 1)
    monkeypatch.setitem(DUMMIES, "dummy/witness", DUMMIES["dummy/witness"] + "# newer\n")
    assert host.prepare()["warnings"] == [
        "programs below bin changed: app_01 runs the old ones until restarted"]
    assert host.prepare()["warnings"] == []


def test_who_has_the_port_of_a_host_service_is_named_before_it_starts(host: Host) -> None:
    ports = {"common": {"client": 4222}}
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((host.facts["address"], 4222))
        stranger.listen()
        (warning,) = host.prepare(services=service("common"), service_ports=ports)["warnings"]
        assert warning.startswith("port 4222 of common (client) is taken on server_1 by ")
        assert "(process %d)" % os.getpid() in warning
    assert host.prepare(services=service("common"), service_ports=ports)["warnings"] == []


@only_supervisor
def test_a_missing_service_manager_is_started_again_as_a_new_incarnation(host: Host) -> None:
    before = host.observe()["incarnation"]
    pid = host.manager_pid()
    kill(pid)
    wait_for(lambda: not procs.alive(pid), "supervisord is gone")
    assert host.observe()["service_manager"] == "stopped"
    assert host.prepare()["did"] == ["started the service manager"]
    after = host.observe()
    assert after["service_manager"] == "running"
    assert after["incarnation"] != before and after["incarnation"].split("/")[0] == before.split("/")[0]


@only_supervisor
def test_a_service_manager_that_cannot_start_tells_why(tmp_path: Path) -> None:
    other = Host(folder=str(tmp_path))
    for command, words in (
        (["/nothing/supervisord"], "supervisord cannot be started with '/nothing/supervisord'"),
        ([sys.executable, "-c", "import sys; sys.exit('no licence')"], "supervisord ended with 1: no licence"),
    ):
        answer = host_agent.handle({"verb": "prepare", "host": other.facts, "supervisord": command})
        assert words in answer["error"]


def test_a_setpriv_that_lacks_an_option_is_reported(tmp_path: Path) -> None:
    """As on RHEL 8, whose util-linux is too old."""
    assert without_setpriv(os.environ["PATH"]) == ""
    assert "setpriv is missing (package util-linux)" in without_setpriv(str(tmp_path))
    old = tmp_path / "setpriv"
    old.write_text("#!/bin/sh\necho \"setpriv: unrecognized option '$1'\" >&2\nexit 1\n")
    old.chmod(0o755)
    assert "unrecognized option '--pdeathsig'" in without_setpriv("%s:%s" % (tmp_path, os.environ["PATH"]))


@only_supervisor
def test_a_socket_path_that_is_too_long_is_reported(tmp_path: Path) -> None:
    other = Host(folder=str(tmp_path / ("x" * 90)))
    answer = host_agent.handle({"verb": "prepare", "host": other.facts, "supervisord": SUPERVISORD})
    assert "99 bytes" in answer["error"] and "shorter muster_root" in answer["error"]


def test_a_file_that_a_person_changed_is_kept_beside_the_new_one(host: Host) -> None:
    path = Path(host.root, "bin/dummy/idle")
    path.write_text(path.read_text() + "# my own line\n")
    answer = host.prepare()
    assert "wrote bin/dummy/idle" in answer["did"]
    assert answer["warnings"] == [
        "bin/dummy/idle.kept: bin/dummy/idle was changed outside muster; that version is kept there"]
    assert "my own line" in Path(host.root, "bin/dummy/idle.kept").read_text()
    assert "my own line" not in path.read_text()
    assert not host.prepare()["changed"]


def test_remove_leaves_nothing_but_files_of_others(host: Host) -> None:
    known = seven(20131)
    host.define("app_01", known["programs"], ports=known["ports"])
    host.define("app_02", [program("family", 1, ["dummy/family"], stop_timeout=0.5)])
    host.prepare(services=service("common"), agent=bundle())
    host.act(host.wish("start", "app_01", 1), host.wish("start", "app_02", 1))
    pid = host.manager_pid()
    notes = Path(host.root, "etc/available/notes.txt")
    notes.write_text("mine")
    assert host.ask("remove", check=True)["changed"] and procs.alive(pid)
    answer = host.ask("remove")
    assert answer["warnings"] == ["these files are not muster's and stay: %s" % notes]
    assert procs.alive(pid) == (MANAGER == "systemd") and host.processes() == []
    assert MANAGER != "systemd" or "app_0" not in host.known_to_manager()
    assert [p for p in Path(host.root).rglob("*") if p.is_file()] == [notes]
    notes.unlink()
    assert host.ask("remove") == {"changed": False, "did": [], "warnings": []}


def test_remove_without_foreign_files_removes_the_folder(host: Host) -> None:
    host.ask("remove")
    assert not Path(host.root).exists()


def test_the_installed_agent_answers_on_standard_output(host: Host) -> None:
    host.prepare(agent=bundle())
    host.define("app_01", [program("bus", 1)])
    result = answer_of(host.agent_act(host.wish("start", "app_01", 1)))["results"]["app_01"]
    assert result["result"] == "running", result
    seen = answer_of(host.agent({"verb": "observe"}))
    assert set(seen["instances"]) == {"app_01"}
    assert answer_of(host.agent({"verb": "dance"})) == {"error": "the agent knows no verb 'dance'"}


def test_an_act_that_brings_an_agent_along_installs_it(host: Host) -> None:
    """The module, when the fast path found no agent of this hash."""
    host.define("app_01", [program("bus", 1)])
    host.act(host.wish("start", "app_01", 1), agent=bundle())
    assert Path(host.root, "lib", bundle()["hash"], "muster_host", "agent.py").exists()


def test_an_agent_that_is_sent_along_runs_from_memory_and_leaves_nothing(host: Host, tmp_path: Path) -> None:
    bare = {"host": {**host.facts, "root": str(tmp_path / "m")}, "agent": bundle()}

    def answer(**request: object) -> dict[str, object]:
        return answer_of(host.agent({**bare, **request}, _agent_files.CARRIED))

    assert answer(verb="dance") == {"error": "the agent knows no verb 'dance'"}
    seen = answer(verb="observe")
    assert seen["host"] == "server_1" and seen["instances"] == {}
    told = answer(verb="prepare", check=True, supervisord=["/usr/bin/supervisord"])
    assert told["changed"] and told["did"]
    assert list(tmp_path.iterdir()) == []


def test_the_agent_needs_no_import_that_it_does_not_use(host: Host) -> None:
    """Starting it is part of every restart: no psutil, no http, no subprocess, no typing, no dataclasses."""
    host.prepare(agent=bundle())
    host.define("app_01", [program("bus", 1)])
    host.act()
    library = str(Path(host.root, "lib", bundle()["hash"]))
    script = ("import sys; sys.path.insert(0, %r); from muster_host.agent import handle; import json;"
              "print(handle(json.loads(sys.stdin.read())).get('error'));"
              "print(*sorted(m for m in sys.modules if not m.startswith('_')))") % library
    for request in ({"verb": "observe", "load": False}, {"verb": "act", "settle": 0, "instances": [
            host.wish("start", "app_01", 1)]}):
        done = subprocess.run([sys.executable, "-I", "-S", "-c", script], text=True, capture_output=True, check=True,
                              input=json.dumps({"host": host.facts, **request}))
        error, modules = done.stdout.splitlines()
        assert error == "None"
        unwanted = {"dataclasses", "hashlib", "http", "psutil", "shutil", "site", "socket", "subprocess", "typing",
                    "xmlrpc"}
        assert not unwanted & set(modules.split()), sorted(unwanted & set(modules.split()))


def python_38() -> str:
    """A Python 3.8; MUSTER_PYTHON_38 names one that is not in the path."""
    for name in (os.environ.get("MUSTER_PYTHON_38", ""), shutil.which("python3.8") or ""):
        if name and subprocess.run([name, "--version"], capture_output=True, check=False).returncode == 0:
            return name
    pytest.skip("no Python 3.8 here: MUSTER_PYTHON_38 may name one")


def test_the_agent_runs_on_the_oldest_python_that_hosts_have(host: Host) -> None:
    old = python_38()
    host.prepare(agent=bundle())
    known = seven(20132)
    host.define("app_01", known["programs"], ports=known["ports"])
    files = host.config_files()
    library = str(Path(host.root, "lib", bundle()["hash"]))
    script = "import sys; sys.path.insert(0, %r); from muster_host.agent import main; main()" % library
    config = {"digest": "d", "files": files}
    for request in ({"verb": "act", "config": config, "instances": [host.wish("start", "app_01", 1)]},
                    {"verb": "act", "instances": [host.wish("restart", "app_01", 2)]}, {"verb": "observe"},
                    {"verb": "prepare", "services": service("common"), "supervisord": SUPERVISORD},
                    {"verb": "remove"}):
        done = subprocess.run([old, "-B", "-I", "-c", script], text=True, capture_output=True, check=False,
                              input=json.dumps({"host": host.facts, **request}) + "\n")
        answer = json.loads(done.stdout.split("MUSTER:")[1]) if "MUSTER:" in done.stdout else {"error": done.stderr}
        assert "error" not in answer, answer
        for result in answer.get("results", {}).values():
            assert result["result"] == "running", result


def test_the_load_of_a_host_measured_by_its_processes_is_what_they_use(host: Host) -> None:
    host.define("app_01", [program("busy", 1, ["/bin/sh", "-c", "while :; do :; done"]), program("idle", 2)])
    host.define("app_02", [program("idle", 1)])
    host.act(host.wish("start", "app_01", 1), host.wish("start", "app_02", 1))
    seen = host.observe(load=True)

    def busy() -> bool:
        nonlocal seen
        seen = host.observe(load=True)
        return bool(seen["instances"]["app_01"]["cpu"] > 5)

    wait_for(busy, "what it uses shows, however busy this machine is", 60)
    assert seen["instances"]["app_02"]["cpu"] < 5
    assert abs(seen["load"]["cpu"] - sum(i["cpu"] for i in seen["instances"].values())) < 5
    always = set(FIGURES) - {"pressure_cpu", "pressure_memory", "pressure_io"}  # not every kernel has these
    assert always <= set(seen["load"]) <= {"load_average", *FIGURES}
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(seen["load"]["uptime"] - uptime) < 60
    host.facts["measure"] = "node"
    assert host.observe(load=True)["load"]["memory"] > 0


def test_an_observation_of_thirty_placed_instances_stays_small(host: Host) -> None:
    for number in range(30):
        host.define("scen2_srv_%02d" % number, [program("a_program_with_a_name_%d" % n, n + 1) for n in range(5)])
    answer = host.act(*[host.wish("start", name, 1) for name in host.instances], deadline=60)
    assert {r["result"] for r in answer["results"].values()} == {"running"}
    assert len(json.dumps(host.observe(load=True))) < 64_000


@only_supervisor
def test_two_prepares_at_once_start_one_service_manager(host: Host) -> None:
    host.prepare(agent=bundle())
    for _ in range(3):
        pid = host.manager_pid()
        kill(pid)
        wait_for(lambda pid=pid: not procs.alive(pid), "supervisord is gone")
        agents = [host.agent({"verb": "prepare", "services": service("common"), "supervisord": SUPERVISORD})
                  for _ in range(3)]
        answers = [answer_of(agent) for agent in agents]
        assert all("error" not in answer for answer in answers), answers
        managers = [p for p in procs.sweep(host.facts["site_id"], "server_1") if not p.instance]
        assert [p.pid for p in managers] == [host.manager_pid()]
