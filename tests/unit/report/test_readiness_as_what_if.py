# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""N-1 readiness and `muster what-if --down HOST` are one answer, whatever the site says of its items."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.item import Terms
from monitor.core.plan.readiness import readiness
from monitor.core.report.what_if import World as Future
from monitor.core.report.what_if import what_if
from tests.small_site import SERVERS, quiet_host, running, small_site, small_state

NOW = 1_700_000_000.0
PROGRAMS = ("internal_data_bus", "data_processing", "common_bus_interface")
WANTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 0.0}
World = tuple[Any, dict[str, Any], dict[str, Any]]


def srv(number: int) -> str:
    return "scen2_srv_%02d" % number


def compared(world: World) -> None:
    """The loss of each server, both ways."""
    site, state, seen = world
    found = readiness(site, state, seen, NOW)["hosts"]
    nodes = {host.name: host.node for host in site.hosts}
    for dead in SERVERS:
        if (seen.get(dead) or {}).get("answer") == "unreachable":
            continue
        down = [host for host in nodes if nodes[host] == nodes[dead]]
        then = what_if(site, state, 7, seen, {"down": down}, NOW, {})
        waits = sorted(entry["instance"] for entry in then["waits"] if not entry["already"])
        assert sorted(found[dead]["without_place"]) == waits, (dead, found[dead]["why"], then["actions"])
        assert bool(found[dead]["why"]) == bool(waits)


def world_of(
    holders: list[str], loads: list[int], terms: list[Terms | None], limits: list[int], licences: int = 0, **hosts: Any
) -> World:
    """:param holders: of each item; "" where it waits."""
    items = len(holders)
    site = small_site(items=items)
    rows = tuple(
        dataclasses.replace(item, terms=dataclasses.replace(said or Terms(), loading={"scen2_srv": load}))
        for item, said, load in zip(site.items, terms, loads, strict=True)
    )
    application = site.applications[0]
    if licences:
        programs = tuple(dataclasses.replace(p, resources={"licence": 1}) if p.name == "data_processing" else p
                         for p in application.programs)  # fmt: skip
        application = dataclasses.replace(application, programs=programs)
    machines = tuple(dataclasses.replace(host, load_limit=limits[i]) if i < len(limits) else host
                     for i, host in enumerate(site.hosts))  # fmt: skip
    site = dataclasses.replace(
        site, items=rows, applications=(application, site.applications[1]), hosts=machines,
        resources={"licence": licences} if licences else {},
    )  # fmt: skip
    names = [srv(number) for number in range(1, items + 1)]
    placed = {name: host for name, host in zip(names, holders, strict=True) if host}
    claims = {name: running(host) for name, host in placed.items()}
    records = {host.name: {"state": "up", "incarnation": "boot/1", **hosts.get(host.name, {})} for host in site.hosts}
    seen = {}
    for host in site.hosts:
        shows = {"epochs": [1], "claim": 1, "last_epoch": 1, "digest": "d", "programs": {p: {} for p in PROGRAMS}}
        copies = {name: shows for name, holder in placed.items() if holder == host.name}
        seen[host.name] = quiet_host(host.name, instances=copies)
        if records[host.name]["state"] == "suspect":
            seen[host.name] = {"host": host.name, "answer": "unreachable", "why": "it is silent"}
    return site, small_state(claims=claims, wanted=dict.fromkeys(names, WANTED), hosts=records), seen


def settled(world: World) -> World:
    """What follows of itself is done; a host may still be drained with what cannot leave it."""
    site, state, seen = world
    done = Future(site, state, seen, NOW - 100, {})
    for _unused in range(20):
        if not done.round({"kind": "reconcile", "who": "eve"}, 7).acts:
            break
    return done.site, done.state, done.observations


terms_of = st.one_of(
    st.none(),
    st.builds(Terms, priority=st.integers(0, 3), displace=st.booleans()),
    st.builds(Terms, priority=st.integers(0, 3), displace=st.booleans(),
              apart=st.sampled_from([(), ("x",), ("y",)]), together=st.sampled_from([(), ("t",)])),
)  # fmt: skip


@st.composite
def worlds(draw: Any, most: int = 8) -> World:
    items = draw(st.integers(2, most))
    holders = draw(st.lists(st.sampled_from([*SERVERS, *SERVERS, ""]), min_size=items, max_size=items))
    loads = draw(st.lists(st.sampled_from([10, 20, 30, 50]), min_size=items, max_size=items))
    terms = draw(st.lists(terms_of, min_size=items, max_size=items))
    limits = draw(st.lists(st.sampled_from([50, 60, 80, 100]), min_size=3, max_size=3))
    other = draw(st.sampled_from(SERVERS))
    word = draw(st.sampled_from(["up", "up", "drained", "suspect"]))
    licences = draw(st.sampled_from([0, 0, items - 1]))
    world = world_of(holders, loads, terms, limits, licences, **{other: {"state": word}})
    if draw(st.booleans()):
        world[1]["pauses"][draw(st.sampled_from(["item/01", "site"]))] = {"by": "eve", "why": "", "at": 0.0}
    if word == "drained":
        world[1]["hosts"][other]["drain"] = {"by": "eve", "why": "", "since": 0.0, "at_a_time": 1}
    for name, claim in world[1]["claims"].items():
        if draw(st.integers(0, 9)) == 0:  # it still runs, and frees what it has
            world[1]["wanted"][name] = dict(WANTED, state="stopped")
        if draw(st.integers(0, 5)) == 0:
            to = draw(st.sampled_from(SERVERS))
            world[1].setdefault("moves", {})[name] = {"host": claim["host"], "to": to, "by": "eve", "at_a_time": 1}
    return world


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_n_1_says_what_what_if_says(world: World) -> None:
    compared(settled(world))


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_it_does_so_too_while_much_is_still_to_be_done(world: World) -> None:
    compared(world)
