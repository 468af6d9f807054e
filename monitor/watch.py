# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch list as typed data: which instance is where under which epoch, and how its bus is asked.

Pure: `parse` turns the content of ``watch.json`` into a `Watch`. Keys it does not know are left alone, so that an older
monitor goes on beside a newer controller of the same schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1
PHASES_HELD = ("starting", "running")  # phases in which a bus is, or is about to be, there


class WatchError(ValueError):
    """The document is not a watch list this monitor can follow; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a bus is asked. Times in seconds."""

    address: str
    port: int
    probe: str  # a module of monitor.probes
    interval: float
    timeout: float
    failures: int


@dataclass(frozen=True, slots=True)
class Instance:
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
    deadline: float | None  # wall clock: until when a run is acting on it


@dataclass(frozen=True, slots=True)
class Service:
    """One copy of a host service."""

    name: str
    host: str
    label: str
    target: Target


@dataclass(frozen=True, slots=True)
class Watch:
    revision: int = -1
    site: str = ""
    site_id: str = ""
    instances: Mapping[str, Instance] = field(default_factory=dict)
    services: Mapping[tuple[str, str], Service] = field(default_factory=dict)  # (service, host)
    hosts: Mapping[str, str] = field(default_factory=dict)  # host -> up | suspect | down | drained
    wanted: Mapping[str, str] = field(default_factory=dict)  # instance -> started | stopped
    addresses: Mapping[str, str] = field(default_factory=dict)  # host -> address
    run_timeout: float = 120.0  # s
    observe_interval: float = 60.0  # s; 0: no regular look
    artifacts: int = 50

    def service_near(self, name: str, host: str) -> Service | None:
        """The copy of a host service that a program on `host` talks to: its own host's, else the first one."""
        own = self.services.get((name, host))
        if own is not None:
            return own
        return next((copy for (service, _unused), copy in self.services.items() if service == name), None)


def parse(document: Any) -> Watch:
    """:raises WatchError: when it is no watch list, or one of another schema."""
    if not isinstance(document, Mapping):
        raise WatchError("the watch list is not a JSON object")
    if document.get("schema") != SCHEMA:
        raise WatchError(
            "the watch list has schema %r, this monitor reads %d: use the monitor of the muster that deployed"
            % (document.get("schema"), SCHEMA)
        )
    try:
        instances = {name: _instance(name, entry) for name, entry in document["instances"].items()}
        services: dict[tuple[str, str], Service] = {}
        for name, copies in document.get("services", {}).items():
            for host, entry in copies.items():
                target = _target(entry, entry)
                if target is not None:
                    services[(name, host)] = Service(name, host, entry.get("label") or name, target)
        hosts = document.get("hosts", {})
        settings = document.get("settings", {})
        return Watch(
            revision=int(document["revision"]),
            site=str(document.get("site", "")),
            site_id=str(document.get("site_id", "")),
            instances=instances,
            services=services,
            hosts={name: _word(entry, "up") for name, entry in hosts.items()},
            wanted={name: _word(entry, "stopped") for name, entry in document.get("wanted", {}).items()},
            addresses={name: str(entry.get("address", "")) for name, entry in hosts.items()},
            run_timeout=float(settings.get("run_timeout", 120.0)),
            observe_interval=float(settings.get("observe_interval", 60.0)),
            artifacts=int(settings.get("artifacts", 50)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WatchError("the watch list cannot be read: %s %s" % (type(error).__name__, error)) from error


def _instance(name: str, entry: Mapping[str, Any]) -> Instance:
    bus = entry.get("bus") or {}
    actor = entry.get("actor") or {}
    return Instance(
        name=name,
        item=str(entry.get("item", "")),
        application=str(entry.get("application", "")),
        host=str(entry["host"]),
        epoch=int(entry["epoch"]),
        phase=str(entry["phase"]),
        deferred=tuple(entry.get("deferred") or ()),
        waits_for=str(entry.get("waits_for") or ""),
        target=_target(bus, entry) if bus else None,
        strategy=str(bus.get("strategy", "continue")),
        deadline=float(actor["deadline"]) if actor.get("deadline") is not None else None,
    )


def _target(bus: Mapping[str, Any], place: Mapping[str, Any]) -> Target | None:
    probe = bus.get("probe")
    if not probe:
        return None
    return Target(
        address=str(place["address"]),
        port=int(bus["port"]),
        probe=str(probe["type"]),
        interval=float(probe.get("interval", 1.0)),
        timeout=float(probe.get("timeout", 1.0)),
        failures=int(probe.get("failures", 3)),
    )


def _word(entry: Any, default: str) -> str:
    return str(entry.get("state", default)) if isinstance(entry, Mapping) else str(entry)
