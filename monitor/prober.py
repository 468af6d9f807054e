# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes at work: one per bus and epoch, one per copy of a host service, following the watch list.

While a claim is `starting` its probe already connects, so that a crash right after the start is seen in milliseconds;
what it says counts from `running` on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from monitor.decide import BusKey, ServiceKey
from monitor.health import Health, Result
from monitor.probes import Asking, ProbeError, make
from monitor.watch import PHASES_HELD, Target, Watch

Key = BusKey | ServiceKey


class Prober:
    """`changed(key, health)` is called when a state changes, `complain(sentence)` for a probe that does not exist."""

    def __init__(self, changed: Callable[[Key, Health], None], complain: Callable[[str], None]) -> None:
        self._changed = changed
        self._complain = complain
        self._probes: dict[Key, tuple[Target, Asking]] = {}
        self._counted: set[BusKey] = set()  # buses whose claim is `running`
        self.buses: dict[BusKey, Health] = {}
        self.services: dict[ServiceKey, Health] = {}

    def __len__(self) -> int:
        return len(self._probes)

    def follow(self, watch: Watch, now: float) -> None:
        """Begin, end and turn over probes so that they fit the watch list."""
        targets: dict[Key, Target] = {}
        running: set[BusKey] = set()
        for instance in watch.instances.values():
            if instance.target is not None and instance.phase in PHASES_HELD:
                bus = (instance.name, instance.epoch)
                targets[bus] = instance.target
                if instance.phase == "running":
                    running.add(bus)
        targets.update({copy: service.target for copy, service in watch.services.items()})
        for key, (target, _unused) in list(self._probes.items()):
            if targets.get(key) != target:
                self._end(key)
        for key, target in targets.items():
            if key not in self._probes:
                self._begin(key, target, now)
        for bus in running - self._counted:
            if bus in self.buses:
                self.buses[bus] = _fresh(targets[bus], now)
                self._probes[bus][1].nudge()
        self._counted = running

    def stop(self) -> None:
        for key in list(self._probes):
            self._end(key)

    def _begin(self, key: Key, target: Target, now: float) -> None:
        try:
            probe = make("%s %s" % key, target, partial(self._note, key))
        except ProbeError as error:
            self._complain(str(error))
            return
        if isinstance(key[1], int):
            self.buses[key[0], key[1]] = _fresh(target, now)
        else:
            self.services[key[0], key[1]] = _fresh(target, now)
        self._probes[key] = (target, probe)
        probe.start()

    def _end(self, key: Key) -> None:
        self._probes.pop(key)[1].stop()
        if isinstance(key[1], int):
            self.buses.pop((key[0], key[1]), None)
            self._counted.discard((key[0], key[1]))
        else:
            self.services.pop((key[0], key[1]), None)

    def _note(self, key: Key, result: Result) -> None:
        if isinstance(key[1], int):
            bus = (key[0], key[1])
            if bus not in self._counted:
                return
            health = self.buses[bus]
        else:
            health = self.services[key[0], key[1]]
        if health.note(result):
            self._changed(key, health)


def _fresh(target: Target, now: float) -> Health:
    return Health(now, failures=target.failures, interval=target.interval, timeout=target.timeout)
