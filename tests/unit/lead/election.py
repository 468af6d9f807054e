# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitors that want to lead, in simulated time: they stand still, their questions and answers get lost or arrive late,
the store is away, clocks run at different rates.

The store ends a lease as early as it may: exactly its length after it took the last question that kept it.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from monitor.core.model.place import Sitting
from monitor.judge.leading import Leading, step

LENGTH = 2.0  # s
FAULTS_UNTIL = 60.0
LAST_FAULT_OVER = FAULTS_UNTIL + 6.0
END = 80.0


@dataclass
class Store:
    """What etcd does with the key and the leases."""

    leases: dict[int, float] = field(default_factory=dict)  # -> when it ends
    lead: tuple[str, int, int] | None = None  # name, lease, term
    revision: int = 0
    away: float = 0.0  # until
    terms: list[int] = field(default_factory=list)

    def expire(self, now: float) -> None:
        for lease in [lease for lease, until in self.leases.items() if until <= now]:
            del self.leases[lease]
        if self.lead and self.lead[1] not in self.leases:
            self.lead = None

    def grant(self, now: float) -> int:
        self.revision += 1
        self.leases[self.revision] = now + LENGTH
        return self.revision

    def keep(self, lease: int, now: float) -> float:
        if lease not in self.leases:
            return 0.0
        self.leases[lease] = now + LENGTH
        return LENGTH

    def sit(self, name: str, lease: int, now: float) -> Sitting:
        if lease not in self.leases:
            raise LookupError("requested lease not found")
        if self.lead is None:
            self.revision += 1
            self.lead = (name, lease, self.revision)
            self.terms.append(self.revision)
        holder, held, term = self.lead
        return Sitting(holder, term, now, held == lease)


class Monitor:
    def __init__(self, name: str, world: World, rate: float) -> None:
        self.name, self.world, self.rate = name, world, rate
        self.leading = world.kind(name, LENGTH)
        self.lease = 0
        self.frozen = 0.0  # until
        self.round: Generator[str, Any, float] | None = None
        self.waits_for = 0  # the question that it waits for

    def clock(self) -> float:
        return self.world.now * self.rate

    def leads(self) -> bool:
        return self.leading.leads(self.clock())

    def begin(self) -> None:
        self.round = step(bool(self.lease), self.clock, lambda apply: apply(self.leading))
        self.go_on(None)

    def go_on(self, answer: Any) -> None:
        assert self.round is not None
        try:
            verb = self.round.send(answer)
        except StopIteration as over:
            self.world.later(over.value / self.rate, self, self.begin)
            return
        if verb == "drop":
            self.lease = 0
            self.go_on(None)
        else:
            self.world.ask(self, verb)

    def failed(self) -> None:
        self.waits_for = 0
        self.leading.failed("no answer")
        self.world.later(LENGTH / 8, self, self.begin)


class World:
    """One history. `both` counts moments at which two led, `overtaken` commits of one that was overtaken."""

    def __init__(self, seed: int, kind: Callable[[str, float], Leading] = Leading, rates: float = 0.001) -> None:
        self.chance, self.kind, self.now = random.Random(seed), kind, 0.0
        self.store = Store()
        self.both = self.overtaken = self.commits = 0
        self.nobody_until = 0.0  # the last moment at which nobody led
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count(1)
        self.monitors = [Monitor("c%d" % n, self, 1 + self.chance.uniform(-rates, rates)) for n in range(3)]
        for monitor in self.monitors:
            self.later(self.chance.uniform(0, 1), monitor, monitor.begin)
            self.at(self.chance.uniform(0, 1), lambda monitor=monitor: self.work(monitor))  # type: ignore[misc]
        self.at(3.0, self.fault)

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._count), what))

    def later(self, pause: float, monitor: Monitor, what: Callable[[], None]) -> None:
        """Have a monitor do something; one that stands still does it when it goes on."""

        def done() -> None:
            if monitor.frozen > self.now:
                self.at(monitor.frozen, done)
            else:
                what()

        self.at(self.now + pause, done)

    def run(self) -> World:
        while self._queue and self._queue[0][0] < END:
            self.now, _unused, what = heapq.heappop(self._queue)
            self.store.expire(self.now)
            what()
            leaders = [m for m in self.monitors if m.frozen <= self.now and m.leads()]
            self.both += len(leaders) > 1
            self.nobody_until = self.nobody_until if leaders else self.now
        return self

    def delay(self) -> float:
        return self.chance.choice((0.002, 0.01, 0.05, self.chance.uniform(0, 2 * LENGTH)))

    def loses(self) -> bool:
        return self.now < FAULTS_UNTIL and self.chance.random() < 0.1

    def ask(self, monitor: Monitor, verb: str) -> None:
        number = monitor.waits_for = next(self._count)
        lease = monitor.lease

        def arrives() -> None:
            if self.store.away > self.now:
                return
            try:
                answer: Any = self.answer(verb, monitor.name, lease)
            except LookupError:
                return
            if not self.loses():
                self.later(self.delay() if self.now < FAULTS_UNTIL else 0.01, monitor, lambda: taken(answer))

        def taken(answer: Any) -> None:
            if monitor.waits_for == number:
                monitor.waits_for = 0
                if verb == "grant":
                    monitor.lease, answer = answer, LENGTH
                monitor.go_on(answer)

        if not self.loses():
            self.at(self.now + (self.delay() if self.now < FAULTS_UNTIL else 0.01), arrives)
        self.later(LENGTH / 2, monitor, lambda: monitor.failed() if monitor.waits_for == number else None)

    def answer(self, verb: str, name: str, lease: int) -> Any:
        if verb == "grant":
            return self.store.grant(self.now)
        return self.store.keep(lease, self.now) if verb == "keep" else self.store.sit(name, lease, self.now)

    def work(self, monitor: Monitor) -> None:
        """One that leads commits something now and then; the transaction compares the term."""
        if monitor.leads() and monitor.frozen <= self.now:
            term = monitor.leading.sitting.term

            def commit() -> None:
                self.commits += 1
                counts = self.store.lead is not None and self.store.lead[2] == term
                self.overtaken += not counts

            self.at(self.now + self.delay(), commit)
        self.later(self.chance.uniform(0.05, 0.3), monitor, lambda: self.work(monitor))

    def fault(self) -> None:
        if self.now > FAULTS_UNTIL:
            return
        long = self.chance.choice((0.3, 1.0, 2.5, 6.0))
        if self.chance.random() < 0.3:
            self.store.away = self.now + long
        else:
            self.chance.choice(self.monitors).frozen = self.now + long
        self.at(self.now + self.chance.uniform(1, 8), self.fault)
