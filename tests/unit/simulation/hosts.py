# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clock and hosts of the simulation: what there is, without what must hold of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.unit.plan.fleet_in_memory import Copy, FleetHost

BUS = "internal_data_bus"


class Broken(AssertionError):
    """A rule that always holds did not."""


class Clock:
    """Things that happen later, in order; what is due at the same moment happens in the order it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay: float, do: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay, self._count, do))

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _unused, do = heapq.heappop(self._queue)
            do()
        self.now = until


@dataclass
class SimCopy(Copy):
    at: float = 0.0  # when it was started
    hung: bool = False  # its bus answers nothing
    slow: float = 0.0  # the share of its bus's answers that come too late


@dataclass
class SimHost(FleetHost):
    frozen: str = ""  # "takes connections": processes are stopped; "silent": the whole machine is
    sshd: bool = True  # whether runs get there; lines and probes go other ways
    ended: dict[str, int] = field(default_factory=dict)  # instances the host stopped with their bus -> epoch
    locks: set[str] = field(default_factory=set)  # instances that an act is working on
    waiting: list[Callable[[], None]] = field(default_factory=list)  # until it is thawed
    lost_at: float = -1e9  # when it was last lost from view
    back_at: float = -1e9
    managed_at: float = -1e9  # when a run started its service manager
    down_at: float = -1e9  # when the ledger last noted it down

    @property
    def lost(self) -> bool:
        """Whether the host is out of sight for monitor and runs."""
        return not self.on or not self.reachable or bool(self.frozen)

    def die(self) -> None:
        super().die()
        for name in [n for n in self.ended if n not in self.claims]:
            del self.ended[name]

    def observe(self) -> dict[str, Any]:
        if self.frozen or not self.sshd:
            return {"host": self.name, "answer": "unreachable", "why": f"{self.name} does not answer in time"}
        if not self.reachable:
            return super().observe()
        return self.seen()

    def deferred(self, name: str) -> list[str]:
        return list(self.copies[name].deferred) if name in self.copies else []

    def seen(self) -> dict[str, Any]:
        """What it would show to somebody on it."""
        reachable, self.reachable = self.reachable, True
        seen = super().observe()
        self.reachable = reachable
        for name in self.locks & set(seen.get("instances", {})):
            seen["instances"][name]["busy"] = True
        for name, epoch in self.ended.items():
            shown = seen.get("instances", {}).get(name)
            if shown is not None and shown["claim"] == epoch and not shown["programs"]:
                shown["ended"] = {"program": BUS, "epoch": epoch}
        return seen


class Locked(Exception):
    """Another process holds the ledger."""
