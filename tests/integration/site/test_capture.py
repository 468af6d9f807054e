# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster capture` on a deployed site, and `muster plan --from` over its file where there is no site."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.cli.capture import zone
from monitor.core.report import scenario
from tests import scenario_form
from tests.integration.local_site import ROOT, SiteLab, site_lab, wait_for

SECRET = "tulip-4711"
CLOCK = re.compile(r"\d\d:\d\d:\d\d( on \d{4}-\d\d-\d\d)?")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    site = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
    program = site["muster_applications"]["scen2_srv"]["programs"]["data_processing"]
    program["running_failure_strategy"] = "restart_process"
    program["environment"] = {"SENSOR_PASSWORD": SECRET}
    program["command"].append("--key=" + SECRET)
    items = [{"id": "01", "sensor_password": SECRET}, "02"]
    applications = site["muster_applications"]
    # With leases, the host of a program that ended starts it again by itself.
    with site_lab(63, consoles=["console_1"], muster_applications=applications, muster_items=items,
                  muster_settings={"exclusion": "none"}) as deployed:  # fmt: skip
        yield deployed


@pytest.fixture(scope="module")
def planned(lab: SiteLab) -> str:
    """The output of `muster plan` after a program ended while no monitor ran."""
    [pid] = [p.pid for p in lab.processes("scen2_srv_02") if p.program == "data_processing"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid not in [p.pid for p in lab.processes()], "the end of the program")
    told = lab.muster("plan")
    assert told.rc == 0 and "scen2_srv_02" in told.output, told.output
    return told.output


@pytest.fixture(scope="module")
def captured(lab: SiteLab, planned: str) -> Path:
    assert lab.muster("status", "--fresh").rc == 0
    path = lab.folder / "captured.yml"
    told = lab.muster("capture", str(path))
    assert told.rc == 0, told.output
    assert "wrote %s (mode 0600): revision " % path in told.output
    assert "2 claims, and what 4 hosts said last" in told.output
    return path


def offline(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder where no site is, with nothing in the environment that names one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MUSTER_", "SUDO_"))}
    env.update(MUSTER_PYTHON=sys.executable, **environment)
    command = [str(ROOT / "bin" / "muster"), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def untimed(text: str) -> list[str]:
    return [CLOCK.sub("hh:mm:ss", line) for line in text.splitlines()]


def test_the_plan_over_the_file_is_the_plan_of_the_site(planned: str, captured: Path, tmp_path: Path) -> None:
    again = offline(tmp_path, "plan", "--from", str(captured))
    assert again.returncode == 0, again
    head, *lines = untimed(planned)
    assert head.startswith("the site as it was deployed last") and untimed(again.stdout) == lines
    actions = json.loads(offline(tmp_path, "plan", "--from", str(captured), "--json").stdout)["actions"]
    assert [a["instance"] for a in actions] == ["scen2_srv_02"]


def test_the_file_is_the_same_in_another_time_zone(captured: Path, tmp_path: Path) -> None:
    one, other = (offline(tmp_path, "plan", "--from", str(captured), TZ=name) for name in ("UTC", "XYZ-9"))
    assert one.stdout == other.stdout and one.stdout


def test_the_file_is_a_scenario_of_the_tests(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = scenario_form.load(captured)
    full = scenario_form.full(document["given"])
    monkeypatch.setenv("TZ", zone(full))
    time.tzset()
    try:
        assert document["then"].splitlines() == scenario.answer(full)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_another_request_can_be_decided_over_the_file(captured: Path, tmp_path: Path) -> None:
    document: dict[str, Any] = scenario_form.load(captured)
    host = document["given"]["ledger"]["claims"]["scen2_srv_02"]["host"]
    document["given"]["request"] = {"kind": "drain", "host": host, "who": "eve"}
    (tmp_path / "drain.yml").write_text(yaml.safe_dump(document))
    told = offline(tmp_path, "plan", "--from", "drain.yml")
    assert told.returncode == 0 and "stop scen2_srv_02 on %s to server_" % host in told.stdout, told


def test_the_file_is_private_holds_no_secret_and_replaces_none(lab: SiteLab, captured: Path) -> None:
    assert captured.stat().st_mode & 0o777 == 0o600
    text = captured.read_text()
    for left_out in (SECRET, "SENSOR_PASSWORD", lab.net, str(lab.folder)):
        assert left_out not in text
    assert set(re.findall(r"(?:command|environment): *(.*)", text)) <= {"[]", "{}"}, "which programs, not what they run"
    again = lab.muster("capture", str(captured))
    assert again.rc == 2 and "is there already: name a new file" in again.output
    assert captured.read_text() == text
