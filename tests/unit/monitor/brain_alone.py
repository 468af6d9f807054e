# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor's brain alone: a test sets its input and reads the effects that it returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from monitor.judge.brain import Brain
from monitor.judge.effects import Answer, BusEnded, Effect, Look, Note, Question, Reconcile, Send
from monitor.judge.health import Health, Kind, Result
from monitor.judge.hosts import Signal
from monitor.judge.intents import Intents
from monitor.judge.schedule import Schedule
from monitor.judge.watch_list import Watch, WatchedHost, WatchedInstance
from monitor.judge.wishes import BusKey, ServiceKey
from tests.unit.monitor.watch_lists import health, watch

WALL = 1_700_000_000.0
NAMES = ("server_1", "server_2", "server_3", "console_1", "console_2")
PROGRAMS = {"scen2_srv": {"data_processing": "restart_process", "common_bus_interface": "continue"}}
Result_ = dict[str, Any]


def seen(*instances: WatchedInstance, **more: Any) -> Watch:
    more.setdefault("hosts", dict.fromkeys(NAMES, "up"))
    by = more.pop("by", "")
    machines = {name: WatchedHost(name, by=by) for name in NAMES}
    return watch(*instances, machines=machines, programs=PROGRAMS, observe_interval=0.0, host_down_after=2.0, **more)


class Scene:
    """Records effects instead of carrying them out; `parked` and `can_reconcile` say whether a run can be started."""

    def __init__(self, *instances: WatchedInstance, lines: bool = True, **more: Any) -> None:
        self.orders: list[tuple[str, Mapping[str, Any]]] = []
        self.reconciles: list[tuple[str, list[str]]] = []
        self.said: list[tuple[str, str]] = []
        self.answers: list[tuple[Any, Mapping[str, Any]]] = []  # waiter, content
        self.parked = self.can_reconcile = True
        self.looks: list[tuple[str, list[str]]] = []
        self.answering = True  # whether a host whose line is fine answers when it is asked
        self.now = 0.0
        self.buses: dict[BusKey, Health] = {}
        self.services: dict[ServiceKey, Health] = {}
        self.brain = Brain(self.buses, self.services, Intents("t"), Schedule(0.0))
        self.show(*instances, **more)
        for name in NAMES if lines else ():
            self.line(name, Signal.FINE, 0.0)

    def show(self, *instances: WatchedInstance, now: float = 0.0, **more: Any) -> None:
        self.do(self.brain.take_watch(seen(*instances, **more), now))

    def turn(self, now: float) -> None:
        self.now = now
        self.do(self.brain.turn(now, WALL + now))
        self.do(self.brain.reconcile_due(now, WALL + now))

    def line(self, name: str, signal: Signal, at: float, why: str = "") -> None:
        self.do(self.brain.line_changed(name, signal, why, at))

    def run_over(self, run: str, result: Result_, now: float, why: str = "") -> None:
        self.do(self.brain.run_over(run, result, why, now))

    def reconcile_over(self, result: Result_, began: float) -> None:
        self.do(self.brain.reconcile_over(result, began))

    def ask(self, request: Result_, waiter: Any = None) -> None:
        self.do(self.brain.ask(request, waiter))

    def lose(self, at: float, *names: str) -> None:
        for name in names:
            self.line(name, Signal.LOST, at, "%s is silent" % name)

    def heard(self, at: float, instance: str, epoch: int = 1) -> None:
        """Let a bus answer, and the brain notice it."""
        known = self.buses[instance, epoch] = health()
        known.note(Result(Kind.ANSWERED, at, latency=0.001))
        self.turn(at)

    def is_lost(self, at: float, host: str, instance: str, epoch: int = 1) -> None:
        """Make line and bus of a host fall silent; the host had answered until then."""
        self.line(host, Signal.FINE, at)
        self.heard(at, instance, epoch)
        self.lose(at, host)
        self.buses[instance, epoch] = health(Kind.UNREACHABLE, at)

    @property
    def intents(self) -> list[Mapping[str, Any]]:
        return [intent for _run, order in self.orders for intent in order.get("intents", ())]

    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Note(event, why, _unused):
                    self.said.append((event, why))
                case Send(order) if self.parked:
                    run = "run-%d" % (len(self.orders) + 1)
                    self.orders.append((run, order))
                    self.do(self.brain.sent(effect, run))
                case Reconcile(why, leave_out):
                    self.reconciles.append((why, list(leave_out)))
                    self.do(self.brain.reconcile_begun(effect, self.can_reconcile))
                case Look(why, leave_out):
                    self.looks.append((why, list(leave_out)))
                    self.do(self.brain.reconcile_begun(effect, self.can_reconcile))
                case Question(host) if self.answering:
                    self.line(host, Signal.FINE, self.now)
                    self.turn(self.now)
                case Answer(waiter, content):
                    self.answers.append((waiter, content))
                case BusEnded(instance, epoch, why):
                    known = self.buses[instance, epoch]
                    if known.ended(why):
                        self.do(self.brain.health_changed((instance, epoch), known, known.since))


def planned(**more: Any) -> Result_:
    plan = {"run": "7", "actions": [], "intents": [], "waits": {}, **more.pop("plan", {})}
    return {"plan": plan, "results": {}, **more}
