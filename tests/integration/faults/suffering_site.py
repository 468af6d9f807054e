# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the tests of faults: one site with its monitor under faults, an audit from outside after each fault."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator

from tests.soak.audit import settled
from tests.soak.faults import FAULTS
from tests.soak.history import overlaps
from tests.soak.people import People
from tests.soak.story import RECOVERS, step
from tests.soak.world import RUN_TIMEOUT, Sampler, World, deployed

# Moments differ from run to run: a test that fails names its seed, and with it in the environment they are the same.
SEED = int(os.environ.get("MUSTER_TEST_SEED") or int.from_bytes(os.urandom(2), "big"))


class Site:
    """One site for all tests of a file."""

    def __init__(self, world: World, sampler: Sampler, longest: float) -> None:
        """:param longest: s until a fault is cured, at most."""
        self.world, self.sampler = world, sampler
        self._longest = longest

    def suffers(self, seed: int, *kinds: str) -> None:
        """The events depend on seed and kinds only, not on earlier tests."""
        done = step(self.world, self.sampler, seed, 0, kinds, longest=self._longest)
        assert done.findings == [], "%s\n%s\n%s" % (done, done.answer, self.world.lab.monitor_log()[-6000:])

    def loses_its_monitor(self, during: str, number: int) -> None:
        """The monitor is killed at some moment of a restart, stop or failover; nothing may come of it."""
        world, rng = self.world, random.Random("%d %s %d" % (SEED, during, number))
        moment = rng.uniform(0, 0.8)
        print("the monitor is killed %.3f s after the %s began (MUSTER_TEST_SEED=%d)" % (moment, during, SEED))
        people, heal = People(world), None
        if during == "stop":
            people.ask(["stop", "scen2_srv_02", "--reason", "a test"])
        else:
            heal = FAULTS["bus killed" if during == "restart" else "server cut"](world, rng).heal
        time.sleep(moment)
        FAULTS["monitor killed"](world, rng)
        if heal:
            heal()
        assert people.heard() == ""
        assert settled(world, RECOVERS) == [], world.lab.monitor_log()[-6000:]
        if world.wanted["scen2_srv_02"] == "stopped":
            people.ask(["start", "scen2_srv_02"])
            assert people.heard() == ""
            assert world.wanted["scen2_srv_02"] == "started"

    def put_in_order(self) -> None:
        """Repair the site, so that the faults of one test do not fail the next."""
        if settled(self.world, 5.0):
            self.world.lab.play("reconcile")
            assert settled(self.world, RECOVERS) == []

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.world.lab.monitor_log().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def suffering(number: int, run_timeout: float = RUN_TIMEOUT, longest: float = float("inf")) -> Iterator[Site]:
    """A deployed site; in the end, nothing may ever have lived twice, nor been in two runs at once.

    :param run_timeout: s that what a dead run began lies about half done.
    """
    with deployed(number, run_timeout) as world:
        sampler = Sampler(world)
        sampler.start()
        try:
            yield Site(world, sampler, longest)
        finally:
            sampler.stop()
        assert sampler.samples > 100
        assert sampler.doubled == []
        assert overlaps(world.lab.monitor_log()) == [], "at most one run per instance at a time"
