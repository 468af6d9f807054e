# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts behind real bus checks, and what follows when a bus dies or hangs: Req 3, 4, 14, 15, 17, 24, 25."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.local_site import SERVERS, SiteLab, site_lab, wait_for

STAGE_3 = {"sensor_acquisition", "data_processing", "config_manager"}
Verdicts = dict[str, dict[str, Any]]
FAULTS = [
    "01",
    {"id": "02", "faults": {"scen2_srv": {"internal_data_bus": {"start_delay": 5}}}},
    {"id": "03", "faults": {"scen2_srv": {"internal_data_bus": {"mute": True}}}},
    {"id": "04", "faults": {"scen2_srv": {"data_processing": {"fail": "exit 3"}}}},
    {"id": "05", "faults": {"scen2_hci": {"sensor_view": {"fail": "exit 4"}}}},
]


@pytest.fixture(scope="module")
def faulty() -> Iterator[SiteLab]:
    settings = {"failure_budget": 3, "stable_after": 1}
    site = {"muster_items": FAULTS, "muster_settings": settings, "muster_load_limit": 130}
    with site_lab(2, consoles=["console_1"], **site) as deployed:
        yield deployed


@pytest.fixture(scope="module", name="deployed")
def deployed_fixture(faulty: SiteLab) -> Verdicts:
    """The status of each item after the deploy."""
    return {entry["item"]: entry for entry in faulty.status()["items"]}


def test_a_run_that_has_one_order_carries_it_out_once(faulty: SiteLab, tmp_path: Path) -> None:
    """A run that could not be parked takes its order from a file; it has rounds for more, which do nothing."""
    epoch = faulty.claims()["scen2_srv_01"]["epoch"]
    intent = {"id": "a-1", "instance": "scen2_srv_01", "epoch": epoch, "cause": "bus crash", "what": "restart"}
    (tmp_path / "order").write_text(json.dumps({"intents": [{**intent, "why": "a test"}]}) + "\n")
    played = faulty.play("standby", standby_fifo=str(tmp_path / "order"), standby_warm=False)
    assert played.rc == 0, played.output
    assert faulty.claims()["scen2_srv_01"]["epoch"] > epoch
    assert (played.output.count("TASK [Act on the hosts"), played.output.count("TASK [Commit the")) == (1, 1)


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(3, consoles=["console_1", "console_2"]) as deployed:
        deployed.start_monitor()
        yield deployed


def test_req_4_nothing_of_stage_3_starts_before_a_slow_bus_answers(faulty: SiteLab) -> None:
    started = {p.program: p.started for p in faulty.processes("scen2_srv_02") if p.epoch}
    assert set(started) >= STAGE_3
    ticks = os.sysconf("SC_CLK_TCK")
    assert all(started[name] - started["internal_data_bus"] >= 5 * ticks * 0.9 for name in STAGE_3), started


def test_req_4_nothing_of_stage_3_ever_starts_when_the_bus_cannot_answer(faulty: SiteLab, deployed: Verdicts) -> None:
    assert faulty.processes("scen2_srv_03") == []
    assert not any(faulty.said(server, "scen2_srv_03", "data_processing") for server in SERVERS)
    verdict = deployed["03"]
    assert verdict["verdict"] == "not operational"
    assert "check_internal_data_bus" in verdict["cause"]


def test_req_14_a_failed_start_is_stopped_and_keeps_its_reason(faulty: SiteLab, deployed: Verdicts) -> None:
    assert faulty.processes("scen2_srv_04") == []
    verdict = deployed["04"]
    assert verdict["verdict"] == "not operational"
    assert "data_processing" in verdict["cause"]


def test_req_14_a_start_that_keeps_failing_is_tried_on_another_host_and_ends_in_quarantine(faulty: SiteLab) -> None:
    for _ in range(2):  # the second and the third of three tries
        faulty.good("reconcile")
    told = faulty.muster("events", "--instance", "scen2_srv_04", "-n", "200", "--json").output
    here, again, elsewhere = re.findall(r"start of scen2_srv_04 on (server_\d) failed", told)
    assert here == again and elsewhere != here, told
    assert faulty.good("reconcile").changed == 0, "a failed instance is tried again and again"
    assert faulty.claims()["scen2_srv_04"]["phase"] == "failed"
    assert "data_processing" in faulty.verdict("04")["cause"]
    assert faulty.processes("scen2_srv_04") == []
    epoch = faulty.claims()["scen2_srv_04"]["epoch"]
    assert faulty.play("start", instances=["scen2_srv_04"]).rc != 0
    assert faulty.claims()["scen2_srv_04"]["epoch"] > epoch
    assert faulty.processes("scen2_srv_04") == []


def test_req_24_an_hci_goes_on_without_a_view_that_cannot_start(faulty: SiteLab) -> None:
    faulty.play("open", instances=["scen2_hci_05"], host="console_1")
    assert set(faulty.programs("scen2_hci_05")) == {"internal_data_bus", "chart_view", "sensor_control"}
    verdict = faulty.verdict("05")
    assert verdict["verdict"] == "degraded"
    assert "sensor_view" in verdict["cause"]


def test_req_3_an_optional_program_is_minor_and_a_required_one_major(lab: SiteLab) -> None:
    lab.good("open", instances=["scen2_hci_01"], host="console_1")
    assert lab.verdict("01")["verdict"] == "operational"
    os.kill(lab.program("scen2_hci_01", "chart_view"), signal.SIGKILL)
    verdict = wait_for(lambda: _when(lab, "01", "degraded"), "degraded", lambda: lab.verdict("01"))
    assert "chart_view" in verdict["cause"]
    os.kill(lab.program("scen2_srv_01", "config_manager"), signal.SIGKILL)
    verdict = wait_for(lambda: _when(lab, "01", "not operational"), "not operational", lambda: lab.verdict("01"))
    assert "config_manager" in verdict["cause"]
    lab.good("restart", instances=["scen2_srv_01", "scen2_hci_01"])
    assert lab.verdict("01")["verdict"] == "operational"


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_req_15_a_bus_that_dies_or_hangs_restarts_the_whole_instance(lab: SiteLab, blow: signal.Signals) -> None:
    others = lab.programs("scen2_srv_01")
    before, epoch = lab.programs("scen2_srv_02"), _epoch(lab, "scen2_srv_02")
    os.kill(before["internal_data_bus"], blow)
    wait_for(lambda: _whole(lab, "scen2_srv_02", epoch, before), "all of it again, every process new", lab.monitor_log)
    assert lab.programs("scen2_srv_01") == others
    wait_for(lambda: lab.claims()["scen2_srv_02"]["phase"] == "running", "the outcome in the ledger")
    assert "internal bus" in lab.muster("events", "--instance", "scen2_srv_02").output


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_req_25_an_hci_whose_own_bus_dies_or_hangs_is_stopped_and_stays_so(lab: SiteLab, blow: signal.Signals) -> None:
    lab.good("open", instances=["scen2_hci_03"], host="console_2")
    os.kill(lab.bus("scen2_hci_03"), blow)
    wait_for(lambda: not lab.processes("scen2_hci_03"), "all of the HCI stopped", lab.monitor_log)
    wait_for(lambda: lab.claims().get("scen2_hci_03", {}).get("phase", "free") == "free", "its claim freed", lab.claims)
    lab.good("reconcile")
    assert lab.processes("scen2_hci_03") == []
    assert "bus" in lab.muster("why", "scen2_hci_03").output


def test_req_25_an_hci_outlives_a_restart_of_its_services_and_shows_their_values_again(lab: SiteLab) -> None:
    lab.good("open", instances=["scen2_hci_02"], host="console_1")
    windows = lab.programs("scen2_hci_02")

    def shown() -> str:
        return lab.said("console_1", "scen2_hci_02", "sensor_view")

    before, epoch = lab.programs("scen2_srv_02"), _epoch(lab, "scen2_srv_02")
    wait_for(lambda: "scen2_srv_02@" in shown(), "values of item 02", shown)
    os.kill(before["internal_data_bus"], signal.SIGKILL)
    wait_for(lambda: _whole(lab, "scen2_srv_02", epoch, before), "the services again", lab.monitor_log)
    wait_for(lambda: "epoch %d)" % _epoch(lab, "scen2_srv_02") in shown(), "new values", shown)
    assert lab.programs("scen2_hci_02") == windows


def test_req_17_the_core_runs_without_the_common_bus_and_its_interface_follows(lab: SiteLab) -> None:
    lab.stop_monitor()  # it would have the common bus started again, maybe before the restart
    for server in SERVERS:
        lab.by_hand(server, "stop", "common_data_bus")
    lab.good("restart", instances=["scen2_srv_01"])
    assert set(lab.programs("scen2_srv_01")) == {"internal_data_bus", *STAGE_3}
    verdict = lab.verdict("01")
    assert (verdict["verdict"], "the common bus" in verdict["cause"]) == ("operational", True), verdict
    core = lab.programs("scen2_srv_01")
    for server in SERVERS:
        lab.by_hand(server, "start", "common_data_bus")
    lab.good("monitor")
    wait_for(lambda: "common_bus_interface" in lab.programs("scen2_srv_01"), "its interface", lab.monitor_log)
    assert {name: lab.programs("scen2_srv_01")[name] for name in core} == core

    whole = lab.programs("scen2_srv_01")
    for server in SERVERS:
        lab.by_hand(server, "stop", "common_data_bus")
    lab.good("reconcile")
    assert lab.programs("scen2_srv_01") == whole, "a lost common bus touched the instance"
    for server in SERVERS:
        lab.by_hand(server, "start", "common_data_bus")


def _when(lab: SiteLab, item: str, verdict: str) -> dict[str, object] | None:
    entry = lab.verdict(item)
    return entry if entry["verdict"] == verdict else None


def _epoch(lab: SiteLab, instance: str) -> int:
    return int(lab.claims()[instance]["epoch"])


def _whole(lab: SiteLab, instance: str, epoch: int, before: dict[str, int]) -> bool:
    """All programs run again under a later epoch, none of the old processes among them."""
    running = [p for p in lab.processes(instance) if p.epoch]
    return (
        {p.program for p in running} == set(before)
        and all(p.epoch > epoch for p in running)
        and not {p.pid for p in running} & set(before.values())
    )
