# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real site whose hosts need leases: what is silent has ended before it runs elsewhere.

The audit of the site counts frozen processes too: two copies are two copies, also while one of them stands still.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.local_site import SERVERS, SiteLab, facts, site_lab, wait_for

ITEMS = ("01", "02", "03")
LEASED: dict[str, Any] = {"stable_after": 1, "exclusion": "witnesses", "lease": 3.0,
                          "api_address": "{{ local_net }}.1", "api_port": 8770}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(49, consoles=["console_1"], muster_items=list(ITEMS), muster_settings=LEASED) as deployed:
        deployed.start_monitor()
        yield deployed


def settled(lab: SiteLab) -> None:
    for item in ITEMS:
        wait_for(lambda: lab.whole("scen2_srv_" + item), item + " runs in full", lab.monitor_log, 90)  # noqa: B023
    wait_for(lambda: all_up(facts(lab)), "all hosts up", lab.monitor_log, 90)


def all_up(document: dict[str, Any]) -> bool:
    return bool(document) and all(host["state"] == "up" for host in document["hosts"].values())


def events(lab: SiteLab) -> str:
    return lab.muster("events", "-n", "200").output


def test_a_second_deploy_changes_nothing(lab: SiteLab) -> None:
    settled(lab)
    assert lab.good("deploy").changed == 0
    for host in SERVERS:
        path = lab.root(host) / "etc/lease.json"
        assert path.stat().st_mode & 0o777 == 0o600
        assert (lab.root(host) / "run/lease").read_text().splitlines()[2] == str(lab.supervisord(host))
    assert (lab.state / "lease.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("failure", ["freeze", "power_cut"])
def test_what_a_silent_server_held_runs_elsewhere_behind_a_fence(lab: SiteLab, failure: str) -> None:
    settled(lab)
    name = "scen2_srv_02"
    host = lab.claims()[name]["host"]
    epoch = lab.claims()[name]["epoch"]
    lab.machine(failure, host)
    wait_for(lambda: lab.whole(name, after=epoch), "it runs elsewhere", lab.monitor_log, 60)
    assert lab.hosts_of(name) == {lab.claims()[name]["host"]} != {host}
    assert "%s is fenced, its lease ended at " % host in events(lab)
    if failure == "freeze":
        lab.machine("thaw", host)
    lab.machine("power_on", host)
    settled(lab)
    wait_for(lambda: "%s is used again" % host in lab.monitor_log(), "the fence is lifted", lab.monitor_log)


def test_without_a_majority_of_witnesses_everything_stops_and_comes_back(lab: SiteLab) -> None:
    settled(lab)
    epochs = {"scen2_srv_" + item: lab.claims()["scen2_srv_" + item]["epoch"] for item in ITEMS}
    lab.machine("power_cut", "server_1", "server_3")
    wait_for(lambda: not any(lab.processes(name) for name in epochs), "server_2 has stopped all", lab.monitor_log)
    lab.machine("power_on", "server_1", "server_3")
    settled(lab)
    assert all(lab.claims()[name]["epoch"] > epoch for name, epoch in epochs.items())
