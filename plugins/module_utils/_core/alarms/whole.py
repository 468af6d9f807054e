# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms about the whole site: host services, N-1, rollouts, the monitor itself."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping

from ..model.alarm import HIGH, LOW, MEDIUM
from ..model.sentences import clock, listing
from ..model.words import SUSPECT
from .picture import Condition, Picture

ILL = ("unhealthy", "stopped")  # states of a host service
BOOTS = 30.0  # s from a host's return until its services are missed
SCARCE, SCARCEST = 10.0, 3.0  # percent of a disk that are free
SOON, SOONEST = 14 * 86400.0, 2 * 86400.0  # s until a key ends


def conditions(picture: Picture, gone: Mapping[str, str]) -> Iterator[Condition]:
    yield from _services(picture, gone)
    yield from _readiness(picture, gone)
    yield from _monitor(picture)
    rollout = picture.document.get("rollout") or {}
    if rollout.get("state") == "stopped":
        yield Condition("rollout:current", "rollout", MEDIUM, str(rollout["says"]), float(rollout.get("since") or 0.0))
    if (picture.document.get("exclusion") or {}).get("kind") == "witnesses":
        for host in gone:
            if picture.hosts[host]["state"] == SUSPECT and picture.hosts[host].get("instances"):
                says = "%s is silent and not shut out: what it holds cannot start elsewhere" % host
                yield Condition("exclusion:%s" % host, "exclusion", HIGH, says, hosts=(host,))
    yield from _disk(picture)
    for key in picture.facts.get("keys") or ():
        left = float(key["until"]) - picture.now
        if left < SOON:
            says = "%s ends at %s" % (key["name"], clock(float(key["until"]), picture.now))
            yield Condition("key:%s" % key["name"], "key", HIGH if left < SOONEST else LOW, says)


def _services(picture: Picture, gone: Mapping[str, str]) -> Iterator[Condition]:
    for name, service in (picture.document.get("services") or {}).items():
        ill = {host: entry for host, entry in service["hosts"].items()
               if entry["state"] in ILL and host not in gone and not _boots(picture, host)}  # fmt: skip
        if not ill:
            yield from _ended(picture, name, service, gone)
            continue
        waiting = [item for item, entry in picture.items.items()
                   if any(host in ill for host in picture.holders(item)) and "waiting for" in str(entry.get("cause"))]
        left = [host for host in service["hosts"] if host not in ill and host not in gone]
        tail = ": %d item%s wait%s for it" % (
            len(waiting), "s"[: len(waiting) != 1], "s"[: len(waiting) == 1]) if waiting else ""  # fmt: skip
        yield Condition(
            "service:%s" % name, "service", MEDIUM if left else HIGH,
            "%s is down on %s%s" % (service["label"], listing(ill), tail), items=tuple(waiting), hosts=tuple(ill),
            below=tuple((host, entry["why"] or entry["state"]) for host, entry in ill.items()),
            past="%s was down on %s" % (service["label"], listing(ill)),
        )  # fmt: skip


def _ended(picture: Picture, name: str, service: Mapping[str, Any], gone: Mapping[str, str]) -> Iterator[Condition]:
    """It ended by itself, and its service manager has started it again."""
    key, memory = "service:%s" % name, picture.memory
    ends = {host: entry["ended"] for host, entry in service["hosts"].items()
            if entry.get("ended") and host not in gone and entry["state"] not in ILL}  # fmt: skip
    new = [host for host, end in ends.items() if memory.begun and not memory.knows(key, float(end["at"]))]
    if new:
        at = max(float(ends[host]["at"]) for host in new)
        says = "%s ended on %s and runs again" % (service["label"], listing(new))
        yield Condition(
            key, "service", MEDIUM, says, at, True, picture.now, says, after=0.0, hosts=tuple(new),
            below=tuple((host, str(ends[host]["how"])) for host in new),
        )  # fmt: skip


def _boots(picture: Picture, host: str) -> bool:
    """Whether a host is back since a moment only: the alarm about that says why its services are not there yet."""
    was = picture.back.get(host)
    return was is not None and picture.now - was.ended < BOOTS


def booting(picture: Picture) -> bool:
    """Whether a host that is just back lacks a service, which is missed in a moment, although nothing changes."""
    return any(entry["state"] in ILL and host not in picture.silent and _boots(picture, host)
               for service in (picture.document.get("services") or {}).values()
               for host, entry in service["hosts"].items())  # fmt: skip


def service_ends(picture: Picture) -> Dict[str, List[float]]:
    """key -> when it ended by itself, of host services that run again or went with their host."""
    found = {}
    for name, service in (picture.document.get("services") or {}).items():
        times = [float(entry["ended"]["at"]) for host, entry in service["hosts"].items()
                 if entry.get("ended") and (entry["state"] not in ILL or host in picture.silent)]  # fmt: skip
        if times:
            found["service:%s" % name] = times
    return found


def _readiness(picture: Picture, gone: Mapping[str, str]) -> Iterator[Condition]:
    """N-1 that was met and is lost. While a server is down, that is what its alarm says already."""
    document = picture.document.get("readiness") or {}
    if document.get("ready") or not picture.memory.ready or any(host in picture.servers for host in gone):
        return
    hosts = [host for host, loss in (document.get("hosts") or {}).items() if loss["without_place"]]
    names = list(dict.fromkeys(name for host in hosts for name in document["hosts"][host]["without_place"]))
    owners = {str(picture.document["instances"].get(name, {}).get("item") or name) for name in names}
    items = [item for item in picture.items if item in owners]
    says = "N-1 not met: without %s there is no room for item%s %s" % (
        listing(hosts, 3).replace(" and ", " or "), "s"[: len(items) != 1], listing(items))
    yield Condition(
        "n-1:site", "n-1", MEDIUM, says, hosts=tuple(hosts),
        below=tuple((host, document["hosts"][host]["why"]) for host in hosts),
        past="N-1 was not met",
    )  # fmt: skip


def _monitor(picture: Picture) -> Iterator[Condition]:
    no_runs, failing = picture.document["monitor"].get("no_runs"), str(picture.facts.get("failing") or "")
    if isinstance(no_runs, Mapping):
        says = "monitor cannot run playbooks, so nothing is restarted: %s" % no_runs["why"]
        yield Condition("monitor:runs", "monitor", HIGH, says, float(no_runs.get("since") or 0.0))
    if failing:
        yield Condition("monitor:failing", "monitor", HIGH, "monitor is failing: %s" % failing, after=5.0)


def _disk(picture: Picture) -> Iterator[Condition]:
    disk = picture.facts.get("disk") or {}
    if disk and float(disk["percent"]) < SCARCE:
        says = "disk of the controller is nearly full: %.0f %% free (%s)" % (disk["percent"], disk["path"])
        yield Condition("disk:controller", "disk", HIGH if disk["percent"] < SCARCEST else LOW, says)
