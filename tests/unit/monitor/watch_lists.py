# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch lists made in one line, for tests of the monitor's pure parts."""

from __future__ import annotations

from typing import Any

from monitor.judge.health import Health, Kind, Result
from monitor.judge.watch_list import Target, Watch, WatchedInstance, WatchedService

TARGET = Target("127.60.9.1", 20004, "nats", 1.0, 1.0, 3)


def entry(name: str, epoch: int = 1, phase: str = "running", **facts: Any) -> WatchedInstance:
    values: dict[str, Any] = {
        "item": name[-2:],
        "application": name[:-3],
        "host": "server_1",
        "deferred": (),
        "waits_for": "",
        "target": TARGET,
        "strategy": "restart_application",
        "deadline": None,
        **facts,
    }
    return WatchedInstance(name=name, epoch=epoch, phase=phase, **values)


def watch(*instances: WatchedInstance, **facts: Any) -> Watch:
    services = {(s.name, s.host): s for s in facts.pop("services", ())}
    facts.setdefault("wanted", {instance.name: "started" for instance in instances})
    facts.setdefault("hosts", {"server_1": "up", "server_2": "up"})
    facts.setdefault("revision", 1)
    return Watch(instances={i.name: i for i in instances}, services=services, **facts)


def common_bus(host: str) -> WatchedService:
    return WatchedService("common_data_bus", host, "the common bus", TARGET)


def health(kind: Kind | None = None, at: float = 0.0, times: int = 1, why: str = "because") -> Health:
    """The health after so many results of one kind; without any, the initial one."""
    made = Health(at, failures=3, interval=1.0, timeout=1.0)
    for number in range(times if kind is not None else 0):
        made.note(Result(kind or Kind.ANSWERED, at + number, why))
    return made
