# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must happen, from what is watched and how healthy it is: intents, at most one per instance, each with its why.

Pure: no clock, no I/O. An intent says *that* something is to be done; the run it goes to decides where, or that it is
no longer needed. Only a claim that is `running` under the epoch the health was taken under can lead to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.health import CRASH, Health, State
from monitor.watch import Instance, Watch

GATE = "gate open"
_WISHES = {"restart_application": "restart", "restart_process": "restart", "stop_application": "stop"}

BusKey = tuple[str, int]  # instance, epoch
ServiceKey = tuple[str, str]  # service, host


@dataclass(frozen=True, slots=True)
class Wish:
    """An intent before it has an id and a time."""

    instance: str
    epoch: int
    cause: str
    what: str  # restart | stop | continue
    why: str

    @property
    def urgent(self) -> bool:
        return self.cause != GATE


def decide(
    watch: Watch, buses: Mapping[BusKey, Health], services: Mapping[ServiceKey, Health], now: float
) -> list[Wish]:
    """Every wish there is reason for now; the same again until the watch list shows it satisfied."""
    wishes = []
    for instance in watch.instances.values():
        if instance.phase != "running":
            continue
        wish = _bus_wish(instance, buses.get((instance.name, instance.epoch)), now)
        if wish is None and instance.deferred:
            wish = _gate_wish(watch, instance, services, now)
        if wish is not None:
            wishes.append(wish)
    return wishes


def _bus_wish(instance: Instance, health: Health | None, now: float) -> Wish | None:
    what = _WISHES.get(instance.strategy)
    if health is None or what is None or health.state(now) is not State.UNHEALTHY:
        return None
    word = "crashed" if health.cause == CRASH else "hangs"
    why = "the internal bus of %s on %s %s: %s" % (instance.name, instance.host, word, health.why)
    return Wish(instance.name, instance.epoch, health.cause, what, why)


def _gate_wish(watch: Watch, instance: Instance, services: Mapping[ServiceKey, Health], now: float) -> Wish | None:
    if not instance.waits_for:
        return None
    service = watch.service_near(instance.waits_for, instance.host)
    if service is None:
        return None
    health = services.get((service.name, service.host))
    if health is None or health.state(now) is not State.HEALTHY:
        return None
    why = "%s on %s answers, so %s of %s may go on" % (
        service.label,
        service.host,
        instance.deferred[0],
        instance.name,
    )
    return Wish(instance.name, instance.epoch, GATE, "continue", why)
