# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the status document: of some items, or of what is not normal. Pure.

Normal is what works, and what a person has stopped, paused or drained.
"""

from __future__ import annotations

from typing import Any, Collection, Dict, Mapping

from ..model.words import DRAINED, NOT_ASKED, OPERATIONAL, SEEN, STOPPED, UP

Json = Dict[str, Any]
WELL = ("healthy", "running")  # of a copy of a host service
READY: Json = {"ready": True, "hosts": {}, "says": ""}


def part(document: Mapping[str, Any], items: Collection[str] = (), not_normal: bool = False) -> Json:
    """The same document with fewer entries: its counts and the monitor's part stay.

    :param items: ids of the items to keep, with the hosts that hold them; none: all.
    :param not_normal: keep only what is not normal.
    """
    rows = [entry for entry in document["items"] if not items or entry["item"] in items]
    instances = {name: entry for name, entry in document["instances"].items() if not items or entry["item"] in items}
    holding = {host for entry in instances.values() for host in (entry["host"], entry["target"]) if host}
    hosts = [host for host in document["hosts"] if not items or host["host"] in holding]
    services, readiness = document["services"], document["readiness"]
    if items:
        services, readiness = {}, READY
    if not_normal:
        rows = [entry for entry in rows if not _item_is_normal(entry)]
        hosts = [host for host in hosts if not _host_is_normal(host)]
        left = {name: _ill(entry["hosts"]) for name, entry in services.items()}
        services = {name: dict(services[name], hosts=copies) for name, copies in left.items() if copies}
    found: Json = dict(document, items=rows, hosts=hosts, instances=instances, services=services, readiness=readiness)
    if items or not_normal:
        found["exclusion"] = dict(document.get("exclusion") or {}, says="")
    for key in ("conflicts", "failures", "drift", "moves"):
        entries = document.get(key) or []
        found[key] = [e for e in entries if not items or not e.get("instance") or e["instance"] in instances]
    if not_normal:
        found["conflicts"] = [entry for entry in found["conflicts"] if entry["open"]]
        found.update(instances={}, moves=[], pauses=[], requests=[])
        if (found.get("rollout") or {}).get("state") != STOPPED:
            found["rollout"] = None
    return found


def is_normal(document: Mapping[str, Any]) -> bool:
    """Whether `part(..., not_normal=True)` has left anything to look at."""
    monitor = document["monitor"]
    trouble = monitor["state"] == "silent" or monitor.get("no_runs") or monitor.get("storm")
    kept = ("items", "hosts", "services", "conflicts", "failures", "drift", "rollout")
    return not trouble and document["readiness"]["ready"] and not any(document.get(key) for key in kept)


def _item_is_normal(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("paused")) or entry["verdict"] in (OPERATIONAL, STOPPED)


def _host_is_normal(host: Mapping[str, Any]) -> bool:
    quiet = not (host["left_behind"] or host["drift"] or host["foreign"])
    return host["state"] == DRAINED or (host["state"] == UP and host["answer"] in (SEEN, NOT_ASKED) and quiet)


def _ill(copies: Mapping[str, Mapping[str, Any]]) -> Json:
    return {host: copy for host, copy in copies.items() if copy["state"] not in WELL}
