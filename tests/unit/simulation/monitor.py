# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor in the simulation: the real brain and prober, with the loop around them, its probes and lines replaced.

It carries out the brain's effects as `monitor.loop` does, in simulated time. Killing one loses all it knows; what it
started goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from monitor.judge.brain import Brain
from monitor.judge.effects import Answer, BusEnded, Effect, Fence, Look, Note, Question, Reconcile, Send, Wake
from monitor.judge.health import Health, Kind, Result
from monitor.judge.hosts import Signal
from monitor.judge.intents import Intents
from monitor.judge.schedule import Schedule, variables
from monitor.judge.target import Target
from monitor.judge.watch_list import Watch
from monitor.watch.prober import Key, Prober
from monitor.watch.probes import Report
from tests.unit.simulation.runs import Run, Runs

LOOK_AGAIN = 2.0
WARM = (0.6, 1.5)  # s until a standby is parked
SUCCESSOR = 2.0


class SimProbe:
    """Asks one bus at its interval, and notices the end of a bus it is connected to, as `monitor.watch.probes` do."""

    def __init__(self, monitor: Monitor, name: str, target: Target, report: Report) -> None:
        self._monitor, self._world = monitor, monitor.world
        self.name, self.host = name.split()[0], monitor.by_address[target.address]
        self._target, self._report = target, report
        self._good = False
        self._told = 0.0
        self._asking = False
        self._alive = False

    def start(self) -> None:
        self._alive = True
        self._told = self._world.t
        self._monitor.probes.append(self)
        self._world.after(0.002, self._turn)

    def stop(self) -> None:
        self._alive = False
        if self in self._monitor.probes:
            self._monitor.probes.remove(self)

    def nudge(self) -> None:
        self._world.after(0.001, self._look)

    def ended(self) -> None:
        """The process at the other end is gone, and the machine says so."""
        self._world.after(0.001, self._look)

    def _turn(self) -> None:
        if self._alive and self._monitor.alive:
            self._look()
            self._world.after(self._target.interval * self._world.rng.uniform(0.99, 1.01), self._turn)

    def _look(self) -> None:
        if not self._alive or self._asking:
            return
        shown = self._world.bus(self.host, self.name)
        if shown == "answers":
            self._good = True
            self._emit(Kind.ANSWERED, latency=0.001)
        elif shown == "dead":
            if self._good:
                self._good = False
                self._told = self._world.t
                self._emit(Kind.GONE, "its connection ended and nothing listens any more")
            elif self._world.t - self._told >= 1.0:
                self._told = self._world.t
                self._emit(Kind.REFUSED, "nothing listens")
        else:
            self._asking = True
            self._world.after(self._target.timeout, self._too_late)

    def _too_late(self) -> None:
        self._asking = False
        if not self._alive:
            return
        shown = self._world.bus(self.host, self.name)
        if shown in ("hangs", "late", "answers"):
            self._emit(Kind.MISSED, "it takes connections but did not answer")
        elif shown == "unreachable":
            self._good = False
            self._emit(Kind.UNREACHABLE, "it cannot be reached")
        else:
            self._look()

    def _emit(self, kind: Kind, why: str = "", latency: float = 0.0) -> None:
        if self._monitor.alive:
            self._report(Result(kind, self._world.t, why, latency))


class Monitor:
    """The loop around one brain."""

    def __init__(self, runs: Runs, number: int, watch: Callable[[], Watch], lines: bool, slow: float) -> None:
        self._runs, self.world, self._slow = runs, runs.world, slow
        self.number, self._published, self._lines = number, watch, lines
        self.alive = True
        self.by_address = {host.address: host.name for host in self.world.site.hosts}
        self.probes: list[SimProbe] = []
        self.prober = Prober(self.health_changed, self.complain, lambda *asked: SimProbe(self, *asked))
        intents = Intents("m%d" % number)
        self.brain = Brain(self.prober.buses, self.prober.services, intents, Schedule(self.world.t))
        self._watch = self._seen = Watch()
        self._woken = False
        self._turns = 0
        self._parked_at = self.world.t + self._warm()
        self.no_standby = False
        self._left_out: list[str] = []
        self._silent: dict[str, int] = {}
        self.reconcile_run: Run | None = None
        self.world.heirs.append(self._program_ended)
        self.world.tell("monitor %d begins" % number)
        self.wake()
        for name in self.world.hosts if lines else ():
            self.world.after(self.world.rng.uniform(0, 0.3), lambda name=name: self._line(name))  # type: ignore[misc]

    def kill(self) -> None:
        self.world.tell("monitor %d is killed" % self.number)
        self.alive = False
        self.world.heirs.remove(self._program_ended)

    def _warm(self) -> float:
        return self._slow * self.world.rng.uniform(*WARM)

    # The loop.

    def wake(self, delay: float = 0.0) -> None:
        if not self._woken:
            self._woken = True
            self.world.after(delay, self._turn)

    def observe(self) -> None:
        published = self._published()
        gone = published.acting & self.world.dead_runs
        if published is self._seen and gone == self._watch.gone:
            return
        self._seen = published
        self._watch = watch = dataclasses.replace(published, gone=frozenset(gone))
        self.prober.follow(watch, self.world.t)
        self.do(self.brain.take_watch(watch, self.world.t))
        if self._left_out != self.brain.left_out():
            self._left_out = self.brain.left_out()
            self._parked_at = max(self._parked_at, self.world.t + self._warm())

    def _turn(self) -> None:
        if not self.alive:
            return
        self._woken = False
        self.observe()
        now = self.world.t
        self.do(self.brain.turn(now, self.world.wall))
        self.do(self.brain.reconcile_due(now, self.world.wall))
        until = min(now + LOOK_AGAIN, self.brain.next_time(now) or now + LOOK_AGAIN)
        self._turns += 1
        turn = self._turns

        def again() -> None:
            if turn == self._turns:
                self.wake()

        self.world.after(until - now, again)

    def do(self, effects: Iterable[Effect]) -> None:
        """Carry out what the brain decided."""
        for effect in effects:
            match effect:
                case Note(event, why, facts):
                    self.world.tell("monitor %d: %s: %s %s" % (self.number, event, why, facts or ""))
                case Send(order):
                    run = self._send(order)
                    if run is not None:
                        self.do(self.brain.sent(effect, run))
                case Reconcile(why, leave_out):
                    self.do(self.brain.reconcile_begun(effect, self._reconcile(why, list(leave_out))))
                case Look(why, leave_out):
                    self.do(self.brain.reconcile_begun(effect, True))
                    self._look(why, list(leave_out))
                case Answer(waiter, content):
                    waiter(content)
                case Question(host):
                    self.world.after(0.002, lambda host=host: self._asked(host))  # type: ignore[misc]
                case BusEnded(instance, epoch, why):
                    self.prober.ended((instance, epoch), why)
                case Wake():
                    self.wake()
                case Fence():
                    if self.world.leases is not None:
                        self.world.leases.do(effect, self._fenced)

    def _fenced(self, host: str, sentence: str) -> None:
        if self.alive:
            self.do([*self.brain.fencing.told(host, sentence), Wake()])

    def _send(self, order: Mapping[str, Any]) -> str | None:
        world = self.world
        if "intents" in order:
            seen = self.brain.verdicts
            served = [i["instance"] in self._watch.instances and seen[self._watch.instances[i["instance"]].host].answers
                      for i in order["intents"]]  # fmt: skip
            about = "intents were sent in a storm about hosts that are silent: %s" % order
            world.demand(not self.brain.hosts.storm or all(served), "storm", about)
        if self.no_standby or world.t < self._parked_at:
            self.world.after(max(0.0, self._parked_at - world.t) + 0.01, self.wake)
            return None
        self._parked_at = world.t + SUCCESSOR + self._warm()
        request: dict[str, Any] = {"who": "monitor", "from": "controller", "kind": "intents", **order}
        request.update(request.pop("request", {}))
        name = "standby-%d-%d" % (self.number, world.asked + len(self._runs.under_way))
        name = "%s-%d" % (name, int(world.t * 1e6))

        def over(report: dict[str, Any], why: str) -> None:
            if self.alive:
                self._parked_at = min(self._parked_at, world.t + self._warm())
                self.observe()
                self.do(self.brain.run_over(name, report, why, world.t))

        self._runs.begin(request, over, whole=False, leave_out=self._left_out)
        return name

    def _reconcile(self, why: str, leave_out: list[str]) -> bool:
        self.world.demand(not self.brain.hosts.storm, "storm", "a reconcile began in a storm")
        began = self.world.t
        if self.no_standby and self.world.rng.random() < 0.5:
            return False  # no Ansible, a full disk
        self.world.tell("monitor %d reconciles: %s" % (self.number, why))
        self.world.reconciles.append(began)

        def over(report: dict[str, Any], _why: str) -> None:
            if self.alive:
                self.observe()
                self.do(self.brain.reconcile_over(report, began))

        due = variables(why, self._watch).get("muster_due", 0.0)
        request = {"kind": "reconcile", "who": "monitor", "from": "controller", "why": why, "due": due}
        self._runs.begin(request, over, leave_out=leave_out)
        return True

    def _look(self, why: str, leave_out: list[str]) -> None:
        """Over the lines, where each host answers on its own; the parked run plans."""
        def over(report: dict[str, Any], failed: str) -> None:
            if self.alive:
                self.observe()
                self.do(self.brain.look_over(report, failed or str(report.get("why") or "")))

        there = [host for name, host in self.world.hosts.items() if name not in leave_out]
        parked = not self.no_standby and self.world.t >= self._parked_at
        if not (self._lines and parked and all(host.manager and not host.lost for host in there)):
            self.world.after(0.1, lambda: over({}, "the lines do not show every host"))
            return
        self.world.looks += 1
        request = {"kind": "reconcile", "who": "monitor", "from": "controller", "why": why, "look": True}
        self._runs.begin(request, over, leave_out=leave_out)

    # What wakes it.

    def complain(self, why: str) -> None:
        raise AssertionError(why)

    def health_changed(self, key: Key, health: Health) -> None:
        now = self.world.t
        self.world.tell("monitor %d: %s %s is %s: %s" % (self.number, *key, health.state(now).value, health.why))
        self.observe()
        self.do(self.brain.health_changed(key, health, now))

    def _program_ended(self, host: str, instance: str, program: str) -> None:
        """The word of the host's service manager, mostly; a bus that ends also ends the probes' connections."""
        there = self.world.hosts[host]
        if there.lost:
            return
        for probe in list(self.probes):
            if (probe.host, probe.name) == (host, instance):
                probe.ended()
        if program and self._lines and self.world.rng.random() < 0.9:
            epoch = self._watch.instances[instance].epoch if instance in self._watch.instances else 0
            copy = there.copies.get(instance)
            if copy is not None:
                epoch = copy.epoch
            self.observe()
            self.do(self.brain.program_ended(instance, epoch, program, "was killed by a signal", self.world.wall))

    def _line(self, name: str) -> None:
        """The line held to a host's service manager."""
        if not self.alive:
            return
        host, interval = self.world.hosts[name], self._watch.host_interval
        if host.lost or not host.manager:
            gone = not host.lost
            self._silent[name] = 2 if gone else self._silent.get(name, 0) + 1
            what = "is gone" if gone else "does not answer within %g s" % interval
            signal = Signal.GONE if gone else Signal.LOST if self._silent[name] >= 2 else Signal.DOUBT
            self._line_changed(name, signal, "the service manager of %s %s" % (name, what))
            delay = 0.5 if gone else interval
        else:
            self._silent[name] = 0
            if self.world.helps is not None:
                self.world.helps.asked(host)
            self._line_changed(name, Signal.FINE, "")
            delay = interval
        self.world.after(delay, lambda: self._line(name))

    def _asked(self, name: str) -> None:
        host = self.world.hosts[name]
        if self.alive and self._lines and host.manager and not host.lost:
            self._line_changed(name, Signal.FINE, "")

    def _line_changed(self, name: str, signal: Signal, why: str) -> None:
        self.do(self.brain.line_changed(name, signal, why, self.world.t))
