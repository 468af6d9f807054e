# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts of others that got stuck, took too much down or went on when they should have stopped."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from monitor.core.model.rollout import ABORTED, DONE, GOING, HALTED, Rollout, RolloutSettings
from tests.small_site import small_site
from tests.unit.plan.fleet_in_memory import FleetHost, World

NAMES = ["scen2_srv_%02d" % number for number in range(1, 6)]


class Rolling(World):
    """Five services; what cannot start with a configuration is in `bad`, what their host refuses in `refused`."""

    def __init__(self, **rules: Any) -> None:
        settings = RolloutSettings(**{"canary": 1, "max_parallel": 2, "hold_for": 5.0, **rules})
        super().__init__(dataclasses.replace(small_site(items=len(NAMES)), rollout=settings))
        self.bad: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self.most_down = 0
        self.deploy("one")
        self.most_down = 0

    def _one(self, host: FleetHost, entry: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        key = (entry["instance"], entry["digest"])
        if key in self.refused and entry["do"] != "stop":
            host.copies.pop(entry["instance"], None)
            return {"result": "refused", "reason": "%s cannot read the archive" % host.name, "changed": False}
        self.fails = {entry["instance"]} if key in self.bad else set()
        return super()._one(host, entry, request)

    def deploy(self, word: str) -> None:
        self.digests = dict.fromkeys(self.site.by_name(), word)
        self.looks(1, "deploy")

    def looks(self, count: int, kind: str = "reconcile", apart: float = 6.0) -> None:
        for _unused in range(count):
            self.finish(self.begin(kind))
            self.now += apart
            self.most_down = max(self.most_down, sum(name not in self.running for name in NAMES))

    @property
    def running(self) -> dict[str, str]:
        """Instance -> the configuration with which it lives."""
        return {name: copy.digest for host in self.hosts.values() for name, copy in host.copies.items()}

    @property
    def record(self) -> Rollout:
        return Rollout.from_json(self.state["rollouts"]["current"])


@pytest.mark.parametrize("word", ["one", "three"])
@pytest.mark.parametrize("revert", [False, True])
def test_a_corrected_site_gets_a_rollout_that_broke_going_again(revert: bool, word: str) -> None:
    """Whether what is deployed is another one, or the one of before: nobody has to delete or start anything by hand."""
    world = Rolling(revert=revert)
    world.bad = {(name, "two") for name in NAMES}
    world.deploy("two")
    world.looks(12)
    assert world.record.state == HALTED and world.most_down <= 1
    world.deploy(word)
    world.looks(12)
    assert world.running == dict.fromkeys(NAMES, word)
    assert world.record.state == (DONE if word == "three" else ABORTED)


def test_a_canary_that_its_host_refuses_ends_the_rollout_too() -> None:
    """No failed start and no crash is ever told of it."""
    world = Rolling(well_within=60.0)
    world.refused = {(name, "two") for name in NAMES}
    world.deploy("two")
    world.looks(30)
    assert world.record.state == HALTED and "not well within" in world.record.reason
    assert world.running == dict.fromkeys(NAMES, "one")


def test_a_batch_that_fails_as_a_whole_is_counted_and_no_more() -> None:
    world = Rolling(canary=0, max_failures=2)
    world.bad = {(name, "two") for name in NAMES[:2]}
    world.deploy("two")
    assert set(world.record.batches[0]) == set(NAMES[:2])
    world.looks(12)
    assert world.record.state == DONE and set(world.record.failed) == set(NAMES[:2])
    assert {name: world.running[name] for name in NAMES[2:]} == dict.fromkeys(NAMES[2:], "two")


def test_what_may_fail_is_not_left_down_and_is_tried_again_when_a_person_says_so() -> None:
    world = Rolling(max_parallel=1, max_failures=2)
    world.bad = {(NAMES[1], "two"), (NAMES[3], "two")}
    world.deploy("two")
    world.looks(20)
    assert world.record.state == DONE and world.record.returned == (NAMES[1], NAMES[3]) and world.most_down <= 1
    mixed = {name: "one" if (name, "two") in world.bad else "two" for name in NAMES}
    assert world.running == mixed
    world.deploy("two")  # the same again changes nothing
    world.looks(3)
    assert world.running == mixed and world.record.state == DONE
    world.bad.clear()
    world.most_down = 0
    world.looks(1, "rollout_resume")
    assert world.record.state == GOING and world.record.batches[-2:] == ((NAMES[1],), (NAMES[3],))
    world.looks(6)
    assert world.record.state == DONE and world.running == dict.fromkeys(NAMES, "two")
    assert not world.record.failed and world.most_down <= 1


def test_what_failed_in_an_earlier_batch_is_tried_again_in_a_batch_of_its_own() -> None:
    world = Rolling(canary=0, max_parallel=1, max_failures=1)
    world.bad = {(NAMES[0], "two"), (NAMES[2], "two")}
    world.deploy("two")
    world.looks(12)
    assert world.record.state == HALTED and world.running[NAMES[0]] == world.running[NAMES[2]] == "one"
    world.bad.clear()
    world.most_down = 0
    world.looks(1, "rollout_resume")
    assert world.record.batches == tuple((NAMES[at],) for at in (1, 2, 0, 3, 4)) and world.record.at == 1
    world.looks(12)
    assert world.record.state == DONE and world.running == dict.fromkeys(NAMES, "two") and world.most_down <= 1


def test_what_stays_down_is_tried_again_too() -> None:
    world = Rolling(canary=0, max_parallel=1, revert=False)
    world.bad = {(NAMES[0], "two")}
    world.deploy("two")
    world.looks(12)
    assert world.record.state == HALTED and NAMES[0] not in world.running
    world.bad.clear()
    world.looks(1, "rollout_resume")
    world.looks(12)
    assert world.record.state == DONE and world.running == dict.fromkeys(NAMES, "two")


def test_failures_count_over_all_batches() -> None:
    world = Rolling(canary=0, max_parallel=1, max_failures=1)
    world.bad = {(NAMES[0], "two"), (NAMES[2], "two")}
    world.deploy("two")
    world.looks(12)
    assert world.record.state == HALTED and set(world.record.failed) == {NAMES[0], NAMES[2]}
    assert {name: world.running[name] for name in NAMES[3:]} == dict.fromkeys(NAMES[3:], "one")


def test_the_way_back_takes_no_more_down_than_the_way_there() -> None:
    world = Rolling(canary=0)
    world.deploy("two")
    world.looks(12)
    assert world.running == dict.fromkeys(NAMES, "two")
    world.most_down = 0
    world.looks(1, "rollout_revert")
    world.looks(12)
    assert world.running == dict.fromkeys(NAMES, "one")
    assert world.most_down <= 2


def test_a_controller_that_was_off_for_an_hour_goes_on_and_calls_nothing_failed() -> None:
    world = Rolling(well_within=60.0)
    world.deploy("two")
    canary = world.record.batches[0][0]
    host = next(host for host in world.hosts.values() if canary in host.copies)
    host.reachable = False  # it is switched off with the controller
    world.now += 3600.0
    world.looks(1)
    assert world.record.state == GOING
    host.reachable = True
    world.looks(12)
    assert world.record.state == DONE and world.running == dict.fromkeys(NAMES, "two")
