# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An act request that reaches its host after a reboot, when its instances may already run elsewhere."""

from __future__ import annotations

import pytest

from tests.small_site import small_site
from tests.unit.plan.fleet_in_memory import Delivery, World

NAME = "scen2_srv_02"


def a_start_on_its_way() -> tuple[World, Delivery]:
    """server_1 was rebooted; a reconcile sent it the start of what is claimed there, and is cut."""
    world = World(small_site(items=5))
    world.finish(world.begin("deploy"))
    assert NAME in world.hosts["server_1"].copies
    reboot(world, "server_1")
    run = world.begin("reconcile")
    while not world.on_the_way:
        world.step(run)
    world.cut(run)
    [late] = [delivery for delivery in world.on_the_way if delivery.host == "server_1"]
    return world, late


def reboot(world: World, name: str) -> None:
    host = world.hosts[name]
    host.die()
    host.on, host.powered, host.boots = True, host.powered + 1, host.boots + 1


def confirmed_down(world: World, name: str) -> None:
    world.hosts[name].die()
    world.hosts[name].on = False
    record = {"state": "down", "incarnation": "", "since": world.now, "evidence": "no power", "by": "eve"}
    assert world.commit(world.revision, {"hosts": {name: record}})


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_request_from_before_a_reboot_starts_nothing_that_runs_elsewhere(answer_lost: bool) -> None:
    world, late = a_start_on_its_way()
    confirmed_down(world, "server_1")
    world.finish(world.begin("reconcile"))
    [elsewhere] = [host for host in world.hosts.values() if NAME in host.copies]
    assert elsewhere.copies[NAME].epoch == late.request["instances"][0]["epoch"] + 1
    reboot(world, "server_1")
    world.deliver(late, answer_lost)  # within its time; server_1 has never seen the higher epoch
    assert not world.hosts["server_1"].copies
    assert [host.name for host in world.hosts.values() if NAME in host.copies] == [elsewhere.name]


def test_what_was_refused_after_a_reboot_is_started_by_the_next_run() -> None:
    world, late = a_start_on_its_way()
    reboot(world, "server_1")
    world.deliver(late)
    assert late.answers["server_1"]["results"][NAME] == {
        "result": "refused", "reason": "server_1 was booted after the run had looked at it"}  # fmt: skip
    world.now += world.site.settings.run_timeout + 1  # its run was cut, so nothing else ends its turn
    world.finish(world.begin("reconcile"))
    [copy] = [host.copies[NAME] for host in world.hosts.values() if NAME in host.copies]
    assert copy.epoch == world.state["claims"][NAME]["epoch"] > late.request["instances"][0]["epoch"]


def test_a_request_without_a_reboot_is_carried_out() -> None:
    world, late = a_start_on_its_way()
    assert late.request["boot"] == world.hosts["server_1"].boot
    world.deliver(late)
    assert NAME in world.hosts["server_1"].copies
