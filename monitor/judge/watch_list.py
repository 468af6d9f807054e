# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch list as typed data: which instance is where under which epoch, and how its bus is probed.

Pure: `parse` reads the content of ``watch.json``, which `report.watch_list` of the core writes. It ignores unknown
keys, so that an older monitor works beside a newer controller with the same schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..core.model.parts import VERDICTS
from ..core.model.site import Hook, reach_of
from ..core.model.words import RUNNING, SITE, STARTING, STOPPED, UP, WATCH_SCHEMA, item_key
from . import target
from .target import Whose

Target = target.Target
PHASES_HELD = (STARTING, RUNNING)  # phases in which a bus is, or is about to be, there


def how_it_ended(code: Any) -> str:
    """The end of a program, as a host's event has it. :param code: its exit code; -1: by a signal."""
    return "was killed by a signal" if code == -1 else "ended with code %s" % code


class WatchError(ValueError):
    """The document is not a watch list that this monitor can read; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class WatchedInstance:
    name: str
    item: str
    application: str
    host: str
    epoch: int
    phase: str
    deferred: tuple[str, ...]
    waits_for: str  # the host service a deferred gate waits for, "" when none is deferred
    target: Target | None
    strategy: str  # running_failure_strategy of its bus program
    deadline: float | None  # s since 1970: until when a run is at work on it
    until: float = 0.0  # s since 1970: it crashed in a row, and is started again then
    link: Target | None = None  # what joins its bus to the peer's
    bus_program: str = ""


@dataclass(frozen=True, slots=True)
class WatchedService:
    """One copy of a host service."""

    name: str
    host: str
    label: str
    target: Target


@dataclass(frozen=True, slots=True)
class WatchedHost:
    """The state of a host in the ledger, and how it is reached."""

    name: str
    state: str = UP  # up | suspect | down | drained
    by: str = ""
    address: str = ""
    root: str = ""
    connection: str = ""  # Ansible's connection plugin
    serves: bool = True  # it holds or may hold services, not only HCIs
    ssh: Mapping[str, Any] = field(default_factory=dict)  # host, user, port, key, python, arguments, become

    @property
    def reach(self) -> str:
        """HERE, BY_SSH or OTHER of `model.site`."""
        return reach_of(self.connection, self.ssh)

    @property
    def way(self) -> tuple[object, ...]:
        """All that decides how it is reached."""
        return self.address, self.root, self.connection, self.ssh


@dataclass(frozen=True, slots=True)
class Watch:
    revision: int = -1
    site: str = ""
    site_id: str = ""
    controller: str = ""
    instances: Mapping[str, WatchedInstance] = field(default_factory=dict)
    services: Mapping[tuple[str, str], WatchedService] = field(default_factory=dict)  # (service, host)
    hosts: Mapping[str, str] = field(default_factory=dict)  # host -> up | suspect | down | drained
    wanted: Mapping[str, str] = field(default_factory=dict)  # instance -> started | stopped
    machines: Mapping[str, WatchedHost] = field(default_factory=dict)  # host -> how it is reached
    programs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # application -> program -> strategy
    exit_codes: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)  # of programs that may end
    pauses: Mapping[str, float | None] = field(default_factory=dict)  # "site" | "item/<id>" -> until, s since 1970
    rollout_due: float | None = None  # s since 1970: when a rollout goes on
    rollout_carrier: str = ""  # the process of the run that goes on with it, or the number of that run
    rollout_carried: bool = False  # that one may live: see `watch.watch_file`
    acting: frozenset[str] = frozenset()  # processes of the runs that are at work on instances
    gone: frozenset[str] = frozenset()  # those of them that do not live any more: see `watch.watch_file`
    ends: tuple[float, ...] = ()  # moments at which a drain or a pause is over, s since 1970
    moves: Mapping[str, float] = field(default_factory=dict)  # instance -> when its booked move is due, s since 1970
    host_interval: float = 1.0  # s
    host_down_after: float = 2.0  # s
    run_timeout: float = 120.0  # s
    observe_interval: float = 60.0  # s; 0: no regular look
    reconcile_interval: float = 900.0  # s, after which it is a reconcile
    artifacts: int = 50
    artifacts_size: int = 200  # MiB
    hooks: tuple[Hook, ...] = ()
    leases: bool = False  # whether hosts need them, so that a fence comes before a move

    def paused(self, item: str, wall: float) -> bool:
        """Whether automatic actions on an item are paused. :param wall: s since 1970."""
        for key in (SITE, item_key(item)):
            if key in self.pauses:
                until = self.pauses[key]
                if until is None or until > wall:
                    return True
        return False

    def may_end(self, instance: str, program: str, code: Any) -> bool:
        """Whether a program may end with this exit code while its instance runs."""
        entry = self.instances.get(instance)
        return entry is not None and code in self.exit_codes.get(entry.application, {}).get(program, ())

    def service_near(self, name: str, host: str) -> WatchedService | None:
        """The copy of a host service that a program on `host` talks to: its own host's, else the first one."""
        own = self.services.get((name, host))
        if own is not None:
            return own
        return next((copy for (service, _unused), copy in self.services.items() if service == name), None)


def parse(document: Any) -> Watch:
    """:raises WatchError: when it is no watch list, or one of another schema."""
    if not isinstance(document, Mapping):
        raise WatchError("the watch list is not a JSON object")
    if document.get("schema") != WATCH_SCHEMA:
        raise WatchError(
            "the watch list has schema %r, this monitor reads %d: use the monitor of the muster that deployed"
            % (document.get("schema"), WATCH_SCHEMA)
        )
    try:
        hosts = document.get("hosts", {})
        machines = {name: _machine(name, entry) for name, entry in hosts.items()}
        site_id = str(document.get("site_id", ""))
        instances = {
            name: _instance(name, entry, site_id, machines) for name, entry in document["instances"].items()
        }
        services: dict[tuple[str, str], WatchedService] = {}
        for name, copies in document.get("services", {}).items():
            for host, entry in copies.items():
                whose = partial(_whose, machines, site_id, host, "%s_%s" % (name, host), 0, name)
                asked = target.parse(entry, str(entry["address"]), whose)
                if asked is not None:
                    services[(name, host)] = WatchedService(name, host, entry.get("label") or name, asked)
        settings, rollout = document.get("settings", {}), document.get("rollout") or {}
        return Watch(
            revision=int(document["revision"]),
            site=str(document.get("site", "")),
            site_id=site_id,
            controller=str(document.get("controller", "")),
            instances=instances,
            services=services,
            hosts={name: _word(entry, UP) for name, entry in hosts.items()},
            wanted={name: _word(entry, STOPPED) for name, entry in document.get("wanted", {}).items()},
            machines=machines,
            programs={name: dict(strategies) for name, strategies in document.get("programs", {}).items()},
            exit_codes={
                name: {program: tuple(codes) for program, codes in ends.items()}
                for name, ends in document.get("ends", {}).items()
            },
            pauses={key: _moment(pause) for key, pause in document.get("pauses", {}).items()},
            rollout_due=_moment({"until": rollout.get("due")}),
            rollout_carrier=str(rollout.get("carrier") or ""),
            acting=_acting(document["instances"]),
            ends=_ends(hosts, document.get("pauses", {})),
            moves={name: float(due) for name, due in document.get("moves", {}).items()},
            host_interval=float(settings.get("host_interval", 1.0)),
            host_down_after=float(settings.get("host_down_after", 2.0)),
            run_timeout=float(settings.get("run_timeout", 120.0)),
            observe_interval=float(settings.get("observe_interval", 60.0)),
            reconcile_interval=float(settings.get("reconcile_interval", 900.0)),
            artifacts=int(settings.get("artifacts", 50)),
            artifacts_size=int(settings.get("artifacts_size", 200)),
            hooks=tuple(_hook(entry) for entry in document.get("hooks", ())),
            leases=settings.get("exclusion") == "witnesses",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WatchError("the watch list cannot be read: %s %s" % (type(error).__name__, error)) from error


def _moment(record: Mapping[str, Any]) -> float | None:
    until = record.get("until")
    return float(until) if until is not None else None


def _acting(instances: Mapping[str, Any]) -> frozenset[str]:
    actors = [entry.get("actor") or {} for entry in instances.values()]
    return frozenset(str(actor["process"]) for actor in actors if actor.get("process") and not actor.get("lost"))


def _ends(hosts: Mapping[str, Any], pauses: Mapping[str, Any]) -> tuple[float, ...]:
    moments = [_moment(record) for record in (*hosts.values(), *pauses.values()) if isinstance(record, Mapping)]
    return tuple(sorted(moment for moment in moments if moment is not None))


def _machine(name: str, entry: Mapping[str, Any]) -> WatchedHost:
    known = {key: str(entry.get(key) or "") for key in ("state", "by", "address", "root", "connection")}
    state, serves = known.pop("state") or UP, bool(entry.get("serves", True))
    return WatchedHost(name, state, **known, serves=serves, ssh=dict(entry.get("ssh") or {}))


def _whose(
    machines: Mapping[str, WatchedHost],
    site_id: str,
    host: str,
    instance: str,
    epoch: int,
    program: str,
    item: str = "",
) -> Whose:
    machine = machines.get(host) or WatchedHost(host)
    return Whose(site_id, host, instance, epoch, program, item, machine.root, machine.connection)


def _instance(
    name: str, entry: Mapping[str, Any], site_id: str, machines: Mapping[str, WatchedHost]
) -> WatchedInstance:
    bus = entry.get("bus") or {}
    actor = entry.get("actor") or {}
    item, host, epoch = str(entry.get("item", "")), str(entry["host"]), int(entry["epoch"])
    whose = partial(_whose, machines, site_id, host, name, epoch, str(bus.get("program", "")), item)
    return WatchedInstance(
        name=name,
        item=item,
        application=str(entry.get("application", "")),
        host=host,
        epoch=epoch,
        phase=str(entry["phase"]),
        deferred=tuple(entry.get("deferred") or ()),
        waits_for=str(entry.get("waits_for") or ""),
        target=target.parse(bus, str(entry["address"]), whose) if bus else None,
        strategy=str(bus.get("strategy", "continue")),
        deadline=float(actor["deadline"]) if actor.get("deadline") is not None else None,
        until=float(entry.get("until") or 0.0),
        link=target.parse(bus["link"], str(entry["address"]), whose) if bus.get("link") else None,
        bus_program=str(bus.get("program") or ""),
    )


def _hook(entry: Mapping[str, Any]) -> Hook:
    command, on = (tuple(str(part) for part in entry[key]) for key in ("command", "on"))
    priority = tuple(str(word) for word in entry.get("priority") or ())
    return Hook(command, on, float(entry["debounce"]), float(entry["timeout"]), str(entry.get("about") or VERDICTS),
                priority)  # fmt: skip


def _word(entry: Any, default: str) -> str:
    return str(entry.get("state", default)) if isinstance(entry, Mapping) else str(entry)
