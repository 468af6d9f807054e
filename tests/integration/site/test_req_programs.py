# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs other than the bus that die: noticed by the service manager's events, long before the regular look."""

from __future__ import annotations

import copy
import json
import os
import signal
from collections.abc import Iterator

import pytest
import yaml

from tests.integration.local_site import ROOT, SERVICE_PROGRAMS, SiteLab, site_lab, wait_for

SERVICE = "scen2_srv_01"


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    written = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
    applications = copy.deepcopy(written["muster_applications"])
    programs = applications["scen2_srv"]["programs"]
    programs["sensor_acquisition"]["running_failure_strategy"] = "restart_process"
    programs["data_processing"]["running_failure_strategy"] = "restart_application"
    settings = {"stable_after": 1, "observe_interval": 3600}
    site = {"muster_items": ["01"], "muster_applications": applications, "muster_settings": settings}
    with site_lab(45, consoles=["console_1"], **site) as deployed:
        deployed.start_monitor()
        yield deployed


def epoch(lab: SiteLab) -> int:
    """0 while it holds no host, as between its stop and its start."""
    return int(lab.claims().get(SERVICE, {}).get("epoch", 0))


def parked(lab: SiteLab) -> bool:
    return bool(json.loads((lab.state / "run" / "monitor.json").read_text()).get("standby") == "parked")


def settled(lab: SiteLab) -> dict[str, int]:
    wait_for(lambda: set(lab.programs(SERVICE)) == SERVICE_PROGRAMS, "all programs", lab.monitor_log)
    wait_for(lambda: lab.claims()[SERVICE]["phase"] == "running", "running", lab.monitor_log)
    wait_for(lambda: parked(lab), "a parked run", lab.monitor_log)
    return lab.programs(SERVICE)


def test_a_program_is_started_again_and_the_others_are_left_alone(lab: SiteLab) -> None:
    before, was = settled(lab), epoch(lab)
    os.kill(before["sensor_acquisition"], signal.SIGKILL)
    wait_for(
        lambda: lab.programs(SERVICE).get("sensor_acquisition", before["sensor_acquisition"])
        != before["sensor_acquisition"],
        "it runs again",
        lab.monitor_log,
    )
    after = settled(lab)
    assert {p: pid for p, pid in after.items() if p != "sensor_acquisition"} == {
        p: pid for p, pid in before.items() if p != "sensor_acquisition"
    }
    assert epoch(lab) == was


def test_a_program_whose_end_calls_for_all_of_it_restarts_the_application(lab: SiteLab) -> None:
    before, was = settled(lab), epoch(lab)
    os.kill(before["data_processing"], signal.SIGKILL)
    wait_for(lambda: epoch(lab) > was, "a new epoch", lab.monitor_log)
    after = settled(lab)
    assert not set(before.values()) & set(after.values())


@pytest.mark.long
def test_the_end_of_a_program_that_needs_no_action_is_only_reported(lab: SiteLab) -> None:
    before, was = settled(lab), epoch(lab)
    os.kill(before["config_manager"], signal.SIGKILL)
    wait_for(lambda: lab.verdict("01")["verdict"] == "not operational", "it is reported", lab.monitor_log)
    assert "config_manager" in lab.verdict("01")["cause"]
    assert epoch(lab) == was
    assert "config_manager" not in lab.programs(SERVICE)
