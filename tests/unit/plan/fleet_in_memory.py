# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that exists only in memory, for properties of the decision core over long random histories.

Hosts keep the contract of the agent (a fresh look, no lower epoch, a stop confirmed by what still lives), the ledger
that of `controller.ledger` (a commit names the revision it was planned over), and a run is cut into the steps between
which others may act: observe, plan and commit, deliver to one host, commit the outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from monitor.core.controller import run_process
from monitor.core.model.records import Claim, apply_changes
from monitor.core.model.sequence import application_of, expected_programs
from monitor.core.model.site import Site
from monitor.core.plan import plan as planner
from monitor.core.plan.act_requests import act_requests
from monitor.core.plan.outcome import settle
from tests.small_site import SITE_ID, small_state


@dataclass
class Copy:
    """An instance living on a host."""

    epoch: int
    programs: list[str]
    digest: str = ""
    deferred: list[str] = field(default_factory=list)
    by_hand: bool = False  # started outside muster


def _given(claim: dict[str, Any]) -> int:
    return max(claim["epoch"], claim.get("highest", 0))


@dataclass
class FleetHost:
    name: str
    on: bool = True
    reachable: bool = True
    manager: bool = True
    powered: int = 1  # times it was switched on
    boots: int = 1  # starts of its service manager
    copies: dict[str, Copy] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    common_bus: bool = True

    @property
    def boot(self) -> str:
        return f"boot{self.powered}"

    def die(self) -> None:
        """All processes end, as with a reboot or a killed service manager; files stay."""
        self.copies.clear()

    def observe(self) -> dict[str, Any]:
        if not (self.on and self.reachable):
            return {"host": self.name, "answer": "unreachable", "why": f"{self.name} does not answer on port 22"}
        instances = {}
        for name in sorted(set(self.copies) | set(self.claims)):
            copy = self.copies.get(name)
            instances[name] = {
                "epoch": copy.epoch if copy else None,
                "epochs": [copy.epoch] if copy else [],
                "claim": self.claims.get(name),
                "digest": copy.digest if copy else "",
                "last_epoch": self.last.get(name, 0),
                "programs": {p: {"pid": 1} for p in copy.programs} if copy else {},
                "deferred": list(copy.deferred) if copy else [],
                "failed": {},
                "cpu": 0.0,
                "memory": 0.0,
            }
        return {
            "host": self.name, "answer": "seen", "why": "", "prepared": True, "site_id": SITE_ID,
            "controller": "controller", "incarnation": f"{self.boot}/{self.boots}" if self.manager else None,
            "service_manager": "running" if self.manager else "stopped", "config": "", "drift": [], "foreign": [],
            "instances": instances, "services": {"common_data_bus": {"pid": 2}} if self.common_bus else {},
            "load": {"cpu": 0.0, "boot": self.boot},
        }  # fmt: skip


class DoubleStart(AssertionError):
    """muster started an instance while another copy that it had started was alive elsewhere."""


@dataclass
class Run:
    """One playbook run, step by step."""

    number: int
    request: dict[str, Any]
    steps: Iterator[None]
    done: bool = False


@dataclass
class Delivery:
    """An act request on its way; it arrives before its host's deadline or not at all."""

    run: int
    host: str
    request: dict[str, Any]
    until: float
    answers: dict[str, Any]


class World:
    """Hosts, ledger, clock and the runs under way."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.now = 1_700_000_000.0
        self.state: dict[str, Any] = small_state()
        self.revision = 1
        self.changed_at: dict[str, int] = {}
        self.hosts = {host.name: FleetHost(host.name) for host in site.hosts}
        self.runs: list[Run] = []
        self.on_the_way: list[Delivery] = []
        self.fails: set[str] = set()
        self.stubborn: set[str] = set()
        self.dies: set[str] = set()  # these start, and end at once
        self.started: dict[str, int] = {}  # highest epoch ever started
        self.starts: list[tuple[str, str]] = []
        self.asked = 0
        self.plans: list[dict[str, Any]] = []
        self.digests: dict[str, str] = {}
        self.dead_runs: set[str] = set()  # runs whose process is seen to be gone

    # --- hosts

    def act(self, host: FleetHost, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("revive") and not host.manager:
            host.manager, host.boots = True, host.boots + 1
        host.common_bus = host.common_bus or bool(request.get("revive"))
        results = {entry["instance"]: self._one(host, entry, request) for entry in request["instances"]}
        return {"changed": True, "results": results}

    def _one(self, host: FleetHost, entry: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        name, epoch, do = entry["instance"], entry["epoch"], entry["do"]
        if do != "stop" and request.get("boot", host.boot) != host.boot:
            return {"result": "refused", "reason": f"{host.name} was booted after the run had looked at it"}
        if epoch < host.last.get(name, 0):
            return {"result": "refused", "reason": f"{host.name} has seen epoch {host.last[name]} of {name}"}
        if do == "stop":
            host.last[name] = epoch
            if name in self.stubborn and name in host.copies:
                return {"result": "failed", "reason": f"{name} does not end"}
            host.copies.pop(name, None)
            host.claims.pop(name, None)
            return {"result": "stopped"}
        if not host.manager:
            if not request["start_service_manager"]:
                return {"result": "refused", "reason": f"the service manager of {host.name} does not run"}
            host.manager, host.boots = True, host.boots + 1
        copy = host.copies.get(name)
        application = application_of(self.site, name)
        if do in ("continue", "repair"):
            if copy is None or copy.epoch != epoch:
                return {"result": "refused", "reason": f"{name} does not run under epoch {epoch}"}
            copy.programs = sorted(set(copy.programs) | set(entry["only"]) & set(expected_programs(application)))
            copy.deferred = [] if do == "continue" else copy.deferred
            return {"result": "running", "deferred": copy.deferred, "failed": {}, "started": []}
        host.last[name] = epoch
        self._starts(host, name, epoch)
        programs, deferred = list(expected_programs(application)), []
        if not host.common_bus and "common_bus_interface" in programs:
            programs.remove("common_bus_interface")
            deferred = ["check_common_data_bus", "common_bus_interface"]
        host.claims[name] = epoch
        if name in self.fails:
            host.copies.pop(name, None)
            if entry["starting_failure_strategy"] == "stop":
                host.claims.pop(name, None)
                return {"result": "failed", "reason": f"{name} exited 3", "started": []}
            host.copies[name] = Copy(epoch, programs[:1], entry["digest"])
            return {"result": "failed", "reason": f"{name} exited 3", "started": programs[:1]}
        if name not in self.dies:
            host.copies[name] = Copy(epoch, programs, entry["digest"], deferred)
        return {"result": "running", "deferred": deferred, "failed": {}, "started": programs}

    def _starts(self, host: FleetHost, name: str, epoch: int) -> None:
        for other in self.hosts.values():
            if other is not host and name in other.copies and not other.copies[name].by_hand:
                raise DoubleStart(f"{name} starts on {host.name} while it lives on {other.name}")
        assert epoch > self.started.get(name, 0), f"{name} starts again under epoch {epoch}"
        self.started[name] = epoch
        self.starts.append((name, host.name))

    # --- ledger

    def commit(self, revision: int, changes: dict[str, Any]) -> bool:
        if revision != self.revision:
            return False
        before, reserved = self.state["claims"], self._reserved()
        self.state = apply_changes(self.state, changes)
        self.revision += 1
        for name in changes.get("claims") or {}:
            self.changed_at[name] = self.revision
            after = self.state["claims"].get(name)
            if name in before and after is not None:
                assert _given(after) >= _given(before[name]), f"the epoch of {name} went back"
        self._limits(reserved)
        return True

    def _reserved(self) -> dict[str, dict[str, int]]:
        held: dict[str, dict[str, int]] = {}
        for name, record in self.state["claims"].items():
            claim = Claim.from_json(record)
            for host in {claim.host, claim.target} if claim.holds else ():
                if host:
                    held.setdefault(host, {})[name] = application_of(self.site, name).loading
        return held

    def _limits(self, before: dict[str, dict[str, int]]) -> None:
        """No commit takes a host beyond its limit, unless it only notes a copy that a person made outside muster."""
        for host, held in self._reserved().items():
            new = set(held) - set(before.get(host, {}))
            noted = {n for n in new if self.state["claims"][n]["phase"] == "stopping"
                     and self.state["claims"][n]["host"] == host}  # fmt: skip
            assert new == noted or sum(held.values()) <= self.site.host(host).load_limit, f"{host} holds {held}"

    def paused_items(self) -> set[str]:
        """The items that are paused now."""
        until = {key: p["until"] for key, p in self.state["pauses"].items() if not p["until"] or p["until"] > self.now}
        items = {item.id for item in self.site.items}
        return items if "site" in until else {item for item in items if f"item/{item}" in until}

    # --- runs

    def begin(self, kind: str, **more: Any) -> Run:
        self.asked += 1
        number = self.asked
        request = {"kind": kind, "who": "eve", "from": "controller", "why": "a test", **more}
        run = Run(number, request, iter(()))
        run.steps = self._steps(run)
        self.runs.append(run)
        return run

    def step(self, run: Run) -> None:
        try:
            next(run.steps)
        except StopIteration:
            run.done = True
            self.runs.remove(run)

    def finish(self, run: Run) -> None:
        while not run.done:
            self.step(run)

    def cut(self, run: Run) -> None:
        """Ctrl-C: requests that were sent arrive, nothing more is committed."""
        self.runs.remove(run)
        run.done = True
        self.dead_runs.add(str(run.number))

    def _observe(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["kind"] == "intents":
            return {}
        limit = request.get("limit") or list(self.hosts)
        return {name: host.observe() for name, host in self.hosts.items() if name in limit}

    def _steps(self, run: Run) -> Iterator[None]:
        observations, looked = self._observe(run.request), self.revision
        yield
        while True:
            plan = planner.make_plan(
                self.site, run_process.without_gone(self.state, self.dead_runs.__contains__), self.revision,
                self._not_overtaken(observations, looked), run.request, self.now, str(run.number), self.digests,
                process=str(run.number),
            )  # fmt: skip
            revision, paused = self.revision, self.paused_items()
            if run.request.get("slow_commit"):
                yield
            if self.commit(revision, plan.changes):
                break
        self.plans.append({**plan.to_json(), "paused": paused, "asked": run.request, "after": self.state})
        phases = plan.phases
        answers: dict[str, Any] = {}
        for phase in range(1, phases + 1):
            if phase > 1:
                changes, _ = settle(self.site, self.state, plan, answers, self.now)
                self.commit(self.revision, changes)
            yield
            requests = act_requests(self.site, self.state, plan, phase, self.digests)
            sent = [
                Delivery(run.number, host, request.to_json(), request.expires, answers)
                for host, request in requests.items()
            ]
            self.on_the_way.extend(sent)
            while any(delivery in self.on_the_way for delivery in sent):
                yield
                for delivery in sent:
                    if delivery in self.on_the_way:
                        self.deliver(delivery)
                        break
        yield
        changes, _ = settle(self.site, self.state, plan, answers, self.now, final=True)
        self.commit(self.revision, changes)

    def _not_overtaken(self, observations: dict[str, Any], looked: int) -> dict[str, Any]:
        fresh = dict(observations)
        for name, revision in self.changed_at.items():
            if revision > looked:
                claim = self.state["claims"].get(name) or {}
                for host in (claim.get("host"), claim.get("target")):
                    if host in fresh:
                        fresh[host] = {"host": host, "answer": "not asked", "why": "another run was there"}
        return fresh

    def deliver(self, delivery: Delivery, answer_lost: bool = False) -> None:
        self.on_the_way.remove(delivery)
        host = self.hosts[delivery.host]
        if not (host.on and host.reachable) or self.now > delivery.until:
            delivery.answers[host.name] = {"unreachable": f"{host.name} did not answer"}
            return
        answer = self.act(host, delivery.request)
        if answer_lost:
            delivery.answers[host.name] = {"unreachable": f"the connection to {host.name} was lost"}
            return
        before = delivery.answers.setdefault(host.name, {})
        before.setdefault("results", {}).update(answer["results"])
