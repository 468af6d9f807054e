# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts in the simulation: a person deploys another configuration while everything else goes wrong.

The rules are checked against the hosts: no plan takes more down than a batch may have, nothing starts with a
configuration whose turn it is not, and in the end a rollout is over or says why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from monitor.core.model.plan import RESTART, Plan
from monitor.core.model.rollout import ABORTED, DONE, HALTED, Rollout, RolloutSettings

if TYPE_CHECKING:
    from tests.unit.simulation.runs import Run
    from tests.unit.simulation.story import Simulation

PARALLEL = 1
RULES = RolloutSettings(max_parallel=PARALLEL, well_within=20.0)
OVER = 60.0  # s that the last batches may take after everything else is as wanted
WORD = "configuration"  # of a request to deploy: what it deploys


class SimRollouts:
    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self.count = 0

    def another(self) -> None:
        """Deploy another configuration."""
        self.count += 1
        self._sim.people.playbook("deploy", **{WORD: "v%d" % self.count})

    def _record(self) -> Rollout | None:
        document = self._sim.world.state.get("rollouts", {}).get("current")
        return Rollout.from_json(document) if document else None

    def planned(self, run: Run, plan: Plan) -> None:
        """A plan takes no more down for a configuration than a batch may have."""
        world, state = self._sim.world, self._sim.world.state
        words = ("changed", "goes back")
        restarts = {a.instance: a for a in plan.actions if a.kind == RESTART and a.instance in self._services}
        down = {name for name, action in restarts.items()
                if "configuration of" in action.reason and action.reason.endswith(words)}  # fmt: skip
        record = self._record()
        back = set(record.returned) if record is not None else set()
        claims = state["claims"]
        under_way = {name for name in self._services if (claims.get(name) or {}).get("phase") == "starting"
                     and "configuration of" in claims[name]["reason"]}  # fmt: skip
        stopped = {name for name in under_way if state["wanted"][name]["state"] != "started"}  # by a person meanwhile
        both = (down | under_way) - back - stopped
        world.demand(len(both) <= PARALLEL, "rollout", "with run %s %s are down" % (run.number, sorted(both)))
        for name in down:
            copies = [host.copies[name] for host in self._sim.alive(name)]
            described = self._sim.runs.digests(run.request)
            expected = {**described, **(record.effective(described) if record is not None else {})}
            given = restarts[name].digest
            world.demand(not copies or given == expected[name], "generation", "run %s gives %s %s instead of %s, %s" % (
                run.number, name, given, expected[name], state.get("rollouts")))  # fmt: skip

    @property
    def _services(self) -> list[str]:
        return self._sim.services

    def settled(self) -> None:
        """When all is as wanted otherwise: the rollout ends, and each service has the configuration of its turn."""
        world = self._sim.world
        waited = 0.0
        while waited < OVER and self._going():
            world.run(2.0)
            waited += 2.0
        record = self._record()
        if record is None:
            return
        broken = set(world.broken) | {n for n in self._services if self._sim.quarantined(n)}
        what = "%s: %s" % (record.state, record.reason)
        over = record.state == DONE or (record.state in (HALTED, ABORTED) and bool(record.reason))
        world.demand(over, "ends", what)
        described: Mapping[str, Any] = self._sim.runs.digests({})
        expected = {**described, **record.effective(described)}
        for name in self._services:
            for host in self._sim.alive(name) if name not in broken else ():
                digest = host.copies[name].digest
                world.demand(digest == expected[name], "generation", "%s has %s, its own is %s; rollout %s" % (
                    name, digest, expected[name], what))  # fmt: skip

    def _going(self) -> bool:
        record = self._record()
        return record is not None and record.state not in (ABORTED, DONE, HALTED)
