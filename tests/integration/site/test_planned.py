# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drains and moves that are planned for a moment, on a site with its monitor; read from the process table."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.integration.api_client import Client
from tests.integration.local_site import SERVERS, SiteLab, site_lab, wait_for

pytestmark = pytest.mark.long
ITEMS = ["01", "02", "03"]
SERVICES = ["scen2_srv_%s" % item for item in ITEMS]
SOON = 120.0  # s: a playbook takes a quarter of that on a busy machine
LONG = 300.0  # s, on a busy machine


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(86, ["console_1"], muster_items=ITEMS) as deployed:
        deployed.start_monitor()
        yield deployed


def places(lab: SiteLab) -> dict[str, set[str]]:
    return {name: lab.hosts_of(name) for name in SERVICES}


def all_run(lab: SiteLab) -> bool:
    return all(lab.whole(name) for name in SERVICES)


def test_a_planned_drain_begins_and_ends_by_itself_although_the_monitor_was_restarted(lab: SiteLab) -> None:
    host = str(next(iter(lab.hosts_of(SERVICES[0]))))
    before, at = places(lab), time.time() + SOON
    planned = lab.muster("drain", host, "--at", "%.0f" % at, "--until", "%.0f" % (at + SOON), "--why", "new disk")
    assert planned.rc == 0 and "is to be drained" in planned.output, planned.output
    assert host in lab.muster("status").output
    lab.stop_monitor()
    assert lab.good("reconcile").changed == 0  # it is not time yet
    lab.start_monitor()
    assert time.time() < at and places(lab) == before
    wait_for(lambda: all(host not in hosts for hosts in places(lab).values()) and all_run(lab), "it is empty",
             lab.monitor_log, LONG)  # fmt: skip
    assert time.time() >= at - 1
    wait_for(lambda: _state(lab, host) == "up", "it is used again", lab.monitor_log, LONG)
    assert time.time() >= at + SOON - 1
    assert all_run(lab)


def test_a_planned_drain_whose_time_passes_while_nothing_runs_begins_with_the_next_look(lab: SiteLab) -> None:
    host = str(next(iter(lab.hosts_of(SERVICES[0]))))
    lab.stop_monitor()
    assert lab.muster("drain", host, "--at", "5s", "--at-a-time", "3").rc == 0
    at = time.time() + 5
    wait_for(lambda: time.time() > at, "the moment")
    assert all(hosts for hosts in places(lab).values()) and host in places(lab)[SERVICES[0]]
    lab.start_monitor()
    wait_for(lambda: all(host not in hosts for hosts in places(lab).values()) and all_run(lab), "it is empty",
             lab.monitor_log, LONG)  # fmt: skip
    assert lab.muster("undrain", host).rc == 0


def test_a_move_for_later_is_done_then_and_a_stop_before_it_calls_it_off(lab: SiteLab) -> None:
    name, other = SERVICES[0], SERVICES[1]
    to = next(host for host in SERVERS if host not in lab.hosts_of(name))
    elsewhere = next(host for host in SERVERS if host not in lab.hosts_of(other))
    at = time.time() + SOON
    assert lab.muster("move", name, "--to", to, "--at", "%.0f" % at).rc == 0
    assert lab.muster("move", other, "--to", elsewhere, "--at", "%.0f" % at).rc == 0
    assert lab.muster("stop", other).rc == 0
    assert lab.muster("start", other).rc == 0
    stayed, epoch = lab.hosts_of(other), lab.claims()[other]["epoch"]  # it starts where the load is least now
    lab.stop_monitor()
    lab.start_monitor()
    assert to not in lab.hosts_of(name)
    wait_for(lambda: lab.hosts_of(name) == {to} and lab.whole(name), "it has moved", lab.monitor_log, LONG)
    assert time.time() >= at - 1
    assert lab.good("reconcile").changed == 0
    assert lab.hosts_of(other) == stayed and lab.whole(other) and lab.claims()[other]["epoch"] == epoch


def test_a_plan_that_asks_for_a_second_name_is_applied_by_another_person_over_the_api(lab: SiteLab) -> None:
    api, name = Client(lab.state / "run" / "api.sock"), SERVICES[2]
    asked = {"kind": "stop", "instances": [name], "why": "its sensor is changed"}
    for missing in ("?approve=1", "?dry_run=1&approve=1", "?save=1"):
        assert api.post("/actions" + missing, asked).status == 422
    shown = api.post("/actions?dry_run=1&save=1&approve=1", asked, X_Muster_Person="Eve").json
    apply = {"kind": "apply", "plan": shown["digest"]}
    for person in ({"X_Muster_Person": "Eve"}, {}):
        refused = api.post("/actions", apply, **person).json
        assert not refused["ok"] and "asks for a second name" in refused["said"][0], refused
    assert lab.whole(name)
    done = api.post("/actions", apply, X_Muster_Person="Bob").json
    assert done["ok"], done
    assert not lab.hosts_of(name)
    told = [line for line in lab.muster("events", "-n", "50").output.splitlines() if "second name" in line]
    assert any("(Bob)" in line and "(Eve) made at" in line for line in told), told
    again = api.post("/actions", apply, X_Muster_Person="Bob").json
    assert not again["ok"] and "does not fit any more" in again["said"][0]
    assert lab.muster("start", name).rc == 0


def _state(lab: SiteLab, host: str) -> str:
    found = next(entry for entry in lab.seen()["hosts"] if entry["host"] == host)
    return str(found["state"])
