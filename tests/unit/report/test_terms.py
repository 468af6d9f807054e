# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of one item counts in what-if, N-1 readiness and explain, as it does in the plan."""

from __future__ import annotations

import dataclasses
from typing import Any

from monitor.core.model.item import Terms
from monitor.core.model.site import Site
from monitor.core.plan.readiness import readiness
from monitor.core.report.explain import explain_item
from monitor.core.report.status import status_document
from monitor.core.report.status_text import render_table
from monitor.core.report.what_if import what_if
from tests import scenario_form

NOW = scenario_form.NOW


def three(terms: dict[str, Terms], **given: Any) -> tuple[Site, dict[str, Any], dict[str, Any]]:
    """Items 01, 02 and 03, each on the server of its number."""
    full = scenario_form.based({"base": "three_running", "request": {"kind": "reconcile"}, **given})
    site = scenario_form.build_site(full)
    items = tuple(dataclasses.replace(item, terms=terms.get(item.id)) for item in site.items)
    site = dataclasses.replace(site, items=items)
    return site, scenario_form.build_state(full), scenario_form.build_observations(full, site)


def lost(terms: dict[str, Terms], host: str, **given: Any) -> dict[str, Any]:
    site, state, seen = three(terms, **given)
    found: dict[str, Any] = readiness(site, state, seen, NOW)["hosts"][host]
    return found


APART = {"01": Terms(apart=("x",)), "02": Terms(apart=("x",)), "03": Terms(apart=("x",))}


def test_items_that_are_all_apart_survive_the_loss_of_no_host() -> None:
    found = lost(APART, "server_1")
    assert found["without_place"] == ["scen2_srv_01"]
    assert "server_2 has item 02, and item 01 must be apart from it" in found["why"]
    assert lost({}, "server_1")["without_place"] == []


def test_one_that_is_apart_from_one_other_goes_to_the_third_host() -> None:
    pair = {"01": Terms(apart=("x",)), "02": Terms(apart=("x",))}
    assert lost(pair, "server_1")["without_place"] == []
    assert lost(pair, "server_1", hosts={"server_3": {"load_limit": 30}})["without_place"] == ["scen2_srv_01"]


def test_together_moves_together() -> None:
    both = {"ledger": {"claims": {"scen2_srv_02": {"host": "server_1"}}},
            "seen": {"server_1": {"instances": {"scen2_srv_02": 1}}, "server_2": {"instances": {"scen2_srv_02": None}}}}
    together = {"01": Terms(together=("x",)), "02": Terms(together=("x",))}
    tight = {"server_2": {"load_limit": 30}, "server_3": {"load_limit": 50}}
    assert lost({}, "server_1", hosts=tight, **both)["without_place"] == []
    assert lost(together, "server_1", hosts=tight, **both)["without_place"] == ["scen2_srv_02"]


def test_what_if_shows_who_is_displaced_and_who_runs_then() -> None:
    site, state, seen = three(
        {"01": Terms(priority=9, displace=True), "03": Terms(priority=1)},
        hosts={"server_2": {"load_limit": 40}, "server_3": {"load_limit": 40}},
    )
    found = what_if(site, state, 7, seen, {"down": ["server_1"]}, NOW, dict.fromkeys(site.by_name(), "d"))
    done = [(action["action"], action["instance"], action["host"]) for action in found["actions"]]
    assert done == [("stop", "scen2_srv_02", "server_2"), ("start", "scen2_srv_01", "server_2")]
    assert [entry["instance"] for entry in found["waits"]] == ["scen2_srv_02"]


def test_room_that_is_made_for_one_is_not_given_to_another_of_the_same_or_a_higher_priority() -> None:
    for first in (5, 7):
        site, state, seen = three(
            {"01": Terms(priority=first), "02": Terms(priority=5, displace=True)},
            hosts={"server_3": {"load_limit": 40}},
        )
        digests = dict.fromkeys(site.by_name(), "d")
        found = what_if(site, state, 7, seen, {"down": ["server_1", "server_2"]}, NOW, digests)
        assert [(a["action"], a["instance"]) for a in found["actions"]] == [
            ("stop", "scen2_srv_03"), ("start", "scen2_srv_02")]
        assert [entry["instance"] for entry in found["waits"]] == ["scen2_srv_01", "scen2_srv_03"]
        assert "others made room for it on server_3" in found["actions"][1]["reason"]


def test_room_on_a_host_where_it_failed_before_is_made_once_and_taken() -> None:
    failures = [[NOW - 1, "server_3", "its gate failed"]] * 3
    site, state, seen = three(
        {"02": Terms(priority=5, displace=True)}, hosts={"server_3": {"load_limit": 40}},
        ledger={"claims": {"scen2_srv_02": {"failures": failures}}},
    )  # fmt: skip
    digests = dict.fromkeys(site.by_name(), "d")
    found = what_if(site, state, 7, seen, {"down": ["server_1", "server_2"]}, NOW, digests)
    assert [(a["action"], a["instance"]) for a in found["actions"]] == [
        ("stop", "scen2_srv_03"), ("start", "scen2_srv_02")]


def test_n_1_names_who_waits_in_the_end_where_services_stop_for_others() -> None:
    tight = {"server_2": {"load_limit": 40}, "server_3": {"load_limit": 40}}
    terms = {"01": Terms(priority=9, displace=True), "02": Terms(priority=3), "03": Terms(priority=1)}
    found = lost(terms, "server_1", hosts=tight)
    assert (found["moves"], found["without_place"]) == (1, ["scen2_srv_03"])
    assert "server_3 has no room: 22 of 40 reserved" in found["why"]
    assert lost(terms, "server_1", hosts={**tight, "server_2": {"load_limit": 50}})["without_place"] == []


def test_n_1_counts_who_waits_for_what_a_loss_leaves() -> None:
    given = {"programs": {"scen2_srv": {"data_processing": {"resources": {"licence": 1}}}}, "items": 4,
             "ledger": {"wanted": {"scen2_srv_04": {"state": "started"}}}}  # fmt: skip
    site, state, seen = three({"04": Terms(priority=9)}, **given)
    few = dataclasses.replace(site, resources={"licence": 3})
    assert readiness(few, state, seen, NOW)["hosts"]["server_1"]["without_place"] == ["scen2_srv_01"]
    later = what_if(few, state, 7, seen, {"down": ["server_1"]}, NOW, dict.fromkeys(site.by_name(), "d"))
    assert [entry["instance"] for entry in later["waits"]] == ["scen2_srv_01"]


def test_without_displace_the_higher_priority_waits() -> None:
    site, state, seen = three(
        {"01": Terms(priority=9)}, hosts={"server_2": {"load_limit": 40}, "server_3": {"load_limit": 40}}
    )
    found = what_if(site, state, 7, seen, {"down": ["server_1"]}, NOW, dict.fromkeys(site.by_name(), "d"))
    assert [entry["instance"] for entry in found["waits"]] == ["scen2_srv_01"]


def test_explain_names_neighbours_and_puts_preferred_hosts_first() -> None:
    terms = {"01": Terms(apart=("x",), prefer={"scen2_srv": ("server_3",)}), "02": Terms(apart=("x",))}
    site, state, seen = three(terms)
    rows = explain_item(site, state, seen, "scen2_srv_01", NOW)["applications"][0]["candidates"]
    assert [row["host"] for row in rows] == ["server_3", "server_1", "server_2"]
    assert rows[2]["why"].startswith("server_2 has item 02, and item 01 must be apart from it")
    rule = explain_item(site, state, seen, "scen2_srv_01", NOW)["applications"][0]["rule"]
    assert "server_3 before others" in rule
    assert "never on a node with item 02" in rule


def test_a_plan_tells_of_neighbours_that_run_already() -> None:
    site, state, seen = three(
        {"01": Terms(apart=("x",)), "02": Terms(apart=("x",))},
        ledger={"claims": {"scen2_srv_02": {"host": "server_1"}}},
        seen={"server_1": {"instances": {"scen2_srv_02": 1}}, "server_2": {"instances": {"scen2_srv_02": None}}},
    )
    found = what_if(site, state, 7, seen, {}, NOW, dict.fromkeys(site.by_name(), "d"))
    assert found["actions"] == []
    assert [hold["why"] for hold in found["holds"]] == [
        "scen2_srv_01 stays on server_1 for now, although server_1 has item 02, and item 01 must be apart from it",
        "scen2_srv_02 stays on server_1 for now, although server_1 has item 01, and item 02 must be apart from it",
    ]


def test_a_licence_of_the_site_is_for_as_many_instances_and_moves_with_the_one_that_has_it() -> None:
    given = {"programs": {"scen2_srv": {"data_processing": {"resources": {"licence": 1}}}}}
    site, state, seen = three({}, **given)
    few = dataclasses.replace(site, resources={"licence": 3})
    digests = dict.fromkeys(site.by_name(), "d")
    drained = what_if(few, state, 7, seen, {"drain": ["server_1"]}, NOW, digests)
    assert [(a["action"], a["instance"]) for a in drained["actions"]] == [
        ("stop", "scen2_srv_01"), ("start", "scen2_srv_01")]
    more = what_if(few, state, 7, seen, {"add_items": ["04"]}, NOW, {**digests, "scen2_srv_04": "d"})
    (waits,) = more["waits"]
    assert "the site has too little licence: 3 of 3 reserved, it needs 1" in waits["why"]


def test_a_licence_of_one_that_cannot_leave_its_host_is_given_to_no_other() -> None:
    site, state, seen = three(
        {"01": Terms(loading={"scen2_srv": 50}), "04": Terms(loading={"scen2_srv": 5}, priority=9)}, items=4,
        programs={"scen2_srv": {"data_processing": {"resources": {"licence": 1}}}},
        hosts={"server_2": {"load_limit": 40}, "server_3": {"load_limit": 40}},
        ledger={"wanted": {"scen2_srv_04": {"state": "started"}}},
    )
    few = dataclasses.replace(site, resources={"licence": 3})
    found = what_if(few, state, 7, seen, {"drain": ["server_1"]}, NOW, dict.fromkeys(site.by_name(), "d"))
    assert found["actions"] == [] and [entry["instance"] for entry in found["waits"]] == ["scen2_srv_04"]
    assert "the site has too little licence: 3 of 3 reserved" in found["waits"][0]["why"]


def test_learn_reports_what_an_instance_uses_beyond_what_it_reserves_and_decides_nothing() -> None:
    site, state, seen = three({})
    copy = seen["server_1"]["instances"]["scen2_srv_01"]
    copy.update(cpu=60.0, memory=50.0)
    seen["server_1"]["load"]["total_memory"] = 8000
    assert status_document(site, state, 7, seen, {}, NOW)["instances"]["scen2_srv_01"]["beyond"] == ""
    applications = tuple(dataclasses.replace(a, learn=True) for a in site.applications)
    told = status_document(dataclasses.replace(site, applications=applications), state, 7, seen, {}, NOW)
    assert told["instances"]["scen2_srv_01"]["beyond"] == (
        "scen2_srv_01 uses 60 % of load, and reserves 22; 4000 MiB of memory, and reserves 0")
    assert "scen2_srv_01 uses 60 % of load" in render_table(told)


def test_what_is_paused_or_not_seen_is_not_displaced() -> None:
    terms = {"01": Terms(priority=9, displace=True), "03": Terms(priority=1)}
    tight = {"server_2": {"load_limit": 40}, "server_3": {"load_limit": 40}}
    for given, stopped in (
        ({}, "scen2_srv_02"),
        ({"ledger": {"pauses": {"item/02": {"why": "a test"}}}}, "scen2_srv_03"),
        ({"seen": {"server_2": "no answer"}}, "scen2_srv_03"),
    ):
        site, state, seen = three(terms, hosts=tight, **given)
        found = what_if(site, state, 7, seen, {"down": ["server_1"]}, NOW, dict.fromkeys(site.by_name(), "d"))
        assert [a["instance"] for a in found["actions"] if a["action"] == "stop"] == [stopped], given
