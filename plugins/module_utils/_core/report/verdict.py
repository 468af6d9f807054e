# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How well every item is served: one word, its first cause, and the state of each of its instances.

Of an instance: a required program that should run and does not is a *major* failure, an optional one a *minor* one.
Of an item: operational, degraded, not operational, waiting, stopped or unknown. HCIs that are not open are no
failure; open HCIs that are unhealthy make the item degraded at most, because its services still work.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from ..model.observation import Observation, observed
from ..model.records import Claim, HostRecord, State, Wanted
from ..model.sentences import clock, listing
from ..model.sequence import expected_programs
from ..model.site import Application, Instance, Site
from ..model.words import (
    DEGRADED,
    DOWN,
    FAILED,
    FREE,
    NOT_OPERATIONAL,
    OPERATIONAL,
    RUNNING,
    STARTED,
    STARTING,
    STOPPED,
    SUSPECT,
    UNKNOWN,
    UNREACHABLE,
    WAITING,
)
from . import windows as report_windows

# From an instance's state to its part in the verdict; that of a running one follows from its major and minor failures.
_WORDS = {
    "failed": NOT_OPERATIONAL, "unknown": UNKNOWN, "waiting": WAITING, "starting": WAITING, "stopping": WAITING,
    "stopped": STOPPED,
}  # fmt: skip
NEW = 10.0  # s of a monitor without having seen a host
LATELY = 90.0  # s, at least: what nobody has seen for longer is not known
_SEVERITY = (OPERATIONAL, STOPPED, DEGRADED, WAITING, UNKNOWN, NOT_OPERATIONAL)

Json = Dict[str, Any]


def verdicts(
    site: Site,
    state: Union[State, Mapping[str, Any]],
    observations: Mapping[str, Any],
    bus_health: Mapping[str, Any],
    now: float,
    watched: Optional[Mapping[str, Json]] = None,
    windows: Optional[Mapping[str, Json]] = None,
) -> Dict[str, Json]:
    """item -> {verdict, cause, services, hci, instances}.

    :param watched: host -> {state, line, since, why, began} as a monitor that runs sees it; ``since``, and when it
        ``began`` itself, in seconds since 1970.

    :param windows: instance -> {epoch, programs: {program: since}} whose windows stand still.
    :param bus_health: instance -> "healthy" | "unhealthy" | "unknown", or {"health": that, "why", "epoch", "link"};
        what is missing, or about another epoch, is not known and changes nothing. ``link`` is {"state", "why"} of what
        joins it to the peer's bus.
    :returns: ``services`` and ``hci`` are the state of the item's worst instance of that kind (empty when it has
        none), ``instances`` holds all: {instance, state, host, epoch, major, minor, cause, missing, deferred, since}.
        ``cause`` is a sentence, empty when there is nothing to tell.
    """
    view = State.from_json(state)
    seen = {host.name: observed(observations, host.name) for host in site.hosts}
    sight = _Sight(site, observations, watched or {}, bus_health, now)
    statuses = {name: _status(site, view, seen, bus_health, instance, sight)
                for name, instance in site.by_name().items()}  # fmt: skip
    report_windows.degrade(site, statuses, windows or {}, now)
    _reach_peers(site, statuses, bus_health)
    rows: Dict[str, List[Instance]] = {item.id: [] for item in site.rows}
    for instance in site.instances():
        rows[instance.item.id].append(instance)
    return {row: _row(instances, statuses) for row, instances in rows.items()}


def watched(monitor: Mapping[str, Any]) -> Dict[str, Json]:
    """What the monitor sees of each host, as `verdicts` takes it: its times as seconds since 1970."""
    at, began = float(monitor.get("at") or 0.0), float(monitor.get("since") or 0.0)
    return {
        name: dict(entry, since=at - float(entry.get("since") or 0.0), began=began,
                   away=[round(at - float(ago), 1) for ago in entry.get("away") or ()])
        for name, entry in (monitor.get("hosts") or {}).items()
    }


class _Sight:
    """Who saw what when: what nobody has seen lately is not known."""

    def __init__(
        self, site: Site, observations: Mapping[str, Any], watched: Mapping[str, Json], bus_health: Mapping[str, Any],
        now: float,
    ) -> None:  # fmt: skip
        self._observations, self._watched, self._buses, self._now = observations, watched, bus_health, now
        self._lately = max(LATELY, 2 * site.settings.observe_interval)

    def unseen(self, name: str, claim: Claim) -> str:
        """A sentence when nobody has seen a running instance lately; "" when somebody has."""
        host, bus = str(claim.host), self._buses.get(name)
        if _healthy(bus, claim.epoch):
            return ""
        seen = observed(self._observations, host)
        at = float((self._observations.get(host) or {}).get("at") or self._now) if seen.seen else 0.0
        at = max(at, claim.since)  # its host said that it runs
        monitor = self._watched.get(host) or {}
        away = monitor.get("state") in (SUSPECT, DOWN)
        if monitor.get("line") == "fine" and not away:
            return ""
        since = at
        if away and at <= monitor["since"]:
            new = monitor["since"] - monitor["began"] < NEW  # what it did not see before, it never saw
            since = at if new else monitor["since"]
        elif at >= self._now - self._lately:
            return ""
        why = ": %s" % monitor["why"] if away and monitor.get("why") else ""
        return "nobody has seen %s on %s since %s%s" % (name, host, clock(since, self._now, seconds=True), why)


def _status(
    site: Site, state: State, seen: Mapping[str, Observation], bus_health: Mapping[str, Any], instance: Instance,
    sight: _Sight,
) -> Json:  # fmt: skip
    status = instance_status(site, state, seen, bus_health, instance)
    claim = state.claims.get(instance.name) or Claim()
    unseen = sight.unseen(instance.name, claim) if claim.phase == RUNNING and status["state"] != "unknown" else ""
    if unseen:
        status.update(state="unknown", cause=unseen, major=False, minor=False)
    return status


def _reach_peers(site: Site, statuses: Mapping[str, Json], bus_health: Mapping[str, Any]) -> None:
    """What runs well and does not reach its peer is degraded."""
    for instance in site.instances():
        own, other = statuses[instance.name], site.peer_of(instance)
        if other is None or own["state"] != "running" or own["major"]:
            continue
        peer = statuses[other.name]
        why = peer["cause"] if _word(peer) in (NOT_OPERATIONAL, UNKNOWN) else ""
        if not why and peer["state"] == "running":  # else it is on its way, and the link comes with it
            why = _parted(bus_health.get(own["instance"]), own["epoch"])
        if why:
            whose = "item %s" % other.item.id if other.application.per == "item" else "the %s" % other.application.per
            own["minor"] = True
            own["cause"] = own["cause"] or "services of %s not reachable: %s" % (whose, why)


def _row(instances: List[Instance], statuses: Mapping[str, Json]) -> Json:
    services = [statuses[i.name] for i in instances if not i.application.on_request]
    windows = [statuses[i.name] for i in instances if i.application.on_request]
    verdict, cause = _merged(services, windows)
    return {
        "verdict": verdict,
        "cause": cause,
        "services": _worst(services),
        "hci": _worst(windows),
        "instances": {i.name: statuses[i.name] for i in instances},
    }


def _word(status: Json) -> str:
    if status["major"]:
        return NOT_OPERATIONAL
    if status["minor"]:
        return DEGRADED
    return _WORDS.get(status["state"], OPERATIONAL)


def _worst(statuses: List[Json]) -> Json:
    """The most severe one, the first of equals."""
    if not statuses:
        return {}
    worst: Json = max(statuses, key=lambda status: _SEVERITY.index(_word(status)))
    return dict(worst)


def _merged(services: List[Json], windows: List[Json]) -> Tuple[str, str]:
    shown = [status for status in windows if status["state"] != "stopped"]
    decisive = services or shown
    if not decisive:
        return STOPPED, windows[0]["cause"] if windows else ""
    worst = _worst(decisive)
    word = _word(worst)
    if word == STOPPED and any(status["state"] != "stopped" for status in decisive):
        return DEGRADED, worst["cause"]
    if word not in (OPERATIONAL, DEGRADED):
        return word, worst["cause"]
    if services and shown and word == OPERATIONAL:
        ailing = _worst(shown)
        if _word(ailing) in (NOT_OPERATIONAL, DEGRADED, UNKNOWN):
            return DEGRADED, ailing["cause"]
    return word, worst["cause"]


def instance_status(
    site: Site,
    state: State,
    seen: Mapping[str, Observation],
    bus_health: Mapping[str, Any],
    instance: Instance,
) -> Json:
    """The state of one instance: running, starting, stopping, stopped, failed, waiting or unknown.

    :param seen: host -> its observation.
    :param bus_health: as `report.status.bus_health`.
    :return: {instance, state, host, epoch, major, minor, cause, missing, deferred, since}.
    """
    name = instance.name
    claim = state.claims.get(name) or Claim()
    wanted = state.wanted.get(name) or Wanted(STOPPED)
    if state.stop is not None and wanted.state == STARTED:
        why = ": " + state.stop.why if state.stop.why else ""
        wanted = Wanted(STOPPED, None, state.stop.by or "somebody", "the whole site" + why, state.stop.at)
    status: Json = {
        "instance": name, "state": "stopped", "host": claim.host if claim.holds else None, "epoch": claim.epoch,
        "major": False, "minor": False, "cause": "", "missing": [], "deferred": list(claim.deferred),
        "since": claim.since,
    }  # fmt: skip
    if claim.phase == FREE:
        _free(status, claim, wanted)
        return status
    if claim.phase == FAILED and claim.until:
        status.update(state="waiting", cause=claim.reason)
        return status
    if claim.phase == FAILED:
        status.update(state="failed", major=True, cause="%s failed: %s" % (name, claim.reason))
        return status
    host = claim.host or ""
    observation = seen.get(host) or Observation(host)
    record = state.hosts.get(host) or HostRecord()
    if record.state == DOWN:
        status.update(state="unknown", cause="%s is down%s" % (host, ": " + record.evidence if record.evidence else ""))
    elif observation.answer == UNREACHABLE:
        status.update(state="unknown", cause="%s does not answer: %s" % (host, observation.why))
    elif claim.phase == STARTING:
        status.update(state="starting", cause="%s is starting on %s" % (name, host))
    elif claim.phase != RUNNING:
        going = "moving from %s to %s" % (host, claim.target) if claim.target else "stopping on %s" % host
        status.update(state="stopping", cause="%s is %s" % (name, going))
    else:
        _running(site, status, instance, claim, observation, bus_health.get(name))
    return status


def _free(status: Json, claim: Claim, wanted: Wanted) -> None:
    if wanted.state == STARTED:
        status.update(state="waiting", cause=claim.reason or "%s has not been started yet" % status["instance"])
    elif wanted.by:
        why = " (%s)" % wanted.why if wanted.why else ""
        status["cause"] = "%s is stopped by %s%s" % (status["instance"], wanted.by, why)


def _running(
    site: Site, status: Json, instance: Instance, claim: Claim, observation: Observation, health: Any
) -> None:
    name, host, application = instance.name, str(claim.host), instance.application
    status["state"] = "running"
    missing: List[str] = []
    if observation.seen:
        copy = observation.instances.get(name)
        here = copy is not None and (claim.epoch in copy.epochs or (bool(copy.done) and copy.claim == claim.epoch))
        alive = copy.present if copy is not None and here else ()
        expected = expected_programs(application, without=(*claim.deferred, *claim.failed))
        missing = [p for p in expected_programs(application, without=claim.deferred) if p not in alive]
        if not alive and expected:
            status.update(major=True, missing=missing, cause="%s does not run on %s any more" % (name, host))
            return
    failed = {p: why for p, why in claim.failed.items() if p not in missing}
    status["missing"] = missing + sorted(failed)
    required = [p for p in status["missing"] if _required(application, p)]
    few = _few(application, status["missing"])
    status["major"] = bool(required or few)
    status["minor"] = bool(status["missing"]) and not status["major"]
    if status["missing"]:
        first = (required or few or status["missing"])[0]
        why = ": " + claim.failed[first] if claim.failed.get(first) else ""
        lacks = listing([first] + [p for p in status["missing"] if p != first])
        status["cause"] = "%s on %s runs without %s%s" % (name, host, lacks, why)
    unhealthy = _unhealthy(health, claim.epoch)
    if unhealthy is not None and not status["major"]:
        status.update(major=True, minor=False, cause="the internal bus of %s on %s does not answer%s" % (
            name, host, ": " + unhealthy if unhealthy else ""))  # fmt: skip
    if status["deferred"] and not status["cause"]:
        status["cause"] = "waiting for %s" % _awaited(site, application, claim)
        if not expected_programs(application, without=(*claim.deferred, *claim.failed)):
            status["state"] = "waiting"  # nothing of it runs yet


def _few(application: Application, missing: List[str]) -> List[str]:
    """The missing programs of which too few are left for what the application needs."""
    for need in application.needs:
        gone = [program for program in need.of if program in missing]
        if len(need.of) - len(gone) < need.any:
            return gone
    return []


def _required(application: Application, program: str) -> bool:
    return any(p.required for p in application.programs if p.name == program)


def _awaited(site: Site, application: Application, claim: Claim) -> str:
    """What a deferred gate waits for, in words."""
    for program in application.programs:
        if program.name in claim.deferred and program.is_gate:
            for service in site.services:
                if service.name == program.waits_for:
                    return service.label or service.name
            return program.name
    return listing(claim.deferred)


def _parted(health: Any, epoch: int) -> str:
    """Why a bus is not joined to the peer's; empty while it is, or when that is not known."""
    if not isinstance(health, Mapping) or health.get("epoch", epoch) != epoch:
        return ""
    link = health.get("link") or {}
    return "no link to their bus: %s" % link.get("why") if link.get("state") == "unhealthy" else ""


def _healthy(health: Any, epoch: int) -> bool:
    """Whether its bus answers now."""
    if isinstance(health, str):
        return health == "healthy"
    return bool(health) and health.get("health") == "healthy" and health.get("epoch", epoch) == epoch


def _unhealthy(health: Any, epoch: int) -> Union[str, None]:
    """Why a bus is unhealthy; None when it is not, or when that was said about another epoch."""
    if isinstance(health, str):
        return "" if health == "unhealthy" else None
    if not health or health.get("health") != "unhealthy" or health.get("epoch", epoch) != epoch:
        return None
    return str(health.get("why") or "")
