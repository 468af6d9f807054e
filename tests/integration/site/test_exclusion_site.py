# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real site whose hosts need leases: what is silent has ended before it runs elsewhere.

The audit of the site counts frozen processes too: two copies are two copies, also while one of them stands still.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.core.controller import ledger as controller_ledger
from monitor.core.host.lease import kernel
from monitor.core.model.claim import Claim
from tests.integration.local_site import SERVERS, SERVICE_PROGRAMS, SiteLab, facts, site_lab, wait_for

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


def test_another_key_reaches_every_host_without_a_pause(lab: SiteLab) -> None:
    settled(lab)
    before = {"scen2_srv_" + item: lab.programs("scen2_srv_" + item) for item in ITEMS}
    sessions = {host: (lab.root(host) / "run/lease").read_text().splitlines()[1] for host in SERVERS}
    key = json.loads((lab.state / "lease.json").read_text())["keys"]
    done = lab.muster("rotate-key")
    assert done.rc == 0, done.output
    after = json.loads((lab.state / "lease.json").read_text())["keys"]
    assert len(after) == 1 and after != key
    for host in SERVERS:
        assert json.loads((lab.root(host) / "etc/lease.json").read_text())["masters"] == after
        # Longer than a lease later it is still the same one.
        until = (kernel.now() + 2 * LEASED["lease"]) * 100
        wait_for(lambda: int((lab.root(host) / "run/lease").read_text().split()[0]) > until, "the lease goes on")  # noqa: B023
        assert (lab.root(host) / "run/lease").read_text().splitlines()[1] == sessions[host]
    assert {name: lab.programs(name) for name in before} == before


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


def claim(lab: SiteLab, name: str) -> Claim:
    with controller_ledger.Ledger(str(lab.state / "ledger.db")) as ledger:
        return Claim.from_json(ledger.read()[0]["claims"][name])


def test_without_a_monitor_a_host_restarts_a_crashed_service_and_it_is_counted_once(lab: SiteLab) -> None:
    settled(lab)
    name = "scen2_srv_01"
    assert lab.muster("reset", name).rc == 0  # crashes of before age meanwhile
    before = claim(lab, name)
    assert not before.crashes
    lab.stop_monitor()
    os.kill(lab.bus(name), signal.SIGKILL)
    by_itself = before.epoch + 1

    def restarted() -> bool:
        running = lab.processes(name)
        return {p.epoch for p in running} == {by_itself} and set(lab.programs(name)) == SERVICE_PROGRAMS

    wait_for(restarted, "its host restarted it", lab.monitor_log, 60)
    assert lab.hosts_of(name) == {before.host}
    assert claim(lab, name) == before, "nobody has told the ledger yet"
    programs = lab.programs(name)
    lab.start_monitor()
    wait_for(lambda: claim(lab, name).epoch > before.epoch, "it is taken into the ledger", lab.monitor_log, 90)
    settled(lab)
    after = claim(lab, name)
    assert (after.epoch, after.host, after.phase) == (by_itself, before.host, "running")
    assert len(after.crashes) == 1
    assert "%s restarted %s by itself" % (before.host, name) in events(lab)
    assert lab.good("reconcile").changed == 0
    assert claim(lab, name) == after and lab.programs(name) == programs


def test_a_paused_item_is_left_alone_also_without_a_monitor(lab: SiteLab) -> None:
    settled(lab)
    name = "scen2_srv_03"
    before = claim(lab, name)
    assert lab.muster("pause", "03", "--why", "new fan").rc == 0
    lab.stop_monitor()
    os.kill(lab.bus(name), signal.SIGKILL)
    os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
    second = claim(lab, "scen2_srv_02")

    def restarted() -> bool:
        return {p.epoch for p in lab.processes("scen2_srv_02")} == {second.epoch + 1}

    wait_for(restarted, "the other item is restarted", lab.monitor_log, 60)
    assert not [p for p in lab.processes(name) if p.epoch > before.epoch], "and this one is not"
    lab.start_monitor()
    assert lab.muster("resume", "03").rc == 0
    settled(lab)
