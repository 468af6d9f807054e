# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask of a fleet, step by step: whatever moves, nothing is parted or joined meanwhile that must not be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.item import Terms
from monitor.core.model.records import Claim
from monitor.core.model.site import Site
from monitor.core.place.ties import ties_of
from monitor.core.plan.readiness import readiness
from monitor.core.report.preview import preview
from monitor.core.report.what_if import what_if
from tests.small_site import SERVERS, small_site
from tests.unit.plan.fleet_in_memory import Run, World

ROUNDS = 30


def srv(number: int) -> str:
    return "scen2_srv_%02d" % number


def site_of(terms: dict[int, Terms], items: int, limits: list[int], resources: dict[str, int] | None = None) -> Site:
    site = small_site(items=items)
    hosts = tuple(
        dataclasses.replace(host, load_limit=limits[i]) if i < len(limits) else host
        for i, host in enumerate(site.hosts)
    )
    rows = tuple(dataclasses.replace(item, terms=terms.get(i)) for i, item in enumerate(site.items, 1))
    application = site.applications[0]
    if resources:
        programs = tuple(dataclasses.replace(p, resources=dict.fromkeys(resources, 1)) if p.name == "data_processing"
                         else p for p in application.programs)  # fmt: skip
        application = dataclasses.replace(application, programs=programs)
    return dataclasses.replace(
        site, hosts=hosts, items=rows, applications=(application, site.applications[1]), resources=resources or {}
    )


class Watched(World):
    """A fleet that notices what its neighbours are at every step."""

    def places(self) -> dict[str, str]:
        return {name: host.name for host in self.hosts.values() for name in host.copies if "_srv_" in name}

    def parted(self) -> set[tuple[str, str, str]]:
        """(kind, one, other) of what is beside each other otherwise than the site says."""
        found, places = set(), self.places()
        for one, at in places.items():
            for other, there in places.items():
                mine, its = ties_of(self.site, one), ties_of(self.site, other)
                if one < other and at != there and set(mine.together) & set(its.together):
                    found.add(("together", one, other))
                if one < other and at == there and set(mine.apart) & set(its.apart):
                    found.add(("apart", one, other))
        return found

    def within(self) -> None:
        """No more of the site's licences are held than there are."""
        claims = {name: Claim.from_json(document) for name, document in self.state["claims"].items() if "_srv_" in name}
        held = [name for name, claim in claims.items() if claim.holds]
        assert len(held) <= self.site.resources.get("licence", len(held)), held

    def steps(self, run: Run) -> Iterator[None]:
        while not run.done:
            self.now += 0.25
            self.step(run)
            yield

    def play(self, kind: str, **more: Any) -> list[dict[str, Any]]:
        """The plans of a run with its further rounds; at no step anything new is parted that was not before."""
        first, before = len(self.plans), self.parted()
        for _unused in range(ROUNDS):
            run = self.begin(kind, **more)
            for _step in self.steps(run):
                now = self.parted()
                assert now <= before, (now - before, self.plans[-1]["actions"])
                before = now
                self.within()
            if not self.plans[-1]["turns"]:
                break
            kind, more = "reconcile", {}
        else:
            raise AssertionError("it does not end")
        return self.plans[first:]


def moved(plan: dict[str, Any]) -> set[str]:
    return {a["instance"] for a in plan["actions"] if a["action"] == "stop" and a["target"]}


def started(site: Site) -> Watched:
    world = Watched(site)
    world.play("deploy")
    return world


TOGETHER = {1: Terms(together=("g",)), 2: Terms(together=("g", "h")), 3: Terms(together=("h",))}


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_a_group_that_is_together_leaves_a_drained_host_as_one_unit(at_a_time: int) -> None:
    world = started(site_of(TOGETHER, 5, [200, 200, 200]))
    home = world.places()[srv(1)]
    for number in (4, 5):  # beside the group, and no part of it
        world.play("move", instances=[srv(number)], to=home)
    plans = world.play("drain", host=home, at_a_time=at_a_time)
    rounds = [moved(plan) for plan in plans if moved(plan)]
    group = {srv(1), srv(2), srv(3)}
    assert all(group <= names or not group & names for names in rounds)
    assert len(rounds) == (3 if at_a_time == 1 else 2)
    assert home not in world.places().values()


def test_what_waits_for_its_turn_keeps_those_back_that_would_start_elsewhere() -> None:
    world = started(site_of(TOGETHER, 5, [200, 200, 200]))
    home = world.places()[srv(1)]
    world.play("stop", instances=[srv(2)])
    world.play("move", instances=[srv(4)], to=home)
    world.site = dataclasses.replace(world.site, items=tuple(
        dataclasses.replace(item, terms=Terms(priority=9)) if item.id == "04" else item for item in world.site.items))
    world.state["wanted"][srv(2)]["state"] = "started"
    plans = world.play("drain", host=home, at_a_time=1)
    assert moved(plans[0]) == {srv(4)}
    assert len({world.places()[srv(number)] for number in (1, 2, 3)}) == 1


def test_a_question_while_many_still_wait_for_their_turn_is_answered() -> None:
    world = started(site_of({}, 30, [1000, 1000, 1000]))
    for number in range(1, 31):
        world.finish(world.begin("move", instances=[srv(number)], to="server_1"))
    world.finish(world.begin("drain", host="server_1", at_a_time=1))
    world.now += 100
    seen = {name: host.observe() for name, host in world.hosts.items()}
    found = what_if(world.site, world.state, 1, seen, {"down": ["server_3"]}, world.now, {})
    assert len([a for a in found["actions"] if a["action"] == "start"]) >= 29
    assert readiness(world.site, world.state, seen, world.now)["ready"]
    document = preview(None, world.site, world.state, 1, seen, {"kind": "deploy", "who": "eve"}, world.now, {})
    assert len(document["moves"]) == 29


groups = st.sampled_from([(), (), ("a",), ("b",)])


@st.composite
def fleets(draw: Any) -> Site:
    items = draw(st.integers(3, 7))
    terms = {}
    for number in range(1, items + 1):
        together = draw(groups)
        apart = () if together else draw(st.sampled_from([(), ("x",)]))
        terms[number] = Terms(together=together, apart=apart, priority=draw(st.sampled_from([0, 0, 1, 5])),
                              displace=draw(st.booleans()))  # fmt: skip
    limits = draw(st.lists(st.sampled_from([44, 66, 110, 200]), min_size=3, max_size=3))
    return site_of(terms, items, limits, draw(st.sampled_from([None, None, {"licence": 4}])))


asked = st.one_of(
    st.tuples(st.just("drain"), st.sampled_from(SERVERS), st.integers(1, 3)),
    st.tuples(st.just("undrain"), st.sampled_from(SERVERS), st.just(0)),
    st.tuples(st.just("rebalance"), st.just(""), st.integers(1, 3)),
    st.tuples(st.just("move"), st.sampled_from(SERVERS), st.integers(1, 7)),
    st.tuples(st.sampled_from(["stop", "start"]), st.just(""), st.integers(1, 7)),
    st.tuples(st.sampled_from(["pause", "resume"]), st.just(""), st.integers(1, 7)),
    st.tuples(st.sampled_from(["crash", "configure"]), st.just(""), st.integers(1, 7)),
    st.tuples(st.sampled_from(["site_stop", "site_start", "reconcile"]), st.just(""), st.just(0)),
)


def request_of(kind: str, host: str, number: int, items: int) -> dict[str, Any]:
    if kind in ("drain", "undrain"):
        return {"kind": kind, "host": host, **({"at_a_time": number, "force": True} if kind == "drain" else {})}
    if kind == "rebalance":
        return {"kind": kind, "at_a_time": number, "spread": 10}
    name = srv(1 + number % items)
    if kind == "move":
        return {"kind": kind, "instances": [name], "to": host}
    if kind in ("pause", "resume"):
        return {"kind": kind, "item": "%02d" % (1 + number % items)}
    return {"kind": kind, **({"instances": [name]} if kind in ("stop", "start") else {})}


@settings(max_examples=60, deadline=None)
@given(fleets(), st.lists(asked, min_size=1, max_size=5))
def test_nothing_that_is_asked_parts_a_group_or_joins_what_is_apart(
    site: Site, wishes: list[tuple[str, str, int]]
) -> None:  # fmt: skip
    world = started(site)
    for kind, host, number in wishes:
        if kind == "configure":
            world.digests = dict.fromkeys(site.by_name(), "d%d" % number)
        elif kind == "crash":
            for one in world.hosts.values():
                one.copies.pop(srv(1 + number % len(site.items)), None)
        else:
            world.play(**request_of(kind, host, number, len(site.items)))
        for _unused in range(3):
            world.now += 60
            world.play("deploy" if kind == "configure" else "reconcile")


def at_rest(world: Watched) -> dict[str, str]:
    """Where everything runs when no plan does anything any more."""
    for _unused in range(6):
        world.now += 60
        world.finish(world.begin("reconcile"))
        if not any(action["action"] in ("start", "stop", "restart") for action in world.plans[-1]["actions"]):
            break
    return world.places()


@settings(max_examples=40, deadline=None)
@given(fleets(), fleets(), st.sampled_from(["", *SERVERS]))
def test_a_deploy_does_what_its_preview_says(site: Site, edited: Site, drained: str) -> None:
    world = started(site)
    if drained:
        world.finish(world.begin("drain", host=drained, force=True, at_a_time=1))
        world.now += 60
    before, world.site = world.places(), edited
    seen = {name: host.observe() for name, host in world.hosts.items()}
    request = {"kind": "deploy", "who": "eve", "accept": True}
    found = preview(None, edited, world.state, 1, seen, request, world.now, {})
    world.finish(world.begin("deploy", accept=True))
    after = at_rest(world)
    said = {**before, **{e["instance"]: e["host"] for e in found["starts"]}}
    said.update((e["instance"], e["to"]) for e in found["moves"])
    assert {name: at for name, at in said.items() if name not in {e["instance"] for e in found["stops"]}} == after
    services = {name for name, instance in edited.by_name().items() if not instance.application.on_request}
    assert {e["instance"] for e in found["waits"]} == services - set(after)


@settings(max_examples=40, deadline=None)
@given(fleets(), st.sampled_from(SERVERS), st.integers(1, 3))
def test_a_drain_touches_only_what_is_there_and_leaves_what_what_if_says(site: Site, host: str, at_a_time: int) -> None:
    world = started(site)
    world.now += 60
    seen = {name: one.observe() for name, one in world.hosts.items()}
    then = what_if(site, world.state, 1, seen, {"drain": [host]}, world.now, {})
    plans = world.play("drain", host=host, at_a_time=at_a_time, force=True)
    assert all(a["host"] == host for plan in plans for a in plan["actions"] if a["action"] == "stop")
    (stays,) = [set(entry["instances"]) for entry in then["hosts"] if entry["host"] == host]
    assert {name for name, at in at_rest(world).items() if at == host} == stays
