# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document that command line, page and machines read, and its text table. Pure.

The verdict of an item is `_verdict`'s; here it is laid out beside what the ledger holds and what the hosts report.
"""

from __future__ import annotations

import textwrap
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from . import _model, _state, _verdict, _words

SCHEMA = 1
WIDTH = 120

_COLOURS = {
    "operational": "32", "running": "32", "up": "32",
    "degraded": "33", "waiting": "33", "starting": "33", "stopping": "33", "suspect": "33", "drained": "33",
    "not operational": "31", "failed": "31", "down": "31", "unreachable": "31",
    "unknown": "35",
    "stopped": "2",
}  # fmt: skip


def status_document(
    site: _model.Site,
    state: Mapping[str, Any],
    revision: int,
    observations: Mapping[str, Mapping[str, Any]],
    bus_health: Mapping[str, Any],
    now: float,
) -> Dict[str, Any]:
    """Everything a person or program may ask about what runs where, and how well.

    :param state: the ledger's state, JSON.
    :param observations: by host; a host that is missing was not asked. ``at`` (seconds since 1970), when given, says
        when that was seen.
    :param bus_health: instance -> "healthy" | "unhealthy" | "unknown", from the monitor.
    :returns: ``{"schema", "site", "site_id", "revision", "at", "items", "hosts", "instances", "counts"}``.
    """
    verdicts = _verdict.verdicts(site, state, observations, bus_health, now)
    claims = {name: _state.Claim.from_json(record) for name, record in state["claims"].items()}
    items = [dict(verdicts[item.id], item=item.id, slot=item.slot) for item in site.items]
    counts: Dict[str, int] = {}
    for entry in items:
        counts[entry["verdict"]] = counts.get(entry["verdict"], 0) + 1
    return {
        "schema": SCHEMA,
        "site": site.name,
        "site_id": state["meta"].get("site_id", ""),
        "revision": revision,
        "at": now,
        "items": items,
        "hosts": [_host(site, host, state, claims, observations) for host in site.hosts],
        "instances": _instances(site, state, claims, observations, now),
        "counts": counts,
    }


def _instances(
    site: _model.Site,
    state: Mapping[str, Any],
    claims: Mapping[str, _state.Claim],
    observations: Mapping[str, Mapping[str, Any]],
    now: float,
) -> Dict[str, Dict[str, Any]]:
    """Every instance of the site, then those that left it and still hold a host."""
    known = site.by_name()
    left = [name for name, claim in claims.items() if name not in known and claim.holds]
    addresses = {host.name: host.address for host in site.hosts}
    found = {}
    for name in [*known, *sorted(left)]:
        claim = claims.get(name, _state.Claim())
        host = claim.host if claim.holds else None
        seen = ((observations.get(host or "") or {}).get("instances") or {}).get(name) or {}
        instance = known.get(name)
        found[name] = {
            "item": instance.item.id if instance else "",
            "application": instance.application.name if instance else "",
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
            "failures": len(claim.failures),
            "actor": claim.to_json()["actor"] if claim.actor and claim.actor.deadline > now else None,
            "programs": seen.get("programs") or {},
            "cpu": seen.get("cpu"),
            "memory": seen.get("memory"),
            "ports": instance.ports if instance else {},
        }
    return found


def _host(
    site: _model.Site,
    host: _model.Host,
    state: Mapping[str, Any],
    claims: Mapping[str, _state.Claim],
    observations: Mapping[str, Mapping[str, Any]],
) -> Dict[str, Any]:
    record = state["hosts"].get(host.name) or {}
    seen = observations.get(host.name) or {}
    known = site.by_name()
    holding = [name for name, claim in claims.items() if claim.holds and host.name in (claim.host, claim.target)]
    return {
        "host": host.name,
        "address": host.address,
        "node": host.node,
        "groups": list(host.groups),
        "state": record.get("state", _state.UP),
        "evidence": record.get("evidence", ""),
        "answer": seen.get("answer", _state.NOT_ASKED),
        "why": seen.get("why", ""),
        "at": seen.get("at"),
        "service_manager": seen.get("service_manager"),
        "load": seen.get("load") or {},
        "reserved": sum(known[name].application.loading for name in holding if name in known),
        "limit": host.load_limit,
        "instances": sorted(holding),
        "services": sorted(seen.get("services") or {}),
        "drift": list(seen.get("drift") or []),
        "foreign": list(seen.get("foreign") or []),
    }


def render_table(document: Mapping[str, Any], width: int = WIDTH, colour: bool = False) -> str:
    """The status document as text: items with verdict and cause, then hosts. `width` is in characters."""
    head = "site %s, revision %d, %s" % (
        document["site"], document["revision"], _words.clock(document["at"], document["at"], seconds=True)
    )  # fmt: skip
    items = [
        (entry["item"], entry["verdict"], _place(entry.get("services")), _place(entry.get("hci")), entry["cause"] or "")
        for entry in document["items"]
    ]
    hosts = [_host_row(entry) for entry in document["hosts"]]
    parts = [
        head,
        _table(("ITEM", "VERDICT", "SERVICES", "HCI", "CAUSE"), items, width, colour),
        _table(("HOST", "STATE", "LOAD", "RESERVED", "HOLDS"), hosts, width, colour),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _place(part: Optional[Mapping[str, Any]]) -> str:
    """Where an instance runs; how it is, when that is not simply running."""
    if not part:
        return "-"
    state, host = part.get("state") or "", part.get("host")
    if not host:
        return state or "-"
    return host if state in ("", "running") else "%s (%s)" % (host, state)


def _host_row(entry: Mapping[str, Any]) -> Tuple[str, ...]:
    state = entry["state"]
    if entry["answer"] == _state.UNREACHABLE and state == _state.UP:
        state = _state.UNREACHABLE
    load = entry["load"]
    measured = "cpu %.0f %% mem %.0f %%" % (load["cpu"], load["memory"]) if "cpu" in load and "memory" in load else "-"
    words = []
    if entry["instances"]:
        words.append(_words.listing(entry["instances"], most=12))
    if state == _state.UNREACHABLE and entry["why"]:
        words.append(entry["why"])
    elif entry["evidence"] and state != _state.UP:
        words.append(entry["evidence"])
    words.extend(entry["drift"])
    return (entry["host"], state, measured, "%d/%d" % (entry["reserved"], entry["limit"]), "; ".join(words) or "-")


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
