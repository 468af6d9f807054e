# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts over random histories: crashes, dead hosts, runs that are cut, second deploys.

The rules are checked against what lives on the hosts: a rollout takes no more items down than it may, nothing runs with
a configuration that is not its own, and it ends or says why not.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from monitor.core.model.rollout import DONE, HALTED, Rollout, RolloutSettings
from tests.small_site import SERVERS, small_site
from tests.unit.plan.fleet_in_memory import FleetHost, World

ITEMS = 7
HISTORIES = 20


class Rolling(World):
    """A world in which some instances do not start with some configurations."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.parallel = self.chance.randint(1, 3)
        rules = RolloutSettings(self.chance.randint(0, 1), self.parallel, hold_for=5.0)
        super().__init__(dataclasses.replace(small_site(items=ITEMS), rollout=rules))
        self.names = ["scen2_srv_%02d" % number for number in range(1, ITEMS + 1)]
        self.bad: set[tuple[str, str]] = set()  # (instance, configuration)
        self.disturbed: set[str] = set()  # by other things than the rollout
        self.describe("v1")
        self.finish(self.begin("deploy"))

    def describe(self, word: str) -> None:
        self.digests = dict.fromkeys(self.site.by_name(), word)

    def _one(self, host: FleetHost, entry: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        broken = (entry["instance"], entry["digest"]) in self.bad
        self.fails = {entry["instance"]} if broken else set()
        return super()._one(host, entry, request)

    @property
    def record(self) -> Rollout:
        return Rollout.from_json(self.state["rollouts"]["current"])

    @property
    def begun(self) -> bool:
        return bool(self.state.get("rollouts"))

    def copies(self) -> dict[str, str]:
        """Instance -> the configuration with which it lives."""
        return {name: copy.digest for host in self.hosts.values() for name, copy in host.copies.items()}

    def check(self) -> None:
        record, alive = self.record, self.copies()
        down = [name for name in self.names if name not in alive and name not in self.disturbed]
        assert len(down) <= self.parallel, down
        under_way = record.batches[record.at]
        expected = {**self.digests, **record.effective(self.digests)}
        for name, digest in alive.items():
            may = {expected[name]}
            if name in under_way or name in record.returned:  # not there yet
                may |= {record.sources.get(name, ""), record.targets.get(name, "")}
            if record.targets.get(name) in (self.digests[name], None):  # else a deploy has only just described another
                assert digest in may, (name, digest, expected[name], record)

    def run(self, kind: str) -> None:
        run = self.begin(kind)
        if self.chance.random() < 0.1:  # its terminal is closed
            for _unused in range(self.chance.randint(1, 4)):
                if not run.done:
                    self.step(run)
            if not run.done:
                self.cut(run)
            self.disturbed.update(self.names)  # what it had begun is finished by a later one
            self.now += self.site.settings.run_timeout + 1
        else:
            self.finish(run)
        if self.begun:  # else the run was cut before it had committed
            self.check()

    def trouble(self) -> None:
        self.disturbed = {name for name in self.disturbed if name not in self.copies()}
        what = self.chance.random()
        host = self.hosts[self.chance.choice(SERVERS)]
        if what < 0.15 and host.copies:
            name = self.chance.choice(sorted(host.copies))
            host.copies.pop(name)
            self.disturbed.add(name)
        elif what < 0.2:
            self.disturbed.update(host.copies)
            host.die()
            host.boots += 1


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_rollout_keeps_its_rules_and_ends(seed: int) -> None:
    world = Rolling(seed)
    world.describe("v2")
    if world.chance.random() < 0.5:
        world.bad = {(name, "v2") for name in world.chance.sample(world.names, 2)}
    world.run("deploy")
    for turn in range(12):
        world.trouble()
        world.now += world.chance.choice([1.0, 3.0, 6.0, 20.0])
        if turn == 6 and world.chance.random() < 0.4:
            world.describe("v3")
            world.run("deploy")
        world.run("reconcile")
    for _unused in range(40):  # quiet
        world.now += 20.0
        world.finish(world.begin("reconcile"))
        world.check()
    record, alive = world.record, world.copies()
    assert record.state == DONE or (record.state == HALTED and record.reason), record
    assert set(alive) == set(world.names), "all of them run, whatever failed"
    if record.state == DONE:
        assert set(alive.values()) == set(world.digests.values())
    else:
        assert all(alive[name] == record.sources[name] for name in record.returned)


def test_a_canary_that_cannot_start_is_the_only_one_that_ever_went_down() -> None:
    world = Rolling(3)
    first = dict(world.started)
    world.describe("v2")
    world.bad = {(name, "v2") for name in world.names}
    world.finish(world.begin("deploy"))
    for _unused in range(10):
        world.now += 20.0
        world.finish(world.begin("reconcile"))
        world.check()
    touched = {name for name in world.names if world.started[name] != first[name]}
    assert touched == set(world.record.batches[0]) and world.record.state == HALTED
    assert set(world.copies().values()) == {"v1"}
