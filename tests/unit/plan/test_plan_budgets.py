# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance that cannot work ends in quarantine, never in a loop, whether its start, its bus or all of it fails.

The same decision code as everywhere, on a fleet in memory; hypothesis chooses the site and who asks when.
"""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.decide.failures import SOUND, WAITS
from monitor.core.model.sentences import clock
from monitor.core.model.site import Site
from monitor.core.report import verdict
from tests.small_site import SERVERS, small_site
from tests.unit.plan.fleet_in_memory import World

NAME = "scen2_srv_01"
ROUNDS = 40


def site_of(hosts: int, budget: int) -> Site:
    site = small_site(items=2, failure_budget=budget)
    services = dataclasses.replace(site.application("scen2_srv"), identifiers=SERVERS[:hosts])
    return dataclasses.replace(site, applications=(services, site.application("scen2_hci")))


def claim(world: World) -> dict[str, object]:
    return dict(world.state["claims"][NAME])


def wait(world: World, seconds: float) -> None:
    """So long, or until what crashed in a row may start again."""
    known = world.state["claims"].get(NAME) or {}
    world.now = max(world.now + seconds, known.get("until") or 0.0)


def tries(world: World, since: int = 0) -> list[str]:
    return [host for name, host in world.starts[since:] if name == NAME]


@settings(max_examples=25, deadline=None)
@given(
    hosts=st.integers(1, 3),
    budget=st.integers(1, 7),
    deploys=st.sets(st.integers(0, ROUNDS)),
    apart=st.sampled_from([1.0, 60.0, 700.0]),
)
def test_a_bus_that_can_never_start_ends_in_quarantine(
    hosts: int, budget: int, deploys: set[int], apart: float
) -> None:
    world = World(site_of(hosts, budget))
    world.fails.add(NAME)
    for number in range(ROUNDS):
        world.now += apart
        world.finish(world.begin("deploy" if number in deploys else "reconcile"))
    tried = tries(world)
    assert len(tried) == budget
    assert len(set(tried)) == min(hosts, -(-budget // 2))  # twice here, then another host
    assert (claim(world)["phase"], len(claim(world)["failures"])) == ("failed", budget)
    assert "scen2_srv_01 exited 3" in str(claim(world)["reason"])
    assert world.state["claims"]["scen2_srv_02"]["phase"] == "running"
    assert {key for key in world.state["notices"] if NAME in key} == {f"failure:{NAME}:{host}" for host in tried}

    world.finish(world.begin("reset", instances=[NAME]))  # still broken: one more whole budget, no more
    for number in range(ROUNDS):
        world.now += apart
        world.finish(world.begin("deploy" if number in deploys else "reconcile"))
    assert len(tries(world)) == 2 * budget
    world.fails.clear()
    world.finish(world.begin("reset", instances=[NAME]))
    assert (claim(world)["phase"], claim(world)["failures"]) == ("running", [])


@settings(max_examples=20, deadline=None)
@given(hosts=st.integers(1, 3), budget=st.integers(1, 7), apart=st.sampled_from([1.0, 20.0, 60.0]))
def test_an_instance_that_always_ends_after_its_start_ends_in_quarantine(hosts: int, budget: int, apart: float) -> None:
    world = World(site_of(hosts, budget))
    world.dies.add(NAME)
    for _ in range(ROUNDS):
        wait(world, apart)
        world.finish(world.begin("reconcile"))
    # So slowly that the first failures no longer count: then the crashes in a row end it.
    assert len(tries(world)) in (budget + 1, max(budget, len(WAITS)) + 1)
    assert claim(world)["phase"] == "failed"
    assert "stays failed until a person starts it" in str(claim(world)["reason"])
    assert len(set(tries(world))) >= min(hosts, -(-(budget + 1) // 2))


@settings(max_examples=20, deadline=None)
@given(hosts=st.integers(1, 3), budget=st.integers(1, 7), cause=st.sampled_from(["bus crash", "bus hang"]))
def test_a_bus_that_crashes_again_and_again_ends_in_quarantine(hosts: int, budget: int, cause: str) -> None:
    world = World(site_of(hosts, budget))
    world.finish(world.begin("deploy"))
    for _unused in range(ROUNDS):
        wait(world, 1)
        crash_or_look(world, cause)
    assert len(tries(world)) == budget + 1
    assert claim(world)["phase"] == "failed"
    assert len(set(tries(world))) >= min(hosts, -(-(budget + 1) // 2))


def crash_or_look(world: World, cause: str = "bus crash") -> None:
    now = claim(world)
    if now["phase"] == "running":
        world.hosts[str(now["host"])].copies.pop(NAME, None)
        intent = {"id": "i", "instance": NAME, "epoch": now["epoch"], "cause": cause, "at": world.now}
        world.finish(world.begin("intents", intents=[intent]))
    else:
        world.finish(world.begin("reconcile"))


@settings(max_examples=25, deadline=None)
@given(
    hosts=st.integers(1, 3),
    budget=st.integers(1, 9),
    stable_after=st.sampled_from([1.0, 10.0]),
    longer=st.floats(1.05, SOUND - 0.05),
)
def test_a_bus_that_crashes_as_soon_as_its_budget_is_back_ends_in_quarantine(
    hosts: int, budget: int, stable_after: float, longer: float
) -> None:
    site = site_of(hosts, budget)
    world = World(dataclasses.replace(site, settings=dataclasses.replace(site.settings, stable_after=stable_after)))
    world.finish(world.begin("deploy"))
    waits = []
    for _unused in range(ROUNDS):
        running = claim(world)["phase"] == "running"
        if running:
            world.now += stable_after * longer
        before = world.now
        crash_or_look(world)
        wait(world, 0)
        if running:
            waits.append(world.now - before)
    most = max(budget, len(WAITS))
    assert len(tries(world)) == most + 1
    assert waits[:most] == [*WAITS, *[WAITS[-1]] * (most - len(WAITS))], "at once, then later each time"
    assert claim(world)["phase"] == "failed"
    assert "in a row, so scen2_srv_01 stays failed until a person starts it" in str(claim(world)["reason"])
    assert hosts == 1 or len(set(tries(world))) > 1, "another host is tried before it is given up"

    world.finish(world.begin("start", instances=[NAME]))
    assert claim(world)["phase"] == "running" and not claim(world).get("crashes")


def test_an_instance_that_ran_long_enough_is_always_restarted_at_once() -> None:
    world = World(site_of(2, 3))
    world.finish(world.begin("deploy"))
    for _unused in range(ROUNDS):
        world.now += SOUND * world.site.settings.stable_after
        crash_or_look(world)
        if claim(world)["phase"] == "free":  # stopped, so that it is tried elsewhere
            crash_or_look(world)
        assert claim(world)["phase"] == "running"


def test_while_it_waits_status_says_until_when_and_why_and_a_person_may_start_it() -> None:
    world = World(site_of(2, 5))
    world.finish(world.begin("deploy"))
    for _unused in range(3):
        world.now += 12.0
        crash_or_look(world)
    now = claim(world)
    assert (now["phase"], now["until"], NAME in world.hosts[str(now["host"])].copies) == (
        "failed", world.now + WAITS[2], False,
    )  # fmt: skip
    said = "it was restarted twice in a row since %s and starts again at %s" % (
        clock(world.now - 24.0, world.now, seconds=True), clock(world.now + WAITS[2], world.now, seconds=True),
    )  # fmt: skip
    assert said in str(now["reason"])
    assert not world.state["notices"], "it is not given up"
    told = verdict.verdicts(world.site, world.state, {}, {}, world.now)["01"]
    assert (told["verdict"], told["cause"]) == ("waiting", now["reason"])
    world.finish(world.begin("reconcile"))
    assert claim(world) == now
    world.finish(world.begin("start", instances=[NAME]))
    assert claim(world)["phase"] == "running"


def test_a_program_that_crashes_in_a_row_waits_while_the_others_run_on() -> None:
    site = site_of(1, 5)
    repaired = [
        dataclasses.replace(p, running_failure_strategy="restart_process") if p.name == "data_processing" else p
        for p in site.application("scen2_srv").programs
    ]
    services = dataclasses.replace(site.application("scen2_srv"), programs=tuple(repaired))
    world = World(dataclasses.replace(site, applications=(services, site.application("scen2_hci"))))
    world.finish(world.begin("deploy"))
    programs = []
    for _unused in range(3):
        world.now += 12.0
        copy = world.hosts["server_1"].copies[NAME]
        copy.programs.remove("data_processing")
        world.finish(world.begin("reconcile"))
        programs.append("data_processing" in world.hosts["server_1"].copies[NAME].programs)
    assert programs == [True, True, False]
    now = claim(world)
    assert now["phase"] == "running" and "starts again at" in str(now["failed"])
    world.finish(world.begin("reconcile"))
    assert claim(world)["failed"] == now["failed"], "charged once"
    wait(world, 0)
    world.finish(world.begin("reconcile"))
    assert "data_processing" in world.hosts["server_1"].copies[NAME].programs
    assert claim(world)["failed"] == {} and len(tries(world)) == 1


def test_a_drain_one_at_a_time_empties_a_host_and_ends_by_itself() -> None:
    site = small_site(items=6)
    world = World(dataclasses.replace(site, hosts=tuple(dataclasses.replace(h, load_limit=200) for h in site.hosts)))
    for server in ("server_2", "server_3"):
        world.finish(world.begin("drain", host=server, force=True))
    world.finish(world.begin("deploy"))
    assert len(world.hosts["server_1"].copies) == 6
    for server in ("server_2", "server_3"):
        world.finish(world.begin("undrain", host=server))
    world.finish(world.begin("drain", host="server_1", at_a_time=2, until=world.now + 600))
    left = [len(world.hosts["server_1"].copies)]
    while left[-1]:
        world.now += 5
        world.finish(world.begin("reconcile"))
        left.append(len(world.hosts["server_1"].copies))
    assert left == [4, 2, 0]
    assert world.state["hosts"]["server_1"]["state"] == "drained"
    world.now += 600
    world.finish(world.begin("reconcile"))
    assert (world.state["hosts"]["server_1"]["state"], "drain" in world.state["hosts"]["server_1"]) == ("up", False)
    assert not world.hosts["server_1"].copies  # running instances move only when asked


def test_a_drained_host_that_goes_down_and_comes_back_stays_drained() -> None:
    world = World(small_site(items=3))
    world.finish(world.begin("deploy"))
    world.finish(world.begin("drain", host="server_1", why="new disk"))
    world.hosts["server_1"].on = False
    world.finish(world.begin("confirm_down", host="server_1"))
    assert world.state["hosts"]["server_1"]["state"] == "down"
    world.hosts["server_1"].on = True
    world.finish(world.begin("reconcile"))
    record = world.state["hosts"]["server_1"]
    assert (record["state"], record["evidence"]) == ("drained", "new disk")
    world.finish(world.begin("undrain", host="server_1"))
    assert world.state["hosts"]["server_1"]["state"] == "up"
