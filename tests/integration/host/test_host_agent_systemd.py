# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaviour of hosts with systemd only. Runs inside the machine that test_systemd_contract boots."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from monitor.core.host import agent
from monitor.core.host.machine import procs
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    gate,
    host_fixture,
    kill,
    only_systemd,
    program,
    service_texts,
    seven,
    unit_of,
    wait_for,
)  # fmt: skip

pytestmark = only_systemd


def properties(unit: str, *names: str) -> dict[str, str]:
    command = ["systemctl", "show", *([unit] if unit else []), "--property", ",".join(names)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_members_end_with_their_bus_without_a_monitor(host: Host) -> None:
    known = seven(20141)
    host.define("app_01", known["programs"], ports=known["ports"], bus="internal_data_bus")
    assert host.do("start", "app_01", 1)["result"] == "running"
    pids = host.pids("app_01")
    assert len(pids) == 5
    kill(pids["internal_data_bus"])
    # What ends shows no labels any more before it is gone from its control group.
    wait_for(lambda: host.observe()["instances"]["app_01"]["epochs"] == [], "the members end")
    assert host.processes("app_01") == []
    seen = host.observe()["instances"]["app_01"]
    assert seen["claim"] == 1
    assert (seen["ended"]["program"], seen["ended"]["epoch"], seen["ended"]["code"]) == ("internal_data_bus", 1, -1)
    assert host.do("restart", "app_01", 2)["result"] == "running"
    assert set(host.pids("app_01")) == set(pids)
    assert host.do("stop", "app_01", 2)["result"] == "stopped"
    assert host.processes() == [] and host.observe()["instances"] == {}
    assert "app_01" not in host.known_to_manager()


def test_a_member_whose_bus_is_gone_is_not_started_with_a_bus_of_systemds_choice(host: Host) -> None:
    """Which program starts when is the sequencer's decision alone."""
    host.define("app_01", [program("bus", 1), program("core", 2)], bus="bus")
    host.do("start", "app_01", 1)
    subprocess.run(["systemctl", "stop", unit_of("app_01", "bus")], check=True, timeout=30)
    wait_for(lambda: not host.processes("app_01"), "the member ended with its bus")
    host.do("repair", "app_01", 1, only=["core"])
    assert "bus" not in host.pids("app_01")


def test_a_start_past_the_tool_is_refused_by_muster_exec(host: Host) -> None:
    """Req 12: systemd asked directly, without a claim."""
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    Path(host.root, "run/claims/app_01").unlink()
    subprocess.run(["systemctl", "restart", unit_of("app_01", "bus")], timeout=30, check=False)
    wait_for(lambda: "no claim on app_01" in host.log("app_01", "bus"), "the refusal is in the journal")
    assert host.processes("app_01") == []
    assert properties(unit_of("app_01", "bus"), "ExecMainStatus") == {"ExecMainStatus": "78"}


def test_placing_an_instance_reads_nothing_of_the_others_again(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.define("app_02", [program("bus", 1)])
    host.do("start", "app_01", 1)
    before = properties("", "UnitsLoadTimestampMonotonic", "UnitsLoadStartTimestampMonotonic")
    host.do("start", "app_02", 1)
    host.do("restart", "app_01", 2)
    host.do("stop", "app_01", 2)
    assert properties("", "UnitsLoadTimestampMonotonic", "UnitsLoadStartTimestampMonotonic") == before


def test_changed_units_count_for_the_next_start_and_leave_what_runs_alone(host: Host) -> None:
    host.define("app_01", [program("bus", 1, directives=["Nice=3"]), program("core", 2)])
    host.do("start", "app_01", 1)
    pids = host.pids("app_01")
    host.define("app_01", [program("bus", 1, directives=["Nice=4"]), program("core", 2)])
    host.act()
    assert host.pids("app_01") == pids
    host.do("restart", "app_01", 2)
    assert os.getpriority(os.PRIO_PROCESS, host.pids("app_01")["bus"]) == 4


def test_limits_and_sandboxing_hold(host: Host) -> None:
    host.define("app_01", [program("bus", 1, directives=[
        "TasksMax=7", "MemoryMax=64M", "NoNewPrivileges=yes", "ProtectSystem=strict", "ReadWritePaths=@@root@@/var",
    ])], limits=["TasksMax=50"])
    assert host.do("start", "app_01", 1)["result"] == "running"
    assert properties(unit_of("app_01", "bus"), "TasksMax", "MemoryMax") == {
        "TasksMax": "7", "MemoryMax": str(64 << 20)}
    status = Path("/proc/%d/status" % host.pids("app_01")["bus"]).read_text()
    assert "NoNewPrivs:\t1" in status
    assert properties("muster-app_01-01.slice", "TasksMax") == {"TasksMax": "50"}


def test_programs_run_as_the_user_of_the_host_and_read_what_they_need(host: Host) -> None:
    host.facts["user"] = "nobody"
    host.prepare()
    os.chmod(host.folder, 0o755)
    known = seven(20142)
    host.define("app_01", [*known["programs"], program("writes", 6, ["/bin/sh", "-c", 'id -un > mine; exec sleep 99'])],
                ports=known["ports"], bus="internal_data_bus")
    result = host.do("start", "app_01", 1, environment={"MUSTER_PEERS": "127.0.0.1"})
    assert result["result"] == "running", result
    mine = Path(host.root, "var/app_01/mine")
    assert wait_for(lambda: mine.exists() and mine.read_text(), "a program can write") == "nobody\n"
    assert {os.stat("/proc/%d" % p.pid).st_uid for p in host.processes("app_01")} == {65534}
    assert not host.prepare()["changed"]


def test_a_user_that_does_not_exist_is_reported_before_anything_is_done(host: Host) -> None:
    answer = agent.handle({"verb": "prepare", "host": {**host.facts, "user": "nosuchuser"}})
    assert answer["error"].startswith("the user nosuchuser does not exist on server_1")


def test_programs_with_windows_find_the_display_of_the_host_and_others_do_not(host: Host) -> None:
    host.facts["display"] = {"DISPLAY": ":7", "XAUTHORITY": "/run/user/1000/auth", "user": "nobody"}
    host.prepare()
    os.chmod(host.folder, 0o755)
    host.define("app_01", [program("view", 1)], on_request=True)
    host.define("app_02", [program("core", 1)])
    for name in ("app_01", "app_02"):
        assert host.do("start", name, 1)["result"] == "running"
    text = {name: Path("/proc/%d/environ" % pid).read_bytes() for app in ("app_01", "app_02")
            for name, pid in host.pids(app).items()}
    assert b"\0DISPLAY=:7\0" in text["view"] and b"XAUTHORITY=/run/user/1000/auth" in text["view"]
    assert b"DISPLAY" not in text["core"]
    assert os.stat("/proc/%d" % host.pids("app_01")["view"]).st_uid == 65534
    assert os.stat("/proc/%d" % host.pids("app_02")["core"]).st_uid == 0


def test_a_foreign_unit_is_not_touched(host: Host) -> None:
    path = Path("/run/systemd/system/muster-app_01@.target")
    path.parent.mkdir(exist_ok=True)
    path.write_text("[Unit]\nDescription=mine\n")
    try:
        host.define("app_01", [program("bus", 1)])
        result = host.do("start", "app_01", 1)
        assert result["result"] == "refused"
        assert "the unit muster-app_01@.target of this machine does not belong to this host" in result["reason"]
        assert "mine" in path.read_text()
    finally:
        path.unlink()


def test_units_that_a_person_changed_are_reported(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.prepare(services={**service_texts("common")})
    host.do("start", "app_01", 1)
    assert host.observe()["drift"] == []
    for path in ("/run/systemd/system/muster-app_01.bus@.service", "/etc/systemd/system/muster-common.service"):
        Path(path).write_text(Path(path).read_text() + "Nice=19\n")
        assert "%s changed by somebody" % path in host.observe()["drift"]


def test_a_gate_whose_run_died_is_ended_by_systemd(host: Host) -> None:
    host.define("app_01", [program("bus", 1), gate("check", 2, start_timeout=1.0)])
    host.do("start", "app_01", 1)
    text = Path("/run/systemd/system/muster-app_01.check@.service").read_text()
    assert "TimeoutStartSec=" in text


def test_item_ids_with_dashes_and_dots_have_units_of_their_own(host: Host) -> None:
    host.define("app_a-b.c", [program("bus", 1)], item="a-b.c", units="app")
    assert host.do("start", "app_a-b.c", 1)["result"] == "running"
    assert "muster-app.bus@a\\x2db.c.service" in host.known_to_manager()
    own = "muster-app-a\\x2db.c.slice"
    assert properties(own, "ActiveState") == {"ActiveState": "active"}
    assert host.do("stop", "app_a-b.c", 1)["result"] == "stopped"
    wait_for(lambda: properties(own, "ActiveState") == {"ActiveState": "inactive"}, "its slice ends")


def test_the_rendered_units_are_what_systemd_wants(host: Host, tmp_path: Path) -> None:
    known = seven(20143)
    host.define("app_01", known["programs"], ports=known["ports"], bus="internal_data_bus", limits=["MemoryMax=1G"])
    host.prepare(services=service_texts("common"))
    host.act()
    host.do("start", "app_01", 1)
    units = [str(path) for path in Path("/run/systemd/system").glob("muster-app_01*@.*")]
    assert len(units) == 8
    instances = [unit.replace("@.", "@01.") for unit in units]
    command = ["systemd-analyze", "verify", "--man=no", *instances, "/etc/systemd/system/muster-common.service"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "muster" in line] == []
    assert done.returncode == 0, done.stderr


def test_a_host_service_starts_with_the_machine_and_programs_of_items_do_not(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.prepare(services=service_texts("common"))
    host.do("start", "app_01", 1)
    wanted = {path.name for path in Path("/etc/systemd/system/multi-user.target.wants").glob("muster-*")}
    assert wanted == {"muster-common.service"}
    assert not list(Path("/etc/systemd/system").glob("muster-app*"))


def test_observing_costs_little_and_needs_no_program(host: Host) -> None:
    host.define("app_01", [program("bus", 1)])
    host.do("start", "app_01", 1)
    seen = host.observe()
    boot, _, started = seen["incarnation"].partition("/")
    assert boot == procs.boot_id() and started.isdigit()
    assert json.dumps(seen["instances"]["app_01"]["strays"]) == "[]"


def test_removing_leaves_no_unit_and_no_slice(host: Host) -> None:
    host.define("app_a-b", [program("bus", 1)], item="a-b", units="app-one")
    host.prepare(services=service_texts("common"))
    assert host.do("start", "app_a-b", 1)["result"] == "running"
    assert properties("muster-app\\x2done.slice", "ActiveState") == {"ActiveState": "active"}
    host.ask("remove")
    for unit in ("muster-app\\x2done.slice", "muster-app\\x2done-a\\x2db.slice", "muster-common.service"):
        wait_for(lambda unit=unit: properties(unit, "ActiveState") == {"ActiveState": "inactive"}, unit + " is gone")
    for folder in ("/run/systemd/system", "/etc/systemd/system", "/etc/systemd/system/multi-user.target.wants"):
        assert not list(Path(folder).glob("muster-app*")) and not list(Path(folder).glob("muster-common*"))
