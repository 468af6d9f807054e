# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that was killed: the next one goes on at once, whatever of its requests still arrives."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.model.observation import instance_seen, seen_running
from monitor.core.plan.plan import make_plan
from tests.small_site import small_site, small_state
from tests.unit.plan.fleet_in_memory import World

NAME = "scen2_srv_01"
NOW = 1_700_000_000.0


def killed(world: World, kind: str, sent: bool, **more: Any) -> None:
    """A run that ends once it has planned, or once its requests are on their way."""
    run = world.begin(kind, **more)
    while not world.on_the_way if sent else not world.state["claims"].get(NAME, {}).get("actor"):
        world.step(run)
    world.cut(run)


@pytest.mark.parametrize("arrives", ["before", "after", "never"])
@pytest.mark.parametrize("kind", ["start", "restart"])
def test_what_it_had_begun_is_up_after_the_next_run(kind: str, arrives: str) -> None:
    world = World(small_site(items=2))
    world.finish(world.begin("deploy"))
    if kind == "start":
        world.finish(world.begin("stop", instances=[NAME]))
    began = world.now
    killed(world, kind, sent=True, instances=[NAME])
    if arrives == "before":
        world.deliver(world.on_the_way[0])
    world.finish(world.begin("reconcile"))
    if arrives == "after":
        world.deliver(world.on_the_way[0])
    world.finish(world.begin("reconcile"))
    [copy] = [host.copies[NAME] for host in world.hosts.values() if NAME in host.copies]
    claim = world.state["claims"][NAME]
    assert (claim["phase"], claim["epoch"], claim["actor"]) == ("running", copy.epoch, None)
    assert world.now == began


def test_a_stop_that_it_had_begun_is_done() -> None:
    world = World(small_site(items=2))
    world.finish(world.begin("deploy"))
    killed(world, "stop", sent=False, instances=[NAME])
    world.finish(world.begin("reconcile"))
    assert world.state["claims"][NAME]["phase"] == "free"
    assert not any(NAME in host.copies for host in world.hosts.values())


@pytest.mark.parametrize(("busy", "does"), [(True, "hold"), (False, "restart")])
def test_a_start_that_is_there_in_part_is_waited_for_while_its_host_is_at_work(busy: bool, does: str) -> None:
    site, actor = small_site(items=1), {"run": "1", "deadline": NOW + 100, "lost": True}
    claim = {"host": "server_1", "epoch": 3, "phase": "starting", "actor": actor, "since": NOW}
    state = small_state(claims={NAME: claim}, wanted={NAME: {"state": "started"}})
    seen = dict(instance_seen(3, ["sensor_acquisition"]), busy=busy)
    plan = make_plan(site, state, 1, {"server_1": seen_running("server_1", "b/1", {NAME: seen})},
                     {"kind": "reconcile", "who": "eve"}, NOW, "2", {})  # fmt: skip
    assert [action.kind for action in plan.actions if action.instance == NAME] == [does]


def test_what_it_had_to_tell_an_instance_that_runs_keeps_nobody_waiting() -> None:
    world = World(small_site(items=2))
    world.finish(world.begin("deploy"))
    claim = dict(world.state["claims"][NAME], actor={"run": "9", "deadline": world.now + 100, "process": "9"})
    assert world.commit(world.revision, {"claims": {NAME: claim}})
    world.dead_runs.add("9")
    world.finish(world.begin("restart", instances=[NAME]))
    held = world.state["claims"][NAME]["actor"]
    world.finish(world.begin("reconcile"))
    assert held is not None, "a person's run waits, as long as nobody has looked at all of it"
    assert world.state["claims"][NAME]["actor"] is None
