# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes at work: one per bus and epoch, one per copy of a host service, one per link of a bus that runs.

A probe connects while the claim is `starting`, so that a crash right after the start is seen within milliseconds; its
results count from `running` on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ..base.histogram import ANSWERS, Histogram
from ..core.model.words import RUNNING
from ..judge.health import Composed, Health, Kind, Result
from ..judge.watch_list import PHASES_HELD, Target, Watch
from ..judge.wishes import BusKey, LinkKey, ServiceKey
from .probes import Asking, ProbeError, Report, make

Key = BusKey | ServiceKey | LinkKey
Make = Callable[[str, Target, Report], Asking]


class Prober:
    """`changed(key, health)` is called when a state changes, `complain(sentence)` for a probe that does not exist."""

    def __init__(
        self, changed: Callable[[Key, Health], None], complain: Callable[[str], None], make: Make = make
    ) -> None:
        self._changed = changed
        self._complain = complain
        self._make = make
        self._probes: dict[Key, tuple[Target, list[Asking]]] = {}
        self._counted: set[BusKey] = set()  # buses whose claim is `running`
        self.buses: dict[BusKey, Health] = {}
        self.services: dict[ServiceKey, Health] = {}
        self.links: dict[LinkKey, Health] = {}
        self.answers = Histogram(ANSWERS)  # how long they took

    def __len__(self) -> int:
        return len(self._probes)

    def follow(self, watch: Watch, now: float) -> None:
        """Start, end and replace probes, so that they are those of the watch list."""
        targets: dict[Key, Target] = {}
        running: set[BusKey] = set()
        for instance in watch.instances.values():
            if instance.target is not None and instance.phase in PHASES_HELD:
                bus = (instance.name, instance.epoch)
                targets[bus] = instance.target
                if instance.phase == RUNNING:
                    running.add(bus)
                    if instance.link is not None:
                        targets[*bus, "link"] = instance.link
        targets.update({copy: service.target for copy, service in watch.services.items()})
        for key, (target, _unused) in list(self._probes.items()):
            if targets.get(key) != target:
                self._end(key)
        for key, target in targets.items():
            if key not in self._probes:
                self._begin(key, target, now)
        for bus in sorted(running - self._counted):
            if bus in self.buses:
                self.buses[bus] = _fresh(targets[bus], now)
                for probe in self._probes[bus][1]:
                    probe.nudge()
        self._counted = running

    def stop(self) -> None:
        for key in list(self._probes):
            self._end(key)

    def _begin(self, key: Key, target: Target, now: float) -> None:
        name = "%s %s" % key[:2]
        try:
            leaves = enumerate(target.leaves())
            probes = [self._make(name, leaf, partial(self._note, key, part)) for part, leaf in leaves]
        except ProbeError as error:
            self._complain(str(error))
            return
        self._kind(key)[key] = _fresh(target, now)
        self._probes[key] = (target, probes)
        for probe in probes:
            probe.start()

    def _end(self, key: Key) -> None:
        for probe in self._probes.pop(key)[1]:
            probe.stop()
        self._kind(key).pop(key, None)
        counted: set[Any] = self._counted
        counted.discard(key)

    def _kind(self, key: Key) -> dict[Any, Health]:
        """The table that holds the health of this key."""
        if len(key) == 3:
            return self.links
        return self.buses if isinstance(key[1], int) else self.services

    def ended(self, bus: BusKey, why: str) -> None:
        """The host of a bus says that its program ended."""
        health = self._counting(bus)
        if health is not None and health.ended(why):
            self._changed(bus, health)

    def _note(self, key: Key, part: int, result: Result) -> None:
        if result.kind is Kind.ANSWERED:
            self.answers.note(result.latency)
        health = self._counting(key)
        if health is not None and health.note(result, part):
            self._changed(key, health)

    def _counting(self, key: Key) -> Health | None:
        """The health of this key; None where nothing counts for it: of a bus whose instance is not running yet."""
        kind = self._kind(key)
        return None if kind is self.buses and key not in self._counted else kind.get(key)


def _fresh(target: Target, now: float) -> Health:
    if target.probes:
        parts = [_fresh(part, now) for part in _with_grace(target)]
        return Composed(now, target.probe == "any_of", parts, [part.probe for part in target.probes])
    how = target.how
    return Health(
        now,
        failures=target.failures,
        interval=target.interval,
        timeout=target.timeout,
        window=how.window,
        slow=how.slow,
        grace=how.startup_timeout,
    )


def _with_grace(target: Target) -> list[Target]:
    """The parts of a composed probe, each with the start-up time that is set for the whole."""
    grace = target.how.startup_timeout
    if not grace:
        return list(target.probes)
    return [replace(part, how=replace(part.how, startup_timeout=grace)) for part in target.probes]
