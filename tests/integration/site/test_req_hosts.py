# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that lose power, freeze, vanish together and return, on a real site without leases (Req 16, 26).

With leases: `test_exclusion_site.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.local_site import SERVERS, WITHOUT_LEASES, SiteLab, facts, site_lab, wait_for

ITEMS = ("01", "02", "03", "04", "05", "06")


@pytest.fixture(scope="module")
def site() -> Iterator[SiteLab]:
    with site_lab(44, muster_items=list(ITEMS), muster_load_limit=130, muster_settings=WITHOUT_LEASES) as deployed:
        deployed.start_monitor()
        yield deployed


@pytest.fixture
def lab(site: SiteLab) -> SiteLab:
    """All hosts on and believed up, all services running in full, whatever the test before did."""
    for host in (*SERVERS, "console_1", "console_2", "console_3"):
        site.machine("thaw", host)
        site.machine("power_on", host)
    settled(site)
    return site


def settled(lab: SiteLab) -> None:
    wait_for(lambda: all_up(lab), "all hosts up", lab.monitor_log, 90)
    for item in ITEMS:
        name = "scen2_srv_" + item
        wait_for(lambda: lab.whole(name), name + " runs in full", lab.monitor_log, 90)  # noqa: B023
    wait_for(lambda: facts(lab).get("standby") == "parked", "a parked run", lab.monitor_log)


def believed(lab: SiteLab, host: str) -> str:
    return str(json.loads((lab.state / "watch.json").read_text())["hosts"][host]["state"])


def all_up(lab: SiteLab) -> bool:
    seen = facts(lab).get("hosts", {})
    return all(believed(lab, h) == "up" and seen.get(h, {}).get("state") == "up" for h in seen) and len(seen) == 6


def held(lab: SiteLab, host: str) -> list[str]:
    return sorted(name for name, claim in lab.claims().items() if claim["host"] == host and claim["phase"] == "running")


def test_a_server_that_loses_power_gives_all_its_items_to_the_others(lab: SiteLab) -> None:
    there = held(lab, "server_2")
    assert len(there) == 2, "six items, balanced"
    before = {name: lab.claims()[name]["epoch"] for name in there}
    lab.machine("power_cut", "server_2")
    for name in there:
        wait_for(
            lambda: lab.whole(name) and lab.claims()[name]["host"] != "server_2",  # noqa: B023
            "%s runs elsewhere" % name,
            lab.monitor_log,
        )
        assert lab.claims()[name]["epoch"] > before[name]
        assert lab.hosts_of(name) == {lab.claims()[name]["host"]}
    assert believed(lab, "server_2") == "down"
    assert {len(held(lab, host)) for host in ("server_1", "server_3")} == {3}, "balanced, as one batch"
    lab.machine("power_on", "server_2")
    wait_for(lambda: all_up(lab), "server_2 is used again", lab.monitor_log)
    assert held(lab, "server_2") == [], "nothing moves back by itself"


def test_two_servers_at_once_leave_what_does_not_fit_waiting_with_the_reason(lab: SiteLab) -> None:
    lab.machine("power_cut", "server_1", "server_3")
    wait_for(lambda: believed(lab, "server_1") == believed(lab, "server_3") == "down", "both down", lab.monitor_log)
    wait_for(lambda: len(held(lab, "server_2")) == 3, "server_2 is full", lab.monitor_log)
    waiting = wait_for(lambda: three_wait(lab), "three wait", lab.monitor_log)
    assert "server_2" in waiting[0]["cause"], waiting[0]
    lab.machine("power_on", "server_1")
    settled_items = wait_for(
        lambda: [item for item in ITEMS if lab.whole("scen2_srv_" + item)] == list(ITEMS) or None,
        "what waited is placed when a host returns",
        lab.monitor_log,
    )
    assert settled_items


def three_wait(lab: SiteLab) -> list[dict[str, Any]] | None:
    waiting = [entry for entry in lab.status()["items"] if entry["verdict"] == "waiting"]
    return waiting if len(waiting) == 3 else None


@pytest.mark.long
def test_a_console_that_loses_power_never_shows_its_windows_again_by_itself(lab: SiteLab) -> None:
    assert lab.muster("open", "02", "--console", "console_1").rc == 0
    wait_for(lambda: lab.programs("scen2_hci_02"), "the windows")
    lab.machine("power_cut", "console_1")
    wait_for(lambda: believed(lab, "console_1") == "down", "console_1 is believed down", lab.monitor_log)
    refused = lab.muster("open", "02", "--console", "console_2")
    assert refused.rc == 5
    assert "console_1" in refused.output
    confirmed = lab.muster("host", "confirm-down", "console_1", "--reason", "it is on my desk, unplugged")
    assert confirmed.rc == 0, confirmed.output
    assert lab.muster("open", "02", "--console", "console_2").rc == 0
    assert lab.hosts_of("scen2_hci_02") == {"console_2"}
    lab.machine("power_on", "console_1")
    wait_for(lambda: all_up(lab), "console_1 is used again", lab.monitor_log)
    assert lab.hosts_of("scen2_hci_02") == {"console_2"}
    assert lab.muster("close", "02").rc == 0


def test_req_25_an_open_hci_outlives_the_server_of_its_item_and_shows_the_values_of_the_next_one(lab: SiteLab) -> None:
    assert lab.muster("open", "02", "--console", "console_3").rc == 0
    windows, claim = lab.programs("scen2_hci_02"), lab.claims()["scen2_srv_02"]

    def shown() -> str:
        return lab.said("console_3", "scen2_hci_02", "sensor_view")

    assert windows
    wait_for(lambda: "scen2_srv_02@%s" % claim["host"] in shown(), "values of item 02", shown)
    lab.machine("power_cut", claim["host"])
    wait_for(lambda: whole_on_another(lab, "scen2_srv_02", claim["host"]), "its services elsewhere", lab.monitor_log)
    host, epoch = lab.claims()["scen2_srv_02"]["host"], lab.claims()["scen2_srv_02"]["epoch"]
    assert epoch > claim["epoch"]
    wait_for(lambda: "scen2_srv_02@%s" % host in shown(), "values from %s" % host, shown)
    assert lab.programs("scen2_hci_02") == windows
    assert lab.hosts_of("scen2_hci_02") == {"console_3"}
    assert lab.muster("close", "02").rc == 0


def test_a_frozen_server_is_left_and_what_thaws_there_is_stopped(lab: SiteLab) -> None:
    there = held(lab, "server_2") or held(lab, "server_1")
    host = lab.claims()[there[0]]["host"]
    lab.machine("freeze", host)
    lab.watch.frozen.add(host)
    for name in there:
        wait_for(
            lambda: whole_on_another(lab, name, host),  # noqa: B023
            "%s runs elsewhere" % name,
            lab.monitor_log,
            90,
        )
    lab.machine("thaw", host)
    for name in there:
        wait_for(
            lambda: lab.hosts_of(name) == {lab.claims()[name]["host"]},  # noqa: B023
            "the copy of %s that thawed is stopped" % name,
            lab.monitor_log,
        )
        assert lab.claims()[name]["host"] != host, "the copy with the valid claim stays"
    lab.watch.frozen.discard(host)


def whole_on_another(lab: SiteLab, name: str, host: str) -> bool:
    claim = lab.claims().get(name, {"phase": "", "host": ""})
    if claim["phase"] != "running" or claim["host"] == host:
        return False
    return len({p.program for p in lab.processes(name) if p.host == claim["host"] and p.epoch}) == 5


def test_when_most_hosts_vanish_together_nothing_is_done_until_they_return(lab: SiteLab) -> None:
    before = lab.claims()
    gone = ("server_1", "server_2", "console_1", "console_2")
    lab.machine("freeze", *gone)
    wait_for(lambda: facts(lab).get("storm"), "the monitor says that it holds", lab.monitor_log)
    wait_for(lambda: "fell silent together" in lab.monitor_log(), "and says so loudly")
    assert all(believed(lab, host) != "down" for host in gone)
    lab.machine("thaw", *gone)
    wait_for(lambda: facts(lab).get("storm") == "", "the storm is over", lab.monitor_log)
    settled(lab)
    assert {n: (c["host"], c["epoch"]) for n, c in lab.claims().items()} == {
        n: (c["host"], c["epoch"]) for n, c in before.items()
    }, "nothing was restarted or moved"


@pytest.mark.long
def test_in_a_storm_a_person_confirms_which_host_is_down_and_then_half_of_the_servers_answer(lab: SiteLab) -> None:
    before = lab.claims()
    dead, other, spare = sorted(SERVERS, key=lambda host: -len(held(lab, host)))
    there = held(lab, dead)
    gone = (dead, other, "console_1", "console_2")
    lab.watch.frozen.update({dead, other})
    lab.machine("freeze", *gone)
    wait_for(lambda: facts(lab).get("storm"), "the monitor says that it holds", lab.monitor_log)
    wait_for(  # refused as long as it has answered only just now
        lambda: lab.muster("host", "confirm-down", dead, "--reason", "its rack burns").rc == 0,
        "it is confirmed down", lab.monitor_log,
    )  # fmt: skip
    assert believed(lab, dead) == "down"
    moved = wait_for(
        lambda: [name for name in there if whole_on_another(lab, name, dead)],
        "what fits runs on the server that is left",
        lab.monitor_log,
        90,
    )
    assert {lab.claims()[name]["host"] for name in moved} == {spare}
    wait_for(lambda: facts(lab).get("storm") == "", "one of two servers answers: the hold is over", lab.monitor_log)
    for name, claim in before.items():
        if claim["host"] == spare:
            assert (lab.claims()[name]["host"], lab.claims()[name]["epoch"]) == (claim["host"], claim["epoch"])
    lab.machine("thaw", *gone)
    settled(lab)
    for name in moved:
        wait_for(lambda: lab.hosts_of(name) == {spare}, "the copy that thawed is stopped", lab.monitor_log)  # noqa: B023
    lab.watch.frozen.difference_update({dead, other})
