# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run sends a request to a host that is cut off at that moment: what the first look at the host finds decides.

From a campaign on booted hosts (B6): an item that runs on a host which was cut off is moved to one that is cut off
before the start arrives. After the heal it was "starting" for 142 s, and then the good copy was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitor.core.controller.ledger import Ledger
from tests.field.test_evidence_after_a_cut import NAME, down
from tests.small_site import small_site
from tests.unit.plan.fleet_in_memory import Delivery, Run, World


def deployed() -> World:
    world = World(small_site(items=1))
    world.finish(world.begin("deploy"))
    assert world.state["claims"][NAME]["host"] == "server_1"
    return world


def moved_into_a_cut(late: bool = True) -> tuple[World, list[Delivery]]:
    """server_1 is cut off, its item moves to server_2, which is cut off before the request arrives; all healed.

    :param late: the request is still on its way.
    """
    world = deployed()
    world.hosts["server_1"].reachable = False
    world.hosts["server_1"].copies[NAME].by_hand = True  # it lives twice if the other starts: that is not the matter
    assert world.commit(world.revision, down("server_1", world.now))
    run = world.begin("reconcile")
    while not world.on_the_way:
        world.step(run)
    kept = list(world.on_the_way) if late else []
    world.hosts["server_2"].reachable = False
    world.finish(run)
    for host in world.hosts.values():
        host.reachable = True
    world.now += 20
    return world, kept


def claim(world: World) -> dict[str, Any]:
    return dict(world.state["claims"][NAME])


def look(world: World) -> Run:
    """A reconcile, and the round that follows in the same run."""
    run = world.begin("reconcile")
    world.finish(run)
    if world.plans[-1]["turns"]:
        run = world.begin("reconcile")
        world.finish(run)
    return run


def test_the_good_copy_is_kept_at_the_first_look() -> None:
    world, _late = moved_into_a_cut()
    assert (claim(world)["phase"], claim(world)["actor"]["lost"]) == ("starting", True)
    copy = world.hosts["server_1"].copies[NAME]
    look(world)
    assert (claim(world)["phase"], claim(world)["host"], claim(world)["epoch"]) == ("running", "server_1", 1)
    assert world.hosts["server_1"].copies[NAME] is copy and len(world.starts) == 1


def test_what_arrives_after_it_was_undone_starts_nothing() -> None:
    world, late = moved_into_a_cut()
    look(world)
    (delivery,) = late
    world.on_the_way.append(delivery)
    world.deliver(delivery)
    assert delivery.answers["server_2"]["results"][NAME]["result"] == "refused"
    assert NAME not in world.hosts["server_2"].copies


def test_what_arrives_before_that_is_found_and_counts() -> None:
    world, late = moved_into_a_cut()
    world.on_the_way.extend(late)
    world.deliver(late[0])
    look(world)
    assert (claim(world)["phase"], claim(world)["host"], claim(world)["epoch"]) == ("running", "server_2", 2)
    assert NAME not in world.hosts["server_1"].copies


def test_no_epoch_is_given_twice() -> None:
    world, _late = moved_into_a_cut()
    look(world)
    world.finish(world.begin("restart", instances=[NAME]))
    assert claim(world)["epoch"] > 3 and "highest" not in claim(world)


def test_without_a_good_copy_it_starts_again_at_once() -> None:
    world, _late = moved_into_a_cut()
    world.hosts["server_1"].die()
    look(world)
    assert claim(world)["phase"] == "running" and len(world.starts) == 2


def test_one_that_arrived_and_ended_with_its_host_starts_again_at_the_first_look() -> None:
    world, late = moved_into_a_cut()
    world.on_the_way.extend(late)
    world.deliver(late[0])
    for host in world.hosts.values():  # the power fails, and comes back
        host.die()
    look(world)
    assert claim(world)["phase"] == "running" and len(world.starts) == 3


def test_one_that_a_person_has_stopped_meanwhile_stays_stopped() -> None:
    world, late = moved_into_a_cut()
    world.finish(world.begin("stop", instances=[NAME]))
    look(world)
    world.on_the_way.extend(late)
    world.deliver(late[0])
    look(world)
    assert claim(world)["phase"] == "free" and not any(host.copies for host in world.hosts.values())


def test_a_host_that_is_silent_still_is_waited_for() -> None:
    world, _late = moved_into_a_cut()
    world.hosts["server_2"].reachable = False
    look(world)
    assert (claim(world)["phase"], claim(world)["host"]) == ("starting", "server_2")


def test_a_stop_that_got_no_answer_is_repeated_at_the_first_look() -> None:
    world = deployed()
    run = world.begin("stop", instances=[NAME])
    while not world.on_the_way:
        world.step(run)
    world.hosts["server_1"].reachable = False
    world.finish(run)
    assert claim(world)["phase"] == "stopping" and NAME in world.hosts["server_1"].copies
    world.hosts["server_1"].reachable = True
    look(world)
    assert claim(world)["phase"] == "free" and NAME not in world.hosts["server_1"].copies


def test_the_ledger_takes_all_of_it(tmp_path: Path) -> None:
    world, _late = moved_into_a_cut()
    look(world)
    with Ledger(str(tmp_path / "state" / "ledger.db")) as ledger:
        ledger.create("control_room", "control_room-0123456789ab")
        for plan in world.plans:
            ledger.commit(ledger.read()[1], plan["after"])
        ledger.commit(ledger.read()[1], world.state)
        assert ledger.read()[0]["claims"][NAME]["highest"] == 3
