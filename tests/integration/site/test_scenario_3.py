# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenario 3 (inventory/scenario_3): one application for all items, and one HCI of it per console."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.local_site import SERVERS, SiteLab, site_lab, wait_for

pytestmark = pytest.mark.long
SERVICES = {"internal_data_bus", "global_acquisition", "global_processing", "global_manager", "common_bus_interface"}
WINDOWS = {"internal_data_bus", "global_view", "global_control"}
ITEMS = [{"id": "01", "applications": "scen2_srv", "expected_loading": 0.5}, "02"]


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(63, profile="scenario_3", consoles=["console_1", "console_2"], muster_items=ITEMS) as deployed:
        yield deployed


def rows(lab: SiteLab) -> dict[str, str]:
    return {entry["item"]: entry["verdict"] for entry in lab.status()["items"]}


def test_the_site_and_each_console_have_a_row_of_their_own(lab: SiteLab) -> None:
    served = dict.fromkeys(("01", "02", "site"), "operational")
    assert rows(lab) == {**served, "console_1": "stopped", "console_2": "stopped"}
    assert set(lab.programs("scen3_srv_site")) == SERVICES
    assert not [p for p in lab.processes() if p.instance.startswith(("scen3_hci", "scen2_hci"))]


def test_an_item_has_only_the_applications_that_it_names_and_reserves_what_it_says(lab: SiteLab) -> None:
    document = lab.status()
    assert sorted(document["instances"]) == [
        "scen2_hci_02", "scen2_srv_01", "scen2_srv_02", "scen3_hci_console_1", "scen3_hci_console_2", "scen3_srv_site"]
    assert sorted(host["reserved"] for host in document["hosts"] if host["instances"]) == [21, 42, 42]


def test_a_second_deploy_changes_nothing(lab: SiteLab) -> None:
    assert lab.good("deploy").changed == 0


def test_each_console_opens_its_own_hci_and_no_other(lab: SiteLab) -> None:
    lab.good("open", instances=["scen3_hci_console_1"], host="console_1")
    assert set(lab.programs("scen3_hci_console_1")) == WINDOWS
    refused = lab.play("open", instances=["scen3_hci_console_2"], host="console_1")
    assert refused.rc != 0
    assert "scen3_hci_console_2 may run on console_2 only" in refused.output
    lab.good("open", instances=["scen3_hci_console_2"], host="console_2")
    wait_for(lambda: rows(lab)["console_1"] == rows(lab)["console_2"] == "operational", "both consoles show it")


def test_the_one_of_the_site_moves_with_its_server_and_its_hcis_stay(lab: SiteLab) -> None:
    holder = str(lab.claims()["scen3_srv_site"]["host"])
    windows = lab.programs("scen3_hci_console_1")
    lab.good("drain", host=holder, why="a test")
    assert lab.claims()["scen3_srv_site"]["host"] in set(SERVERS) - {holder}
    assert set(lab.programs("scen3_srv_site")) == SERVICES
    assert lab.programs("scen3_hci_console_1") == windows
    wait_for(lambda: rows(lab)["console_1"] == "operational", "it has found its services again")


def test_a_bus_of_one_console_that_crashes_closes_that_hci_only(lab: SiteLab) -> None:
    other = lab.programs("scen3_hci_console_2")
    os.kill(lab.program("scen3_hci_console_1", "internal_data_bus"), signal.SIGKILL)
    wait_for(lambda: not lab.programs("scen3_hci_console_1"), "it is closed")
    assert lab.programs("scen3_hci_console_2") == other
