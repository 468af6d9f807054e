# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""explain, what-if and why from outside: the command line over a ledger and what the hosts said last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import publish
from monitor.core.controller.places import SEEN_FILE
from monitor.core.model import site as site_model
from monitor.daemon import remember
from tests.small_site import SITE_ID, quiet_host, running, small_site

MUSTER = str(Path(__file__).resolve().parents[3] / "bin" / "muster")
HELD = {"scen2_srv_01": "server_1", "scen2_srv_02": "server_2", "scen2_srv_03": "server_3"}


def muster(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MUSTER_", "SUDO_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.update(MUSTER_PYTHON=sys.executable, ANSIBLE_HOME=str(cwd / "ansible"))
    return subprocess.run([MUSTER, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=90)


def copy(epoch: int) -> dict[str, Any]:
    programs = ("internal_data_bus", "data_processing", "common_bus_interface")
    return {"epoch": epoch, "epochs": [epoch], "claim": epoch, "last_epoch": epoch, "digest": "d", "deferred": [],
            "failed": {}, "programs": {program: {"pid": 7} for program in programs}, "cpu": 1.0}  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Three items on three servers, each with room for one more item's services; all hosts were seen."""
    folder = tmp_path / ".muster" / "state"
    folder.mkdir(parents=True, mode=0o700)
    now = time.time()
    site = small_site(str(folder))
    claims = {name: running(host, 1, since=now) for name, host in HELD.items()}
    wanted = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": now}
    hosts = {host.name: {"state": "up", "incarnation": "boot/1", "since": now} for host in site.hosts}
    began = {"at": now, "who": "eve", "from": "", "what": "scen2_srv_02 runs on server_2", "result": "running",
             "why": "scen2_srv_02 should run and runs nowhere; server_2 is one of the least loaded hosts",
             "instance": "scen2_srv_02", "host": "server_2", "run": "1"}  # fmt: skip
    with controller_ledger.Ledger(str(folder / "ledger.db")) as ledger:
        ledger.create("scenario_2", SITE_ID)
        _, revision = ledger.read()
        ledger.commit(revision, {"claims": claims, "wanted": dict.fromkeys(claims, wanted), "hosts": hosts}, [began])
        after, revision = ledger.read()
    document = site_model.site_to_json(site)
    for host in document["hosts"]:
        host["load_limit"] = 44
    publish.publish(str(folder), document, after, revision, {}, {})
    seen = {}
    for host in hosts:
        instances = {name: copy(1) for name, holder in HELD.items() if holder == host}
        seen[host] = dict(quiet_host(host, instances=instances), at=now, revision=revision)
    publish.write_document(str(folder), SEEN_FILE, {"hosts": seen})
    remember(folder, [str(tmp_path)])
    return folder


def test_explain_tells_where_why_and_every_candidate(state: Path, tmp_path: Path) -> None:
    told = muster("explain", "02", cwd=tmp_path)
    assert told.returncode == 0, told
    assert "scen2_srv_02: running on server_2 since " in told.stdout
    assert "why    scen2_srv_02 should run and runs nowhere; server_2 is one of the least loaded hosts" in told.stdout
    assert "it may run on servers (server_1, server_2 and server_3)" in told.stdout
    assert "scen2_hci_02: not wanted anywhere" in told.stdout
    document = json.loads(muster("explain", "scen2_srv_02", "--json", cwd=tmp_path).stdout)
    [entry] = document["applications"]
    rows = {row["host"]: row for row in entry["candidates"]}
    assert (rows["server_2"]["verdict"], rows["server_2"]["reserved"]) == ("holds it", 0)
    assert (rows["server_1"]["reserved"], rows["server_1"]["limit"], rows["server_1"]["load"]) == (22, 44, 22)


def test_explain_of_an_unknown_item_names_the_nearest(state: Path, tmp_path: Path) -> None:
    told = muster("explain", "scen2_srv_2", cwd=tmp_path)
    assert told.returncode == 3
    assert "there is no item scen2_srv_2 in this site; did you mean scen2_srv_02?" in told.stderr


def test_what_if_shows_the_moves_and_touches_nothing(state: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in state.iterdir() if path.suffix == ".json"}
    with controller_ledger.Ledger(str(state / "ledger.db")) as ledger:
        revision = ledger.read()[1]
    told = muster("what-if", "--down", "server_2", cwd=tmp_path)
    assert told.returncode == 0, told
    assert "if server_2 is down" in told.stdout
    assert "start scen2_srv_02 on server_1: server_2 is down; server_1 is one of the least loaded hosts" in told.stdout
    with controller_ledger.Ledger(str(state / "ledger.db")) as ledger:
        assert ledger.read()[1] == revision
    assert {path.name: path.read_bytes() for path in state.iterdir() if path.suffix == ".json"} == before


def test_what_if_ends_with_1_when_something_would_find_no_place(state: Path, tmp_path: Path) -> None:
    told = muster("what-if", "--down", "server_2", "--down", "server_3", "--json", cwd=tmp_path)
    assert told.returncode == 1, told
    document = json.loads(told.stdout)
    assert [entry["instance"] for entry in document["waits"]] == ["scen2_srv_03"]
    assert "server_1 has no room: 44 of 44 reserved, it needs 22" in document["waits"][0]["why"]


def test_what_if_combines_items_drain_and_load(state: Path, tmp_path: Path) -> None:
    told = muster(
        "what-if", "--add-item", "09", "--remove-item", "01", "--drain", "server_3", "--load", "server_1=60", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert told.returncode == 0, told
    document = json.loads(told.stdout)
    held = {host["host"]: host["instances"] for host in document["hosts"]}
    assert held["server_3"] == []
    assert sorted(held["server_1"] + held["server_2"]) == ["scen2_srv_02", "scen2_srv_03", "scen2_srv_09"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "assume something"),
        (["--down", "server_4"], "there is no host server_4 in this site; there are server_1, "),
        (["--remove-item", "99"], "there is no item 99"),
        (["--add-item", "02"], "item 02 cannot be added: there is one already"),
        (["--add-item", "north:2"], "slot 2 belongs to item 02"),
        (["--load", "server_1"], "must be HOST=PERCENT"),
        (["--down", "server_1", "--drain", "server_1"], "server_1 cannot be both"),
        (["--up", "server_1"], "server_1 is up already"),
    ],
)
def test_an_impossible_assumption_is_reported(arguments: list[str], says: str, state: Path, tmp_path: Path) -> None:
    told = muster("what-if", *arguments, cwd=tmp_path)
    assert told.returncode == (3 if says.startswith("there is no") else 2), told
    assert says in told.stderr


def test_why_plans_over_what_was_committed_since_the_hosts_were_seen(state: Path, tmp_path: Path) -> None:
    """A restart by the monitor raises the epoch; the host was seen before that."""
    with controller_ledger.Ledger(str(state / "ledger.db")) as ledger:
        before, revision = ledger.read()
        ledger.commit(revision, {"claims": {"scen2_srv_02": dict(before["claims"]["scen2_srv_02"], epoch=2)}}, [])
    told = muster("why", "scen2_srv_02", cwd=tmp_path)
    assert told.returncode == 0, told
    assert "the ledger says" not in told.stdout
    assert "next     nothing: it is as wanted" in told.stdout


def test_the_status_says_when_a_loss_could_not_be_made_up_for(state: Path, tmp_path: Path) -> None:
    shown = muster("status", "--last", cwd=tmp_path)
    assert "died now" not in shown.stdout
    with controller_ledger.Ledger(str(state / "ledger.db")) as ledger:
        before, revision = ledger.read()
        drained = {name: dict(before["hosts"][name], state="drained") for name in ("server_1", "server_3")}
        ledger.commit(revision, {"hosts": drained}, [])
    shown = muster("status", "--last", cwd=tmp_path)
    assert "without server_2 there is no room for scen2_srv_02" in shown.stdout
    document = json.loads(muster("status", "--last", "--json", cwd=tmp_path).stdout)
    assert document["readiness"]["ready"] is False
    assert "server_1 is drained" in document["readiness"]["hosts"]["server_2"]["why"]


def test_capture_writes_a_private_file_over_which_the_same_is_planned(state: Path, tmp_path: Path) -> None:
    told = muster("capture", cwd=tmp_path)
    assert told.returncode == 0, told
    [path] = tmp_path.glob("muster-scenario_2-*.yml")
    assert path.stat().st_mode & 0o777 == 0o600
    wrote = "wrote %s (mode 0600): revision 2 of the ledger, 3 claims, and what 5 hosts said last"
    assert wrote % path.name in told.stdout
    away = tmp_path / "away"
    away.mkdir()
    planned = muster("plan", "--from", str(path), cwd=away)
    assert planned.returncode == 0 and planned.stderr == ""
    assert "over revision 2, valid until " in planned.stdout.splitlines()[0]
    assert planned.stdout.splitlines()[1] == "nothing to do: everything is as wanted"
    again = muster("capture", path.name, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "") and "is there already: name a new file" in again.stderr


def test_plan_from_a_file_that_is_no_capture_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("given: {request: {kind: reconcile}}")
    told = muster("plan", "--from", "x.yml", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (2, "muster: x.yml is not a captured scenario: it has no given.site\n")
