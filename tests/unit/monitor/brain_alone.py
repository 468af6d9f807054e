# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor's brain with nothing around it: what it sees is set by a test, what it wants done is noted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.judge.brain import Brain
from monitor.judge.health import Health, Kind
from monitor.judge.hosts import Signal
from monitor.judge.intents import Intents
from monitor.judge.schedule import Schedule
from monitor.judge.wishes import BusKey, ServiceKey
from monitor.watch.watch_list import Host, Instance, Watch
from tests.unit.monitor.watch_lists import health, watch

WALL = 1_700_000_000.0
NAMES = ("server_1", "server_2", "server_3", "console_1", "console_2")
PROGRAMS = {"scen2_srv": {"data_processing": "restart_process", "common_bus_interface": "continue"}}
Result_ = dict[str, Any]


def seen(*instances: Instance, **more: Any) -> Watch:
    more.setdefault("hosts", dict.fromkeys(NAMES, "up"))
    by = more.pop("by", "")
    machines = {name: Host(name, by=by) for name in NAMES}
    return watch(*instances, machines=machines, programs=PROGRAMS, observe_interval=0.0, host_down_after=2.0, **more)


class Scene:
    """A brain whose hands note what they are to do."""

    def __init__(self, *instances: Instance, lines: bool = True, **more: Any) -> None:
        self.orders: list[tuple[str, Mapping[str, Any]]] = []
        self.reconciles: list[tuple[str, list[str]]] = []
        self.said: list[tuple[str, str]] = []
        self.parked = self.can_reconcile = True
        self.buses: dict[BusKey, Health] = {}
        self.services: dict[ServiceKey, Health] = {}
        self.brain = Brain(self, self.buses, self.services, Intents("t"), Schedule(0.0))
        self.show(*instances, **more)
        for name in NAMES if lines else ():
            self.brain.line_changed(name, Signal.FINE, "", 0.0)

    def show(self, *instances: Instance, now: float = 0.0, **more: Any) -> None:
        self.brain.take_watch(seen(*instances, **more), now)

    def turn(self, now: float) -> None:
        self.brain.turn(now, WALL + now)

    def lose(self, at: float, *names: str) -> None:
        for name in names:
            self.brain.line_changed(name, Signal.LOST, "%s is silent" % name, at)

    def is_lost(self, at: float, host: str, instance: str, epoch: int = 1) -> None:
        """Its line and its bus fall silent; it had answered until then."""
        self.brain.line_changed(host, Signal.FINE, "", at)
        self.lose(at, host)
        self.buses[instance, epoch] = health(Kind.UNREACHABLE, at)

    @property
    def intents(self) -> list[Mapping[str, Any]]:
        return [intent for _run, order in self.orders for intent in order.get("intents", ())]

    # The hands.

    def send(self, order: Mapping[str, Any]) -> str | None:
        if not self.parked:
            return None
        self.orders.append(("run-%d" % (len(self.orders) + 1), order))
        return self.orders[-1][0]

    def reconcile(self, why: str, leave_out: list[str]) -> bool:
        self.reconciles.append((why, leave_out))
        return self.can_reconcile

    def say(self, event: str, why: str = "", **facts: Any) -> None:
        self.said.append((event, why))


def planned(**more: Any) -> Result_:
    plan = {"run": "7", "actions": [], "intents": [], "waits": {}, **more.pop("plan", {})}
    return {"plan": plan, "results": {}, **more}
