# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployed site without a monitor whose buses die: Req 24, 25 hold all the same, and reconcile knows the reason."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.local_site import WITHOUT_LEASES, SiteLab, site_lab, wait_for
from tests.integration.process_table import alive

pytestmark = pytest.mark.long


@pytest.fixture(name="lab", scope="module")
def lab_fixture() -> Iterator[SiteLab]:
    # With leases the hosts would restart by themselves what a listener has ended.
    with site_lab(71, muster_items=["01", "02"], muster_settings=WITHOUT_LEASES) as deployed:
        yield deployed


def lose_bus(lab: SiteLab, instance: str) -> None:
    pids = [process.pid for process in lab.processes(instance)]
    os.kill(lab.bus(instance), signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in pids), "all of %s ended" % instance)


def test_services_that_lost_their_bus_end_without_a_monitor_and_reconcile_starts_them_again(lab: SiteLab) -> None:
    others = lab.programs("scen2_srv_02")
    lose_bus(lab, "scen2_srv_01")
    assert lab.programs("scen2_srv_02") == others
    before = lab.claims()["scen2_srv_01"]
    assert "the internal bus of scen2_srv_01 crashed" in lab.good("reconcile").output
    assert lab.claims()["scen2_srv_01"]["epoch"] > before["epoch"]
    assert lab.verdict("01")["verdict"] == "operational"
    assert lab.good("reconcile").changed == 0
    assert lab.good("deploy").changed == 0


def test_windows_that_lost_their_bus_end_without_a_monitor_and_stay_stopped_with_the_reason(lab: SiteLab) -> None:
    lab.good("open", instances=["scen2_hci_01"], host="console_1")
    lose_bus(lab, "scen2_hci_01")
    assert "the internal bus of scen2_hci_01 crashed on console_1" in lab.good("reconcile").output
    assert lab.processes("scen2_hci_01") == []
    assert lab.good("reconcile").changed == 0
    assert "crashed on console_1" in lab.muster("why", "scen2_hci_01").output
