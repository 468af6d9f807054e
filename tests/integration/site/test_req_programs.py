# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs other than the bus that die: noticed by the service manager's events, long before the regular look. And
single programs that people stop, start, restart and send signals to.
"""

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


def test_one_program_is_left_out_restarted_and_its_log_read(lab: SiteLab) -> None:
    """The rest of it is in test_logs and test_programs_by_hand."""
    before = settled(lab)
    assert lab.muster("stop", "scen2_srv_01/data_processing").rc == 0
    left = {name: pid for name, pid in before.items() if name != "data_processing"}
    assert lab.programs(SERVICE) == left
    assert {item["verdict"] for item in lab.status()["items"]} == {"operational"}
    assert lab.muster("start", "01/data_processing").rc == 0
    after = lab.programs(SERVICE)
    assert after.keys() == before.keys() and {name: after[name] for name in left} == left
    shown = lab.muster("logs", "scen2_srv_01/data_processing", "-n", "1")
    assert shown.rc == 0 and "connected to bus" in shown.output, shown.output


def test_a_program_gets_a_signal_and_runs_on(lab: SiteLab) -> None:
    before = settled(lab)
    tried = lab.muster("signal", "01/config_manager", "CONT", "--dry-run")
    assert tried.rc == 0 and "tell CONT" in tried.output, tried.output
    assert lab.muster("signal", "scen2_srv_01/config_manager", "CONT", "--reason", "a test").rc == 0
    assert "CONT to config_manager of scen2_srv_01 on server_" in lab.muster("why", SERVICE).output
    assert lab.programs(SERVICE) == before
    for what, code in ((("scen2_srv_01/check_internal_data_bus", "HUP"), 5), ((SERVICE, "HUP"), 5),
                       (("scen2_srv_01/config_manger", "HUP"), 3), (("scen2_srv_01/config_manager", "KILL"), 2)):
        assert lab.muster("signal", *what).rc == code, what
    # one that does not handle it has crashed, and its application goes on without it
    assert lab.muster("signal", "scen2_srv_01/config_manager", "USR1").rc == 0
    wait_for(lambda: "config_manager" not in lab.programs(SERVICE), "it has ended", lab.monitor_log)
    wait_for(lambda: lab.verdict("01")["verdict"] != "operational", "a run has seen it", lab.monitor_log)
    wait_for(lambda: lab.muster("start", "01/config_manager").rc == 0, "it is started again", lab.monitor_log)
    assert lab.programs(SERVICE).keys() == before.keys()


def test_a_bus_takes_along_what_cannot_do_without_it(lab: SiteLab) -> None:
    before = settled(lab)
    alone = lab.muster("restart", "scen2_srv_01/internal_data_bus")
    assert alone.rc == 5 and "without which" in alone.output and "--with" in alone.output, alone.output
    assert lab.muster("restart", "scen2_srv_01/internal_data_bus", "--with").rc == 0
    after = lab.programs(SERVICE)
    assert after.keys() == before.keys() and not set(after.values()) & set(before.values())


@pytest.mark.long
def test_the_end_of_a_program_that_needs_no_action_is_only_reported(lab: SiteLab) -> None:
    before, was = settled(lab), epoch(lab)
    os.kill(before["config_manager"], signal.SIGKILL)
    wait_for(lambda: lab.verdict("01")["verdict"] == "not operational", "it is reported", lab.monitor_log)
    assert "config_manager" in lab.verdict("01")["cause"]
    assert epoch(lab) == was
    assert "config_manager" not in lab.programs(SERVICE)
