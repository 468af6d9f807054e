# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference application wholly on Mosquitto (inventory/mosquitto): the same promises as on NATS, Req 4, 15, 25."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.local_site import SERVERS, SiteLab, site_lab, wait_for
from tests.integration.process_table import alive
from tests.integration.reference.programs_by_hand import MOSQUITTO, NO_MOSQUITTO

pytestmark = [pytest.mark.long, pytest.mark.skipif(not os.access(MOSQUITTO, os.X_OK), reason=NO_MOSQUITTO)]
STAGE_3 = {"sensor_acquisition", "data_processing", "config_manager"}
SERVICES = {"internal_data_bus", "common_bus_interface", *STAGE_3}
WINDOWS = {"internal_data_bus", "sensor_view", "chart_view", "sensor_control"}


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(47, profile="mosquitto", consoles=["console_1", "console_3"]) as deployed:
        yield deployed


@pytest.fixture
def shown(lab: SiteLab) -> SiteLab:
    """Items 02 and 03 are open, each on a console; opening them again changes nothing."""
    for item, console in (("02", "console_3"), ("03", "console_1")):
        lab.good("open", instances=["scen2_hci_" + item], host=console)
    return lab


def test_every_item_is_operational_and_no_process_is_on_nats(lab: SiteLab) -> None:
    assert {entry["item"]: entry["verdict"] for entry in lab.status()["items"]} == dict.fromkeys(
        ("01", "02", "03"), "operational"
    )
    for item in ("01", "02", "03"):
        assert set(lab.programs("scen2_srv_" + item)) == SERVICES
    buses = [p for p in lab.processes() if p.program in ("internal_data_bus", "common_data_bus")]
    assert len(buses) == 6
    assert {os.readlink("/proc/%d/exe" % p.pid) for p in buses} == {os.path.realpath(MOSQUITTO)}
    assert {environ(p.pid).get("SCEN2_BUS") for p in lab.processes()} == {"mqtt"}
    probes = {entry["bus"]["probe"]["type"] for entry in lab.claims().values()}
    assert probes == {"mqtt"}, "the monitor asks the buses in another language"


def test_a_second_deploy_changes_nothing(lab: SiteLab) -> None:
    before = sorted(p.pid for p in lab.processes())
    assert lab.good("deploy").changed == 0
    assert sorted(p.pid for p in lab.processes()) == before


def test_the_values_on_a_console_come_from_the_server_of_its_item(shown: SiteLab) -> None:
    lab = shown
    for item, console in (("02", "console_3"), ("03", "console_1")):
        assert set(lab.programs("scen2_hci_" + item)) == WINDOWS
        (server,) = lab.hosts_of("scen2_srv_" + item)
        for program in ("sensor_view", "chart_view"):
            said = log(lab, console, item, program)
            mark = "(from scen2_srv_%s@%s epoch " % (item, server)
            wait_for(lambda said=said, mark=mark: mark in said.read_text(), "values of item %s" % item, said.read_text)
            shown = said.read_text()
            assert shown.count("(from ") == shown.count(mark), "values of another item"
    said = log(lab, "console_3", "02", "sensor_control")
    wait_for(lambda: "(config_manager of scen2_srv_02@" in said.read_text(), "the settings", said.read_text)


def test_a_console_says_that_the_services_are_not_reachable_while_their_bus_is_away(shown: SiteLab) -> None:
    lab = shown
    windows, said = lab.programs("scen2_hci_02"), log(lab, "console_3", "02", "sensor_view")
    lab.good("pause", item="02")  # its host would restart it by itself
    os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
    wait_for(lambda: "services not reachable" in said.read_text(), "the window tells it", said.read_text)
    hci = wait_for(lambda: minor(lab, "02"), "the HCI is degraded", lab.status)
    assert hci["state"] == "running"
    assert hci["cause"].startswith("services of item 02 not reachable"), hci
    assert lab.programs("scen2_hci_02") == windows
    lab.good("resume", item="02")
    lab.good("reconcile")
    epoch = lab.claims()["scen2_srv_02"]["epoch"]
    wait_for(lambda: "epoch %d)" % epoch in said.read_text(), "values again", said.read_text)
    assert lab.verdict("02")["verdict"] == "operational"


def test_mosquitto_ends_with_the_service_manager_that_started_it(lab: SiteLab) -> None:
    """Also when root started it: Mosquitto would then switch to another user, and nothing would kill it."""
    (server,) = lab.hosts_of("scen2_srv_01")
    buses = [lab.bus("scen2_srv_01"), *(p.pid for p in lab.processes("common_data_bus_" + server))]
    assert len(buses) == 2
    os.kill(lab.supervisord(server), signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in buses), "no broker is left")
    lab.good("deploy")
    assert set(lab.programs("scen2_srv_01")) == SERVICES


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_req_15_a_broker_that_dies_or_hangs_restarts_the_instance_in_stages(
    watched: SiteLab, blow: signal.Signals
) -> None:
    lab = watched
    others = lab.programs("scen2_srv_03")
    windows = lab.programs("scen2_hci_02")
    before, epoch = lab.programs("scen2_srv_02"), lab.claims()["scen2_srv_02"]["epoch"]
    os.kill(before["internal_data_bus"], blow)
    wait_for(lambda: renewed(lab, "scen2_srv_02", epoch), "all of it again", lab.monitor_log)
    started = {p.program: p.started for p in lab.processes("scen2_srv_02") if p.epoch}
    assert all(started[name] >= started["internal_data_bus"] for name in STAGE_3), started
    assert not set(lab.programs("scen2_srv_02").values()) & set(before.values())
    assert (lab.programs("scen2_srv_03"), lab.programs("scen2_hci_02")) == (others, windows)
    said, latest = log(lab, "console_3", "02", "sensor_view"), lab.claims()["scen2_srv_02"]["epoch"]
    wait_for(lambda: "epoch %d)" % latest in said.read_text(), "values of it", said.read_text)


def test_a_broker_in_good_health_is_left_alone(watched: SiteLab) -> None:
    """The probe speaks to a healthy Mosquitto: nothing is restarted because the monitor does not understand it."""
    epochs = {name: entry["epoch"] for name, entry in watched.claims().items()}
    health = wait_for(lambda: all_healthy(watched), "every bus healthy in the monitor's eyes", watched.monitor_log)
    assert set(health) >= set(epochs)
    assert {name: entry["epoch"] for name, entry in watched.claims().items()} == epochs


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_req_25_an_hci_whose_own_broker_dies_or_hangs_is_stopped(watched: SiteLab, blow: signal.Signals) -> None:
    lab = watched
    if not lab.programs("scen2_hci_03"):
        lab.good("open", instances=["scen2_hci_03"], host="console_1")
    os.kill(lab.bus("scen2_hci_03"), blow)
    wait_for(lambda: not lab.processes("scen2_hci_03"), "all of the HCI stopped", lab.monitor_log)
    wait_for(lambda: lab.claims().get("scen2_hci_03", {}).get("phase", "free") == "free", "its claim freed", lab.claims)


def test_req_17_a_lost_common_bus_touches_no_item(watched: SiteLab) -> None:
    lab = watched
    core = lab.programs("scen2_srv_01")
    for server in SERVERS:
        lab.supervisorctl(server, "stop", "common_data_bus")
    lab.good("reconcile")
    assert lab.programs("scen2_srv_01") == core
    for server in SERVERS:
        lab.supervisorctl(server, "start", "common_data_bus")


@pytest.fixture(scope="module")
def watched(lab: SiteLab) -> SiteLab:
    lab.start_monitor()
    return lab


def log(lab: SiteLab, console: str, item: str, program: str) -> Path:
    return lab.root(console) / "log" / ("scen2_hci_" + item) / (program + ".log")


def environ(pid: int) -> dict[str, str]:
    data = Path("/proc/%d/environ" % pid).read_bytes().decode()
    return dict(entry.partition("=")[::2] for entry in data.split("\0"))


def minor(lab: SiteLab, item: str) -> dict[str, Any] | None:
    hci: dict[str, Any] = lab.verdict(item)["hci"]
    return hci if hci["minor"] else None


def renewed(lab: SiteLab, instance: str, epoch: int) -> bool:
    running = [p for p in lab.processes(instance) if p.epoch]
    return {p.program for p in running} == SERVICES and all(p.epoch > epoch for p in running)


def all_healthy(lab: SiteLab) -> dict[str, Any] | None:
    """Instance -> health, once the monitor says so of each of them."""
    try:
        buses: dict[str, Any] = json.loads((lab.state / "run" / "monitor.json").read_text())["buses"]
    except (OSError, ValueError):
        return None
    return buses if buses and all(entry["state"] == "healthy" for entry in buses.values()) else None
