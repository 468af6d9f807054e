# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the simulation: what the playbooks do, step by step in time, with the real planning and settling.

A run may be killed at any moment; what it sent to hosts goes on there. What it reports is what the playbooks report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from monitor.core.controller import run_process
from monitor.core.decide import corrections
from monitor.core.model.plan import Plan
from monitor.core.model.words import DOWN, SUSPECT
from monitor.core.plan import plan as planner
from monitor.core.plan.act_requests import act_requests
from monitor.core.plan.outcome import settle
from tests.unit.simulation import acts as sim_acts
from tests.unit.simulation.hosts import Locked
from tests.unit.simulation.world import SimWorld

MOST_EARLY = 5.0  # s that a plan waits until a rollout goes on: `_rounds` of the playbooks
CONNECT = (3.0, 8.0)  # s until a host that is gone is taken for unreachable
DIGEST = "d"

Report = dict[str, Any]


class Run:
    """One run under way. `over(report, why)` is called once, with what it left; why is "" when it ended well."""

    def __init__(
        self, runs: Runs, request: Mapping[str, Any], leave_out: list[str], whole: bool,
        over: Callable[[Report, str], None],
    ) -> None:  # fmt: skip
        self._runs, self._world = runs, runs.world
        self.request = dict(request)
        self.leave_out, self.whole = leave_out, whole
        self.number = ""
        self._over = over
        self._report: Report = {}
        self._steps = self._go()
        self._after = 0  # only the newest wake counts
        self.done = False
        self.planned = False

    def start(self) -> None:
        self._world.after(0.0, lambda: self._step(0))
        self._world.after(self._world.site.settings.run_timeout, lambda: self.kill("it was ended, its deadline"))

    def kill(self, why: str) -> None:
        if not self.done:
            self._world.tell("run %s (%s) is killed: %s" % (self.number or "?", self.request["kind"], why))
            if self.number:
                self._world.dead_runs.add(self.number)
            self._end(why)

    def _end(self, why: str) -> None:
        self.done = True
        self._runs.under_way.remove(self)
        self._over(self._report, why)

    def _step(self, turn: int) -> None:
        if self.done or turn != self._after:
            return
        try:
            delay = next(self._steps)
        except StopIteration:
            self._end("")
            return
        except Locked as error:
            self._world.tell("run %s: %s" % (self.number or "?", error))
            self._end(str(error))
            return
        self._after += 1
        turn = self._after
        if delay is not None:
            self._world.after(delay, lambda: self._step(turn))

    def _go(self) -> Iterator[float | None]:
        """Each yield is the time to wait; None: until something wakes the run."""
        world, rng = self._world, self._world.rng
        kind = self.request["kind"]
        observations: dict[str, Any] | None = None
        if self.whole:
            yield 0.0 if self.request.get("look") else rng.uniform(0.6, 1.2)  # Ansible starts
            looked = world.revision
            observations = {n: h.observe() for n, h in world.hosts.items() if n not in self.leave_out}
            if world.leases is not None:
                for name, seen in observations.items():
                    seen["lease"] = world.leases.shown(world.hosts[name])
                    if world.helps is not None and seen["answer"] == "seen":
                        seen["alone"] = world.helps.shown(world.hosts[name])
            silent = any(seen["answer"] == "unreachable" for seen in observations.values())
            yield rng.uniform(*CONNECT) if silent else rng.uniform(0.1, 0.5)
        elif kind == "intents" and not any(intent.get("host") for intent in self.request["intents"]):
            observations, looked = {}, world.revision
        yield self._runs.delay()  # held up between looking and planning, now and then
        yield min(MOST_EARLY, max(0.0, self.request.pop("due", 0.0) - world.wall))
        self.number = world.next_number()
        while True:
            seen = self._runs.last_seen() if observations is None else corrections.correct(
                world.site, world.state, observations, self._runs.changed_since(looked)
            )  # fmt: skip
            fenced = {"fenced": sorted(world.leases.free)} if world.leases is not None else {}
            plan = planner.make_plan(
                world.site, run_process.without_gone(world.state, world.dead_runs.__contains__), world.revision, seen,
                {**self.request, **fenced}, world.wall, self.number, self._runs.digests(self.request),
                process=self.number,
            )  # fmt: skip
            if self.request.get("look") and not plan.idle:
                self._report = {"why": "there is something to do"}
                return
            revision = world.revision
            if rng.random() < 0.05:
                yield rng.uniform(0.01, 0.3)
            if not plan.changes or self._runs.commit(revision, plan.changes, self.number):
                break
        self.planned = True
        self._runs.described = self._runs.digests(self.request)
        self._runs.planned(self, plan)
        if self.whole and observations is not None:
            self._runs.keep_seen(seen, revision)
        heard: Report = {"answered": [], "unreachable": {}}
        if self.whole:
            for name, found in seen.items():
                if found["answer"] == "seen":
                    heard["answered"].append(name)
                elif found["answer"] == "unreachable":
                    heard["unreachable"][name] = found["why"]
        self._report = {"run": self.number, "plan": plan.to_json(), "results": {}, "sentences": []}
        if self.whole:
            self._report.update(heard)
        answers: dict[str, Any] = {}
        for phase in range(1, plan.phases + 1):
            if phase > 1:
                changes, _trail = settle(world.site, world.state, plan, answers, world.wall)
                self._commit(changes)
            yield self._runs.delay()
            requests = act_requests(world.site, world.state, plan, phase, self._runs.digests(self.request))
            missing = set(requests)
            for name in sorted(requests):
                self._deliver(name, requests[name].to_json(), answers, missing)
            while missing:
                yield None
        yield self._runs.delay()
        changes, _trail = settle(world.site, world.state, plan, answers, world.wall, final=True)
        self._commit(changes)
        results: dict[str, Any] = {}
        for answer in answers.values():
            results.update(answer.get("results", {}))
        if not self.whole and not answers:
            return  # no host was concerned, so nothing after the plan took place
        silent_ones = {host: a["unreachable"] for host, a in answers.items() if a.get("unreachable")}
        silent_ones = {**heard["unreachable"], **silent_ones}
        reached = sorted({*answers, *heard["answered"]} - set(silent_ones))
        self._report.update(results=results, answered=reached, unreachable=silent_ones, outcome=[])

    def _commit(self, changes: dict[str, Any]) -> None:
        if changes and not self._runs.commit(self._world.revision, changes, self.number):
            raise AssertionError("nobody else commits at the same moment")

    def _deliver(self, name: str, request: dict[str, Any], answers: dict[str, Any], missing: set[str]) -> None:
        world = self._world
        host = world.hosts[name]

        def answered(answer: dict[str, Any]) -> None:
            if self.done or name not in missing:
                return
            missing.discard(name)
            before = answers.setdefault(name, {})
            if "unreachable" in answer:
                before["unreachable"] = answer["unreachable"]
            before.setdefault("results", {}).update(answer.get("results", {}))
            if not missing:
                turn = self._after
                world.after(0.0, lambda: self._step(turn))

        def back(answer: dict[str, Any]) -> None:
            """The answer goes back over the network, if there is one."""
            if host.lost:
                lost()
            else:
                world.after(0.005, lambda: answered(answer))

        def lost() -> None:
            world.after(world.rng.uniform(*CONNECT), lambda: answered({"unreachable": f"{name} did not answer"}))

        if host.lost or not host.sshd:
            lost()
            return
        sim_acts.send(world, host, request, self.number, back)
        self._watch(host.powered, name, lost)

    def _watch(self, powered: int, name: str, lost: Callable[[], None]) -> None:
        """A host that goes away with the command is noticed by the connection after a while."""
        host = self._world.hosts[name]

        def look() -> None:
            if self.done:
                return
            if host.lost or host.powered != powered:
                lost()
            else:
                self._world.after(1.0, look)

        self._world.after(1.0, look)


class Runs:
    """All runs under way, and what the controller keeps for them."""

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.under_way: list[Run] = []
        self.hurt = 0.0  # how likely a run is held up at each of its steps
        self.on_commit: Callable[[], None] = lambda: None
        self.on_plan: Callable[[Run, Plan], None] = lambda run, plan: None
        self._seen: dict[str, tuple[dict[str, Any], int]] = {}
        self.described = dict.fromkeys(world.site.by_name(), DIGEST)  # by the last deploy

    def begin(self, request: Mapping[str, Any], over: Callable[[Report, str], None], *, whole: bool = True,
              leave_out: list[str] | None = None) -> Run:  # fmt: skip
        run = Run(self, request, list(leave_out or []), whole, over)
        self.under_way.append(run)
        run.start()
        return run

    def digests(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Of the site that a run works with: that of the last deploy, or its own when it is one."""
        word = request.get("configuration")
        return dict.fromkeys(self.described, word) if word else self.described

    def delay(self) -> float:
        rng = self.world.rng
        if rng.random() < self.hurt:
            return rng.choice([0.3, 2.0, 8.0, 13.0])
        return rng.uniform(0.002, 0.02)

    def commit(self, revision: int, changes: dict[str, Any], run: str) -> bool:
        self.world.tell("run %s commits %s" % (run, _short(changes)))
        done = self.world.commit(revision, changes)
        if done:
            self.on_commit()
        return done

    def planned(self, run: Run, plan: Plan) -> None:
        for action in plan.actions:
            self.world.tell("run %s (%s): %s %s on %s: %s" % (
                run.number, run.request["kind"], action.kind, action.instance, action.host,
                action.reason))  # fmt: skip
            self.world.demand(bool(action.reason), "reason", "an action without one: %s" % action)
        self.on_plan(run, plan)

    def changed_since(self, revision: int) -> list[str]:
        return [name for name, at in self.world.changed_at.items() if at > revision]

    def keep_seen(self, observations: Mapping[str, Any], revision: int) -> None:
        for name, entry in observations.items():
            if entry["answer"] != "not asked":
                self._seen[name] = (entry, revision)

    def last_seen(self) -> dict[str, Any]:
        """As in `controller.calls` for a request without fresh observations."""
        world, found = self.world, {}
        for name, (entry, revision) in self._seen.items():
            if (world.state["hosts"].get(name) or {}).get("state") in (DOWN, SUSPECT):
                continue
            found.update(corrections.correct(world.site, world.state, {name: entry}, self.changed_since(revision)))
        return found


def _short(changes: Mapping[str, Any]) -> str:
    said = []
    for kind, records in changes.items():
        for name, record in records.items():
            record = record or {}
            words = [str(record.get(key)) for key in ("state", "phase", "host", "epoch", "by") if record.get(key)]
            said.append("%s/%s: %s" % (kind, name, " ".join(words) or "-"))
    return "; ".join(said)
