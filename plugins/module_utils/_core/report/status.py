# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document that command line, page and machines read, and its text table. Pure.

The verdict of an item is `report.verdict`'s; here it is laid out beside what the ledger holds and what the hosts
report.
"""

from __future__ import annotations

import textwrap
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..decide import failures
from ..model import sentences
from ..model import site as site_model
from ..model.observation import is_full
from ..model.records import Claim, State
from ..model.words import DOWN, NOT_ASKED, SEEN, SUSPECT, UNREACHABLE, UP
from . import attention as report_attention
from . import readiness
from . import verdict as report_verdict

SCHEMA = 1
CLOCKS_APART = 3.0  # s that the clocks of a host and of its controller may differ
JUST_BEGUN = 10.0  # s
WIDTH = 120
SILENCE = 20.0  # s without a word from the monitor until it does not count as running
RECENT = 90.0  # s; an older observation is shown with its time

_COLOURS = {
    "operational": "32", "running": "32", "up": "32",
    "degraded": "33", "waiting": "33", "starting": "33", "stopping": "33", "suspect": "33", "drained": "33",
    "not operational": "31", "failed": "31", "down": "31", "unreachable": "31",
    "unknown": "35",
    "stopped": "2",
}  # fmt: skip


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
        "counts", "readiness"}``. An item is {item, slot, verdict, cause, services, hci}, the last two the state of
        its worst instance of that kind; ``instances`` has all of them in full; ``bus`` there is what the monitor's
        probe says, {health, why, since}, or nothing. ``readiness`` is `report.readiness.readiness`, and the sentence
        about it in ``says``; the rest is `report.attention.part`.
    """
    watching = _monitor(monitor, now)
    alive = watching["state"] == "running"
    probed = bus_health(monitor) if alive else {}
    view = State.from_json(state)
    claims = dict(view.claims)
    watched = report_verdict.watched(monitor) if alive else {}
    verdicts = report_verdict.verdicts(site, view, observations, probed, now, watched)
    instances = _instances(site, state, claims, observations, now)
    for name, bus in probed.items():
        if name in instances and instances[name]["host"] and bus["epoch"] == instances[name]["epoch"]:
            instances[name]["bus"] = {key: bus[key] for key in ("health", "why", "since")}
    attention = report_attention.part(state, now)
    losses = readiness.readiness(site, state, observations, now, view)
    suspected = monitor.get("hosts") or {} if alive else {}
    held: Dict[str, List[str]] = {}
    for name, claim in claims.items():
        for place in {claim.host, claim.target} - {None} if claim.holds else ():
            held.setdefault(str(place), []).append(name)
    items: List[Dict[str, Any]] = []
    counts: Dict[str, int] = {}
    for item in site.items:
        found = dict(verdicts[item.id])
        for name, status in found.pop("instances").items():
            instances[name].update({key: status[key] for key in ("state", "major", "minor", "cause", "missing")})
        items.append(dict(found, item=item.id, slot=item.slot))
        report_attention.mark_paused(items[-1], attention["pauses"])
        counts[found["verdict"]] = counts.get(found["verdict"], 0) + 1
    return {
        "schema": SCHEMA,
        "site": site.name,
        "site_id": state["meta"].get("site_id", ""),
        "revision": revision,
        "at": now,
        "items": items,
        "hosts": [
            _doubted(_host(site, host, state, held.get(host.name, ()), observations, now), suspected)
            for host in site.hosts
        ],
        "instances": instances,
        "services": _services(site, monitor.get("services") or {} if alive else {}, observations, now),
        "monitor": watching,
        "counts": counts,
        "readiness": dict(losses, says=readiness.sentence(losses)),
        **attention,
    }


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
    return found


def _services(
    site: site_model.Site,
    probed: Mapping[str, Mapping[str, Any]],
    observations: Mapping[str, Mapping[str, Any]],
    now: float,
) -> Dict[str, Dict[str, Any]]:
    """Host services: service -> {label, hosts: {host: {state, why}}}; the monitor's probe counts more than a pid, but
    unless a port answers on a host where muster runs no such process."""
    found: Dict[str, Dict[str, Any]] = {}
    for service in site.services:
        hosts = {}
        for host in service.hosts:
            probe, seen = (probed.get(service.name) or {}).get(host), observations.get(host) or {}
            if probe and probe.get("state") == "healthy" and _answered_by_a_stranger(service.name, probe, seen, now):
                hosts[host] = {"state": "unhealthy", "why": "what answers on %s is not of muster" % host}
            elif probe and probe.get("state") != "unknown":
                hosts[host] = {"state": probe["state"], "why": probe.get("why") or ""}
            elif seen.get("answer") != SEEN:
                hosts[host] = {"state": "unknown", "why": seen.get("why") or "%s was not asked" % host}
            elif service.name in (seen.get("services") or {}):
                hosts[host] = {"state": "running", "why": ""}
            else:
                hosts[host] = {"state": "stopped", "why": "its process does not run on %s" % host}
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
            "deferred": list(claim.deferred),
            "failed": dict(claim.failed),
            "failures": len(failures.charges(claim, now, site.settings)),
            "failure_budget": site.settings.failure_budget,
            "retry": after.retry if after else None,
            "actor": claim.to_json()["actor"] if claim.actor and claim.actor.deadline > now else None,
            "programs": seen.get("programs") or {},
            "cpu": seen.get("cpu"),
            "memory": seen.get("memory"),
            "ports": instance.ports if instance else {},
        }
    return found


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
        "answer": seen.get("answer", NOT_ASKED),
        "why": seen.get("why", ""),
        "at": seen.get("at") or (now if seen else None),
        "service_manager": seen.get("service_manager"),
        "load": seen.get("load") or {},
        "reserved": sum(known[name].application.loading for name in holding if name in known),
        "limit": host.load_limit,
        "instances": sorted(holding),
        "services": sorted(seen.get("services") or {}),
        "drift": list(seen.get("drift") or []),
        "foreign": list(seen.get("foreign") or []),
    }


def _doubted(host: Dict[str, Any], verdicts: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """The monitor's suspicion overrides the ledger until a run confirms it."""
    verdict = verdicts.get(host["host"]) or {}
    if host["state"] == UP and verdict.get("state") in (SUSPECT, DOWN):
        host.update(state=SUSPECT, evidence=verdict.get("why") or "")
    return host


def render_table(document: Mapping[str, Any], width: int = WIDTH, colour: bool = False) -> str:
    """The status document as text: items with verdict and cause, hosts, then common services and the monitor.

    :param width: of the terminal, in characters.
    """
    now = document["at"]
    clock = sentences.clock(now, now, seconds=True)
    head = "site %s, revision %d, %s" % (document["site"], document["revision"], clock)
    items = [
        (
            entry["item"],
            entry["verdict"],
            _place(entry.get("services")),
            _place(entry.get("hci"), on_request=True),
            entry["cause"] or "",
        )
        for entry in document["items"]
    ]
    hosts = [_host_row(entry, now) for entry in document["hosts"]]
    parts = [
        head,
        _table(("ITEM", "VERDICT", "SERVICES", "HCI", "CAUSE"), items, width, colour),
        _table(("HOST", "STATE", "LOAD", "RESERVED", "HOLDS"), hosts, width, colour),
        "\n".join(report_attention.lines(document, now)),
        "\n".join(
            _service_lines(document["services"])
            + [line for line in [readiness.sentence(document["readiness"])] if line]
            + [_monitor_line(document["monitor"], now)]
            + ["  " + note for note in document["monitor"].get("notes") or []]
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _place(part: Optional[Mapping[str, Any]], on_request: bool = False) -> str:
    """Where an instance runs; how it is, when that is not simply running. An HCI that is not open is a dash."""
    if not part or (on_request and part["state"] == "stopped" and not part["host"]):
        return "-"
    if not part["host"]:
        return str(part["state"])
    return str(part["host"]) if part["state"] == "running" else "%s (%s)" % (part["host"], part["state"])


def _host_row(entry: Mapping[str, Any], now: float) -> Tuple[str, ...]:
    state = entry["state"]
    if entry["answer"] == UNREACHABLE and state == UP:
        state = UNREACHABLE
    load = entry["load"]
    known = {"cpu", "memory"} <= load.keys() and state not in (UNREACHABLE, DOWN)  # else it is not of now
    measured = "cpu %.0f %% mem %.0f %%" % (load["cpu"], load["memory"]) if known else "-"
    words = []
    if entry["instances"]:
        words.append(sentences.listing(entry["instances"], most=12))
    if entry["answer"] == UNREACHABLE and entry["why"]:
        words.append(entry["why"])
    elif entry["evidence"] and state != UP:
        words.append(entry["evidence"])
    if (entry.get("drain") or {}).get("until"):
        words.append("used again from %s" % sentences.clock(entry["drain"]["until"], now))
    if entry["answer"] == NOT_ASKED:
        words.append("not asked")
    elif entry["at"] and now - entry["at"] > RECENT:
        words.append("as seen at %s" % sentences.clock(entry["at"], now))
    if entry["answer"] == SEEN and entry["service_manager"] not in (None, "running"):
        words.append("its service manager is %s" % entry["service_manager"])
    if is_full(load):
        words.append("its disk is full, so nothing starts there")
    words.extend(entry["drift"])
    return (entry["host"], state, measured, "%d/%d" % (entry["reserved"], entry["limit"]), "; ".join(words) or "-")


def _service_lines(services: Mapping[str, Mapping[str, Any]]) -> List[str]:
    """``the common bus: healthy on server_1 and server_2, stopped on server_3``"""
    lines = []
    for name in sorted(services):
        states: Dict[str, List[str]] = {}
        for host, entry in services[name]["hosts"].items():
            states.setdefault(entry["state"], []).append(host)
        where = ["%s on %s" % (state, sentences.listing(hosts)) for state, hosts in sorted(states.items())]
        lines.append("%s: %s" % (services[name]["label"], ", ".join(where) or "on no host"))
    return lines


def _monitor_line(monitor: Mapping[str, Any], now: float) -> str:
    if monitor["state"] == "running" and monitor.get("no_runs"):
        found = monitor["no_runs"]
        return "%s %s, so nothing is restarted by itself: %s" % (
            sentences.CANNOT_RUN, sentences.clock(found["since"], now), found["why"])
    if monitor["state"] == "running" and monitor.get("storm"):
        return "monitor: holds: %s" % monitor["storm"]
    if monitor["state"] == "running":
        at_work = monitor.get("intents") or []
        about = sentences.listing(str(entry.get("instance") or entry.get("host")) for entry in at_work)
        return "monitor: running%s" % (", at work on %s" % about if at_work else "")
    if monitor["state"] == "silent":
        said = sentences.clock(monitor["at"], now, seconds=True)
        return "monitor: silent since %s: nothing is restarted by itself until it is back" % said
    return "monitor: not running: nothing is restarted by itself"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], width: int, colour: bool) -> str:
    """Columns as wide as needed; the last one takes the rest of the line and goes on below itself."""
    lines = [tuple(titles), *(tuple(row) for row in rows)]
    if len(lines) == 1:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles) - 1)]
    indent = sum(widths) + 2 * len(widths)
    rest = max(20, width - indent)
    text: List[str] = []
    for number, line in enumerate(lines):
        cells = [cell.ljust(widths[column]) for column, cell in enumerate(line[:-1])]
        if colour:
            cells = [_bold(cell) for cell in cells] if number == 0 else [_coloured(cell) for cell in cells]
        wrapped = textwrap.wrap(line[-1], rest) or [""]
        if colour and number == 0:
            wrapped = [_bold(wrapped[0])]
        text.append(("  ".join(cells) + "  " + wrapped[0]).rstrip())
        text.extend(" " * indent + more for more in wrapped[1:])
    return "\n".join(text)


def _coloured(cell: str) -> str:
    code = _COLOURS.get(cell.strip())
    return "\033[%sm%s\033[0m" % (code, cell) if code else cell


def _bold(cell: str) -> str:
    return "\033[1m%s\033[0m" % cell
