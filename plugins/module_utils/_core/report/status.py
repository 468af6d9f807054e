# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document that command line, page and machines read. Pure.

The verdict of an item is `report.verdict`'s; here it is laid out beside what the ledger holds and what the hosts
report.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..decide import changes, failures
from ..model import site as site_model
from ..model.item import LABELS, MEMORY
from ..model.records import Claim, State
from ..model.shape import as_it_runs
from ..model.switched import switched
from ..model.words import DOWN, MONITOR, NOT_ASKED, SEEN, SUSPECT, UP
from . import attention as report_attention
from . import exclusion, readiness, shown
from . import rollouts as report_rollouts
from . import verdict as report_verdict

SCHEMA = 1
CHARGED = 3  # failures of an instance in the document
CLOCKS_APART = 3.0  # s that the clocks of a host and of its controller may differ
JUST_BEGUN = 10.0  # s
SILENCE = 20.0  # s without a word from the monitor until it does not count as running


def status_document(
    site: site_model.Site,
    state: Mapping[str, Any],
    revision: int,
    observations: Mapping[str, Mapping[str, Any]],
    monitor: Mapping[str, Any],
    now: float,
) -> Dict[str, Any]:
    """Everything a person or program may ask about what runs where, and how well.

    :param state: the ledger's state, JSON.
    :param observations: by host; a host that is missing was not asked. ``at`` (seconds since 1970) says when that was
        seen; without it, just now.
    :param monitor: what the monitor wrote last (``run/monitor.json``), or nothing.
    :returns: ``{"schema", "site", "site_id", "revision", "at", "items", "hosts", "instances", "services", "monitor",
        "counts", "rollout", "readiness", "exclusion"}``. An item is {item, slot, per, verdict, cause, word, short,
        services, hci}, word and short as `report.shown`, the last two the state of its worst instance of that kind,
        name, area and kind where the site says them, ``per`` "item", or "site" or "host": what these have of their own;
        ``instances`` has all of them in full; ``bus`` there is what the monitor's probe says, {health, why, since}, or
        nothing. ``readiness`` is `report.readiness.readiness`, and the sentence about it in ``says``; ``exclusion`` is
        `report.exclusion.exclusion`; the rest is `report.attention.part`.
    """
    site = switched(as_it_runs(site, state["claims"], state["meta"]), state["wanted"])
    watching = _monitor(monitor, now)
    alive = watching["state"] == "running"
    probed = bus_health(monitor) if alive else {}
    view = State.from_json(state)
    claims = dict(view.claims)
    watched = report_verdict.watched(monitor) if alive else {}
    windows = monitor.get("windows") or {} if alive else {}
    verdicts = report_verdict.verdicts(site, view, observations, probed, now, watched, windows)
    instances = _instances(site, state, claims, observations, now)
    for name, bus in probed.items():
        if name in instances and instances[name]["host"] and bus["epoch"] == instances[name]["epoch"]:
            instances[name]["bus"] = {key: bus[key] for key in ("health", "why", "since")}
    attention = report_attention.part(state, now)
    losses = readiness.readiness(site, state, observations, now, view)
    held: Dict[str, List[str]] = {}
    for name, claim in claims.items():
        for place in {claim.host, claim.target} - {None} if claim.holds else ():
            held.setdefault(str(place), []).append(name)
    items: List[Dict[str, Any]] = []
    counts: Dict[str, int] = {}
    own = {item.id for item in site.items}
    hosts = {host.name for host in site.hosts}
    for item in site.rows:
        found = dict(verdicts[item.id])
        for name, status in found.pop("instances").items():
            instances[name].update({key: status[key] for key in ("state", "major", "minor", "cause", "missing")})
        per = "item" if item.id in own else "host" if item.id in hosts else "site"
        items.append(dict(found, item=item.id, slot=item.slot, per=per, **labels(item)))
        report_attention.mark_paused(items[-1], attention["pauses"])
        report_attention.mark_pending(items[-1], {n: instances[n]["pending"] for n in verdicts[item.id]["instances"]})
        shown.mark(items[-1], instances, now)
        counts[found["verdict"]] = counts.get(found["verdict"], 0) + 1
    return {
        "schema": SCHEMA,
        "site": site.name,
        "site_id": state["meta"].get("site_id", ""),
        "revision": revision,
        "at": now,
        "items": items,
        "hosts": [
            _doubted(_host(site, host, state, held.get(host.name, ()), observations, now), watched)
            for host in site.hosts
        ],
        "instances": instances,
        "services": _services(site, monitor.get("services") or {} if alive else {}, observations, now),
        "monitor": watching,
        "counts": counts,
        "rollout": report_rollouts.part(state, now),
        "readiness": dict(losses, says=readiness.sentence(losses)),
        "exclusion": exclusion.exclusion(site),
        **attention,
    }


def labels(item: site_model.Item) -> Dict[str, str]:
    """What people call an item and by what they group items, where the site says so: name, area, kind."""
    said = item.variables
    return {name: said[name] for name in LABELS if isinstance(said.get(name), str) and said[name]}


def bus_health(monitor: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
    """From the monitor's status file: instance -> {health, why, epoch, since, link}, as `report.verdict` takes it.

    ``since`` in seconds since 1970; ``link`` {state, why} of what joins it to the peer's, or None.
    """
    at = float(monitor.get("at") or 0.0)
    return {
        name: {
            "health": bus.get("state"),
            "why": bus.get("why") or "",
            "epoch": bus.get("epoch"),
            "since": at - float(bus.get("since") or 0.0),
            "link": bus.get("link"),
        }
        for name, bus in (monitor.get("buses") or {}).items()
    }


def _monitor(monitor: Mapping[str, Any], now: float) -> Dict[str, Any]:
    """The monitor's part: running only while what it wrote is recent."""
    at = float(monitor.get("at") or 0.0)
    found: Dict[str, Any] = {"state": "not running", "at": at or None, "standby": "", "revision": None, "intents": [],
                             "storm": "", "no_runs": None}  # fmt: skip
    if not monitor:
        return found
    if monitor.get("state") == "running":
        found["state"] = "running" if now - at <= SILENCE else "silent"
    if found["state"] == "running":
        found.update({key: monitor.get(key) for key in ("standby", "revision", "intents", "pid", "storm", "no_runs")})
        found["notes"] = report_attention.notes(monitor)
        if monitor.get("lead"):
            found["lead"] = dict(monitor["lead"])
    return found


def _services(
    site: site_model.Site,
    probed: Mapping[str, Mapping[str, Any]],
    observations: Mapping[str, Mapping[str, Any]],
    now: float,
) -> Dict[str, Dict[str, Any]]:
    """Host services: service -> {label, hosts: {host: {state, why, ended}}}; a probe counts more than a pid, but
    unless a port answers on a host where muster runs no such process."""
    found: Dict[str, Dict[str, Any]] = {}
    for service in site.services:
        hosts = {}
        for host in service.hosts:
            probe, seen = (probed.get(service.name) or {}).get(host), observations.get(host) or {}
            pause = ((seen.get("services") or {}).get(service.name) or {}).get("pause")
            if pause and not (probe and probe.get("state") == "healthy"):
                why = "it ended soon after each start on %s, so it starts again after a pause of %d s" % (host, pause)
                hosts[host] = {"state": "stopped", "why": why}
            elif probe and probe.get("state") == "healthy" and _answered_by_a_stranger(service.name, probe, seen, now):
                hosts[host] = {"state": "unhealthy", "why": "what answers on %s is not of muster" % host}
            elif probe and probe.get("state") != "unknown":
                hosts[host] = {"state": probe["state"], "why": probe.get("why") or ""}
            elif seen.get("answer") != SEEN:
                hosts[host] = {"state": "unknown", "why": seen.get("why") or "%s was not asked" % host}
            elif service.name in (seen.get("services") or {}):
                hosts[host] = {"state": "running", "why": ""}
            else:
                hosts[host] = {"state": "stopped", "why": "its process does not run on %s" % host}
            if probe and probe.get("ended"):
                hosts[host]["ended"] = probe["ended"]  # by itself, the last time: {at, how}
        found[service.name] = {"label": service.label or service.name, "hosts": hosts}
    return found


def _answered_by_a_stranger(name: str, probe: Mapping[str, Any], seen: Mapping[str, Any], now: float) -> bool:
    """The host showed no process of the service while its port was answered at already, or one that had only just
    begun: one that cannot listen is tried again and again."""
    if seen.get("answer") != SEEN or "at" not in seen:
        return False
    answered = now - float(probe.get("since") or 0.0)  # since when
    at = float(seen["at"])
    own = seen.get("services", {name: {}}).get(name)
    if own is None:
        return answered <= at
    began = float(own.get("started") or answered)
    return began - answered > CLOCKS_APART and at - began < JUST_BEGUN


def _instances(
    site: site_model.Site,
    state: Mapping[str, Any],
    claims: Mapping[str, Claim],
    observations: Mapping[str, Mapping[str, Any]],
    now: float,
) -> Dict[str, Dict[str, Any]]:
    """Every instance of the site, then those that left it and still hold a host."""
    known = site.by_name()
    left = [name for name, claim in claims.items() if name not in known and claim.holds]
    addresses = {host.name: host.address for host in site.hosts}
    found = {}
    for name in [*known, *sorted(left)]:
        claim = claims.get(name, Claim())
        host = claim.host if claim.holds else None
        seen = ((observations.get(host or "") or {}).get("instances") or {}).get(name) or {}
        instance = known.get(name)
        after = instance.application.after_budget if instance else None
        found[name] = {
            "item": instance.item.id if instance else "",
            "application": instance.application.name if instance else "",
            "on_request": instance.application.on_request if instance else False,
            "bus": None,
            "wanted": state["wanted"].get(name),
            "phase": claim.phase,
            "host": host,
            "target": claim.target,
            "address": addresses.get(host or ""),
            "epoch": claim.epoch,
            "since": claim.since,
            "reason": claim.reason,
            "until": claim.until,
            "charged": _charged(claim),
            "deferred": list(claim.deferred),
            "failed": dict(claim.failed),
            "given": dict(claim.lasting),
            "pending": _pending(claim, now),
            "failures": len(failures.charges(claim, now, site.settings)),
            "failure_budget": site.settings.failure_budget,
            "retry": after.retry if after else None,
            "actor": claim.to_json()["actor"] if claim.actor and claim.actor.deadline > now else None,
            "programs": seen.get("programs") or {},
            "cpu": seen.get("cpu"),
            "memory": seen.get("memory"),
            "ports": instance.ports if instance else {},
            "left_behind": [
                h for h, record in sorted(state["hosts"].items())
                if name in _left_behind(record, site.settings.exclusion)
            ],
            "beyond": _beyond(instance, host, seen, observations) if instance and host else "",
        }
    return found


def _charged(claim: Claim) -> List[List[Any]]:
    """What went wrong with it lately: [at, host, why], the oldest first.

    The latest of each kind by their order: since the clock was set back, times do not tell.
    """
    found = {(f.at, f.host): [f.at, f.host, f.why] for f in (*claim.crashes[-CHARGED:], *claim.failures[-CHARGED:])}
    return [found[key] for key in sorted(found)]


def _beyond(
    instance: site_model.Instance, host: str, seen: Mapping[str, Any], observations: Mapping[str, Mapping[str, Any]]
) -> str:
    """What an instance uses beyond what it reserves, where its application asks to be told; or nothing."""
    application = instance.application
    if not application.learn:
        return ""
    memory = (observations[host].get("load") or {}).get("total_memory") if host in observations else None
    figures = [("load", float(seen.get("cpu") or 0.0), application.loading, "%")]
    if memory:
        used = float(seen.get("memory") or 0.0) * float(memory) / 100
        figures.append(("memory", used, application.takes.get(MEMORY, 0), "MiB"))
    words = ["%.0f %s of %s, and reserves %d" % (used, unit, what, reserved)
             for what, used, reserved, unit in figures if round(used) > reserved]  # fmt: skip
    return "%s uses %s" % (instance.name, "; ".join(words)) if words else ""


def _pending(claim: Claim, now: float) -> Optional[Dict[str, Any]]:
    """The configuration that it has not taken yet, and that as a sentence."""
    if claim.pending is None or not claim.holds:
        return None
    return dict(claim.pending.to_json(), says=changes.said(claim.pending, now))


def _host(
    site: site_model.Site,
    host: site_model.Host,
    state: Mapping[str, Any],
    holding: Sequence[str],
    observations: Mapping[str, Mapping[str, Any]],
    now: float,
) -> Dict[str, Any]:
    record = state["hosts"].get(host.name) or {}
    seen = observations.get(host.name) or {}
    known = site.by_name()
    return {
        "host": host.name,
        "address": host.address,
        "node": host.node,
        "groups": list(host.groups),
        "state": record.get("state", UP),
        "evidence": record.get("evidence", ""),
        "drain": record.get("drain"),
        "planned_drain": record.get("planned"),
        "answer": seen.get("answer", NOT_ASKED),
        "why": seen.get("why", ""),
        "at": seen.get("at") or (now if seen else None),
        "service_manager": seen.get("service_manager"),
        "load": seen.get("load") or {},
        "reserved": sum(known[name].application.loading for name in holding if name in known),
        "limit": host.load_limit,
        "instances": sorted(holding),
        "services": sorted(seen.get("services") or {}),
        "left_behind": _left_behind(record, site.settings.exclusion),
        "lease": _lease(seen.get("lease") or {}),
        "drift": list(seen.get("drift") or []),
        "foreign": list(seen.get("foreign") or []),
    }


def _lease(lease: Mapping[str, Any]) -> str:
    """Of a host: held, lost, waits (for its first one), no guard; empty where it needs none."""
    if lease and lease.get("guard") is False:
        return "no guard"
    return "held" if lease.get("held") else "lost" if lease.get("lost") else "waits" if lease else ""


def _left_behind(record: Mapping[str, Any], exclusion: str) -> List[str]:
    """What may live on, on a host that is believed down; what a person confirmed is known, and what is fenced ended."""
    unsure = (record.get("state"), record.get("by"), exclusion) == (DOWN, MONITOR, "none")
    return list(record.get("left") or []) if unsure else []


def _doubted(host: Dict[str, Any], watched: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """The monitor's suspicion overrides the ledger until a run confirms it.

    A host that came back lately has ``away``: from when until when it did not answer, seconds since 1970.
    """
    verdict = watched.get(host["host"]) or {}
    if verdict.get("away"):
        host["away"] = verdict["away"]
    if host["state"] == UP and verdict.get("state") in (SUSPECT, DOWN):
        host.update(state=SUSPECT, evidence=verdict.get("why") or "")
    return host
