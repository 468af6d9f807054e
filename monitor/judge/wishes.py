# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must happen, concluded from the watch list and the healths: at most one wish per instance, with its reason.

Pure: no clock, no I/O. A wish becomes an intent, which says *that* something is to be done; its run decides where, or
that it is no longer needed. Only a claim that is `running` under the epoch of the health leads to a wish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..core.model.words import BUS_CRASH, DOWN, GATE_OPEN, HOST_DOWN, PROGRAM_EXIT, RUNNING, UP
from .health import Health, State
from .hosts import Verdict
from .watch_list import Watch, WatchedInstance

_WISHES = {"restart_application": "restart", "restart_process": "restart", "stop_application": "stop"}

BusKey = tuple[str, int]  # instance, epoch
ServiceKey = tuple[str, str]  # service, host
LinkKey = tuple[str, int, str]  # instance, epoch, "link": what joins its bus to the peer's; leads to nothing


@dataclass(frozen=True, slots=True)
class Wish:
    """An intent before it has an id and a time."""

    instance: str
    epoch: int
    cause: str
    what: str  # restart | stop | continue | repair | evacuate
    why: str
    host: str = ""  # instead of an instance
    programs: tuple[str, ...] = ()  # of a program exit
    age: float = 0.0  # s since the first sign of it
    shadow: bool = False  # its probe only reports what it would lead to
    paused: bool = False  # by a person

    @property
    def only_reported(self) -> bool:
        """Whether it goes to the journal and is never queued."""
        return self.shadow or self.paused

    @property
    def key(self) -> str:
        """What it is about; there is one intent per key at a time."""
        return self.instance or "host " + self.host


@dataclass(slots=True)
class Exit:
    """Programs of a running instance that ended by themselves."""

    since: float  # s since 1970
    host: str
    programs: dict[str, str] = field(default_factory=dict)  # program -> how it ended


def decide(
    watch: Watch,
    buses: Mapping[BusKey, Health],
    services: Mapping[ServiceKey, Health],
    now: float,
    verdicts: Mapping[str, Verdict] | None = None,
    exits: Mapping[BusKey, Exit] | None = None,
    wall: float = 0.0,
) -> list[Wish]:
    """Every wish there is reason for now; the same ones again until the watch list shows them satisfied.

    Instances on a host that does not answer wait for the verdict on the host. Where only the service manager is gone
    they do not: a run that goes there finds the machine or does not, and both help.

    :param now: s of the clock of the healths. :param wall: s since 1970, for pauses that end.
    :param verdicts: host -> the verdict on it. :param exits: programs that ended by themselves.
    """
    verdicts, exits = verdicts or {}, exits or {}
    wishes = [
        Wish("", 0, HOST_DOWN, "evacuate", verdict.why, host=name, age=now - verdict.since)
        for name, verdict in verdicts.items()
        if verdict.state == DOWN and watch.hosts.get(name) != DOWN
    ]
    for instance in watch.instances.values():
        if instance.phase != RUNNING or watch.hosts.get(instance.host) == DOWN:
            continue
        verdict = verdicts.get(instance.host)
        if verdict is not None and verdict.state != UP and not verdict.there:
            continue
        key = (instance.name, instance.epoch)
        wish = _bus_wish(instance, buses.get(key), now)
        if wish is not None and wish.shadow:
            wishes.append(wish)
            wish = None
        if wish is None and key in exits:
            wish = _exit_wish(watch, instance, exits[key])
        if wish is None and instance.deferred:
            wish = _gate_wish(watch, instance, services, now)
        if wish is not None:
            paused = bool(watch.pauses) and watch.paused(instance.item, wall)
            wishes.append(replace(wish, paused=True) if paused else wish)
    return wishes


def _exit_wish(watch: Watch, instance: WatchedInstance, exit_: Exit) -> Wish | None:
    known = watch.programs.get(instance.application, {})
    programs = tuple(sorted(name for name in exit_.programs if known.get(name, "continue") != "continue"))
    if not programs:
        return None
    how = "; ".join("%s %s" % (name, exit_.programs[name]) for name in programs)
    why = "of %s on %s, %s" % (instance.name, instance.host, how)
    return Wish(instance.name, instance.epoch, PROGRAM_EXIT, "repair", why, programs=programs)


def _bus_wish(instance: WatchedInstance, health: Health | None, now: float) -> Wish | None:
    what = _WISHES.get(instance.strategy)
    if health is None or what is None or health.state(now) is not State.UNHEALTHY:
        return None
    word = "crashed" if health.cause == BUS_CRASH else "hangs"
    why = "the internal bus of %s on %s %s: %s" % (instance.name, instance.host, word, health.why)
    shadow = instance.target is not None and instance.target.how.shadow
    return Wish(instance.name, instance.epoch, health.cause, what, why, shadow=shadow)


def _gate_wish(
    watch: Watch, instance: WatchedInstance, services: Mapping[ServiceKey, Health], now: float
) -> Wish | None:
    if not instance.waits_for:
        return None
    service = watch.service_near(instance.waits_for, instance.host)
    if service is None:
        return None
    health = services.get((service.name, service.host))
    if health is None or health.state(now) is not State.HEALTHY:
        return None
    why = "%s on %s answers: %s of %s goes on" % (
        service.label,
        service.host,
        instance.deferred[0],
        instance.name,
    )
    return Wish(instance.name, instance.epoch, GATE_OPEN, "continue", why, shadow=service.target.how.shadow)
