# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""N-1 readiness says what the plan would do, for any fleet; and it is cheap enough for every status."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model import site as site_model
from monitor.core.plan import assign, readiness
from monitor.core.plan import plan as planner
from tests.small_site import SERVERS, quiet_host, running, small_site, small_state

NOW = 1_700_000_000.0
WANTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 0.0}
PROGRAMS = ("internal_data_bus", "data_processing", "common_bus_interface")


def fleet(placed: dict[str, str], limit: int = 100, items: int = 0, **hosts: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Site, ledger and observations with services where `placed` says: instance -> server."""
    site = small_site(items=items or len(placed))
    site = replace(site, hosts=tuple(replace(host, load_limit=limit) for host in site.hosts))
    claims = {name: running(host) for name, host in placed.items()}
    records = {host.name: {"state": "up", "incarnation": "boot/1", **hosts.get(host.name, {})} for host in site.hosts}
    state = small_state(claims=claims, wanted=dict.fromkeys(claims, WANTED), hosts=records)
    seen = {}
    for host in site.hosts:
        copies = {
            name: {"epochs": [1], "claim": 1, "last_epoch": 1, "digest": "d", "programs": {p: {} for p in PROGRAMS}}
            for name, holder in placed.items() if holder == host.name
        }  # fmt: skip
        seen[host.name] = quiet_host(host.name, instances=copies)
    return site, state, seen


def srv(*hosts: str) -> dict[str, str]:
    return {"scen2_srv_%02d" % number: host for number, host in enumerate(hosts, 1)}


def test_with_room_elsewhere_the_site_is_ready() -> None:
    found = readiness.readiness(*fleet(srv("server_1", "server_2", "server_2"), 44), NOW)
    assert found == {
        "ready": True,
        "hosts": {
            "server_1": {"moves": 1, "without_place": [], "why": ""},
            "server_2": {"moves": 2, "without_place": [], "why": ""},
            "server_3": {"moves": 0, "without_place": [], "why": ""},
        },
    }
    assert readiness.sentence(found) == ""


def test_without_room_it_names_who_would_wait_and_why() -> None:
    found = readiness.readiness(*fleet(srv("server_1", "server_2", "server_3", "server_3", "server_2"), 44), NOW)
    assert found["ready"] is False
    assert found["hosts"]["server_1"]["without_place"] == ["scen2_srv_01"]
    assert found["hosts"]["server_2"]["without_place"] == ["scen2_srv_05"]
    assert found["hosts"]["server_1"]["why"] == (
        "without server_1, scen2_srv_01: server_2 has no room: 44 of 44 reserved, it needs 22; "
        "server_3 has no room: 44 of 44 reserved, it needs 22"
    )
    assert readiness.sentence(found) == (
        "without server_1 there is no room for scen2_srv_01; "
        "without server_2 there is no room for scen2_srv_05; "
        "without server_3 there is no room for scen2_srv_04"
    )


def test_a_drained_host_and_one_that_does_not_answer_take_nothing() -> None:
    site, state, seen = fleet(srv("server_1"), server_2={"state": "drained"})
    seen["server_3"] = {"host": "server_3", "answer": "unreachable", "why": "server_3 does not answer on port 22"}
    why = readiness.readiness(site, state, seen, NOW)["hosts"]["server_1"]["why"]
    assert "server_2 is drained; server_3 does not answer on port 22" in why


def test_a_host_that_was_not_asked_is_what_the_ledger_says_of_it() -> None:
    site, state, seen = fleet(srv("server_1", "server_2"), 22)
    del seen["server_2"], seen["server_3"]
    found = readiness.readiness(site, state, seen, NOW)
    assert found["hosts"]["server_1"]["without_place"] == []  # server_3 has room
    assert found["hosts"]["server_2"]["moves"] == 1


def test_windows_and_stopped_services_do_not_move() -> None:
    site, state, seen = fleet(srv("server_1", "server_1"), 44)
    state["claims"]["scen2_hci_01"] = running("console_1")
    state["wanted"]["scen2_hci_01"] = WANTED
    state["wanted"]["scen2_srv_02"] = dict(WANTED, state="stopped")
    found = readiness.readiness(site, state, seen, NOW)
    assert found["hosts"]["server_1"]["moves"] == 1
    assert "console_1" not in found["hosts"]


def test_hosts_of_one_machine_die_together() -> None:
    site, state, seen = fleet(srv("server_1", "server_2"), 44)
    shared = tuple(replace(h, node="rack") if h.name in ("server_1", "server_2") else h for h in site.hosts)
    found = readiness.readiness(replace(site, hosts=shared), state, seen, NOW)
    assert found["hosts"]["server_1"] == found["hosts"]["server_2"] == {"moves": 2, "without_place": [], "why": ""}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(SERVERS), min_size=1, max_size=10),
    st.sampled_from([22, 44, 66, 100]),
    st.sampled_from(["up", "drained", "suspect"]),
    st.sampled_from(SERVERS),
)
def test_it_says_what_the_plan_does_when_the_host_is_down(
    holders: list[str], limit: int, word: str, other: str
) -> None:  # fmt: skip
    site, state, seen = fleet(srv(*holders), limit, **{other: {"state": word}})
    if word == "suspect":
        seen[other] = {"host": other, "answer": "unreachable", "why": "it does not answer"}
    loads = Counter(holders)
    if max(loads.values()) * 22 > limit or (word == "drained" and other in loads):
        return  # no placement leads there; what a drained host holds moves in any case
    found = readiness.readiness(site, state, seen, NOW)
    for dead in set(SERVERS) - {other if word == "suspect" else ""}:
        down = {"state": "down", "by": "monitor", "evidence": "a test"}
        gone = {"host": dead, "answer": "unreachable", "why": "dead"}
        plan = planner.make_plan(
            site, {**state, "hosts": {**state["hosts"], dead: down}}, 7, {**seen, dead: gone},
            {"kind": "reconcile", "who": "eve"}, NOW, "5", {},
        )  # fmt: skip
        waits = sorted(a.instance for a in plan.actions if a.kind == "hold" and " waits: " in a.reason)
        assert sorted(found["hosts"][dead]["without_place"]) == waits
        starts = [a for a in plan.actions if a.kind == "start"]
        assert found["hosts"][dead]["moves"] == len(starts) + len(waits)


@pytest.mark.parametrize(("roomy", "most"), [(0, 0), (10, 2000), (50, 0)])
def test_only_what_would_move_is_placed_and_only_where_room_is_short(
    roomy: int, most: int, monkeypatch: Any
) -> None:  # fmt: skip
    """1,000 items on 50 hosts, of which some have room for one more: each service is placed once, and what finds no
    room once more in the plan that follows."""
    servers = tuple("server_%02d" % number for number in range(50))
    small = small_site(items=1000)
    hosts = tuple(
        site_model.Host(name, order, name, "127.60.2.%d" % order, "/nowhere/" + name, ("servers",),
                        load_limit=470 if order < roomy else 450)
        for order, name in enumerate(servers)
    )
    services = replace(small.applications[0], identifiers=servers)
    site = replace(small, hosts=hosts, groups={"servers": servers}, applications=(services,), services=())
    claims = {name: running(servers[number % 50]) for number, name in enumerate(site.by_name())}
    records = {name: {"state": "up", "incarnation": "boot/1"} for name in servers}
    state = small_state(claims=claims, wanted=dict.fromkeys(claims, WANTED), hosts=records)
    count = 0
    real = assign.place

    def counting(pending: Any, loads: Any) -> Any:
        nonlocal count
        count += len(pending)
        return real(pending, loads)

    monkeypatch.setattr(assign, "place", counting)
    found = readiness.readiness(site, state, {}, NOW)
    assert bool(most) == bool(count) and count <= most
    assert found["ready"] == (roomy == 50)
    assert len(found["hosts"]) == 50 and found["hosts"]["server_00"]["moves"] == 20
