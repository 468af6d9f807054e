# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch list: what the monitor has to look at, as a pure function of site and ledger.

It says which instance is where under which epoch, how its bus is asked, and what its failure means. Nothing measured
and no moment of publishing is in it: the same site and ledger always give the same bytes.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set

from ..model import site as site_model
from ..model.probe import Probe, probe_to_json
from ..model.rollout import GOING
from ..model.shape import as_it_runs
from ..model.words import CURRENT, STOPPED, WATCH_SCHEMA


def watch_document(site: site_model.Site, state: Mapping[str, Any], revision: int) -> Dict[str, Any]:
    """The content of ``watch.json``.

    :param state: the ledger's state as `controller.ledger.Ledger.read` gives it.
    """
    addresses = {host.name: host.address for host in site.hosts}
    instances = as_it_runs(site, state["claims"], state["meta"]).by_name()
    watched = {}
    for name, claim in sorted(state["claims"].items()):
        if claim.get("phase", "free") != "free" and claim.get("host"):
            watched[name] = _instance(instances.get(name), claim, addresses)
    return {
        "schema": WATCH_SCHEMA,
        "revision": revision,
        "site": site.name,
        "site_id": state["meta"].get("site_id", ""),
        "controller": site.controller,
        "instances": watched,
        "services": _services(site, addresses),
        "programs": {application.name: _strategies(application) for application in site.applications},
        "ends": {a.name: ends for a, ends in ((a, _ends(a)) for a in site.applications) if ends},
        "hosts": _hosts(site, state),
        "wanted": {name: _wanted(state, name) for name in sorted(state["wanted"])},
        "moves": {n: move["due"] for n, move in sorted((state.get("moves") or {}).items()) if move.get("due")},
        "pauses": {key: dict(pause) for key, pause in sorted((state.get("pauses") or {}).items())},
        **_rollout(state),
        "settings": site_model.to_json(site.settings),
        "hooks": site_model.to_json(site.hooks),
    }


def _rollout(state: Mapping[str, Any]) -> Dict[str, Any]:
    """When a rollout goes on: a plan made after that goes on with it.

    While a run is at work on its batch that is not before the deadline of that run: each look would only say so.
    """
    record = (state.get("rollouts") or {}).get(CURRENT) or {}
    batches, at = record.get("batches") or (), int(record.get("at") or 0)
    if record.get("state") != GOING or len(batches) < 2:
        return {}
    claims = [state["claims"].get(name) or {} for name in (batches[at] if at >= 0 else ())]
    deadlines = [claim["actor"]["deadline"] for claim in claims if claim.get("actor")]
    return {"rollout": {"due": max([float(record.get("due") or 0.0), *deadlines]),
                        "carrier": str(record.get("carrier") or "")}}  # fmt: skip


def _wanted(state: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the monitor has to care for: nothing, while the whole site is stopped."""
    record: Mapping[str, Any] = state["wanted"][name]
    return dict(record, state=STOPPED) if state["meta"].get(STOPPED) else record


def _instance(
    instance: Optional[site_model.Instance], claim: Mapping[str, Any], addresses: Mapping[str, str]
) -> Dict[str, Any]:
    """One claim; an instance that left the site keeps its claim until it is freed, and has no bus to ask."""
    watched: Dict[str, Any] = {
        "host": claim["host"],
        "address": addresses.get(claim["host"], ""),
        "epoch": claim["epoch"],
        "phase": claim["phase"],
        "target": claim.get("target"),
        "actor": claim.get("actor"),
        "deferred": list(claim.get("deferred") or []),
        "waits_for": "",
        "failed": dict(claim.get("failed") or {}),
        "reason": claim.get("reason", ""),
        "item": "",
        "application": "",
        "bus": None,
    }
    if claim.get("until"):
        watched["until"] = claim["until"]
    if instance is None:
        return watched
    application = instance.application
    watched["item"] = instance.item.id
    watched["application"] = application.name
    for program in application.programs:
        if program.waits_for and program.name in watched["deferred"]:
            watched["waits_for"] = program.waits_for
            break
    if application.bus:
        watched["bus"] = {
            "program": application.bus.program,
            **_asked(application.bus.probe, instance.ports),
            "strategy": application.program(application.bus.program).running_failure_strategy,
        }
        if application.bus.link is not None:
            watched["bus"]["link"] = _asked(application.bus.link, instance.ports)
    return watched


def _strategies(application: site_model.Application) -> Dict[str, str]:
    """What the end of each program of an instance that runs means; gates end, and the bus is probed."""
    bus = application.bus.program if application.bus else ""
    return {
        program.name: program.running_failure_strategy
        for program in application.programs
        if program.start_sequence and not program.is_gate and program.name != bus
    }


def _ends(application: site_model.Application) -> Dict[str, List[int]]:
    """The exit codes with which programs may end while their instance runs."""
    return {p.name: list(p.ends) for p in application.programs if p.start_sequence and not p.is_gate and p.ends}


def _asked(probe: Probe, ports: Mapping[str, int]) -> Dict[str, Any]:
    """How and at which port; several probes find theirs by name."""
    asked: Dict[str, Any] = {"probe": probe_to_json(probe), "port": ports.get(probe.port)}
    if probe.probes:
        asked["ports"] = dict(ports)
    return asked


def _services(site: site_model.Site, addresses: Mapping[str, str]) -> Dict[str, Dict[str, Any]]:
    """Host services that can be asked: service -> host -> where and how."""
    found: Dict[str, Dict[str, Any]] = {}
    for service in site.services:
        if service.probe is None:
            continue
        found[service.name] = {
            host: {
                "address": addresses.get(host, ""),
                **_asked(service.probe, service.ports),
                "label": service.label or service.name,
            }
            for host in service.hosts
        }
    return found


def _hosts(site: site_model.Site, state: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
    """Every host of the site as the ledger knows it, and how it is reached; one it never heard of is taken for up."""
    known, serving = state["hosts"], _serving(site, state)
    return {
        host.name: dict(
            known.get(host.name, {"state": "up"}),
            until=_until(known.get(host.name)),
            address=host.address,
            root=host.root,
            connection=host.connection,
            serves=host.name in serving,
            **({"ssh": dict(host.ssh)} if host.ssh else {}),
        )
        for host in site.hosts
    }


def _serving(site: site_model.Site, state: Mapping[str, Any]) -> Set[str]:
    """Hosts that hold or may hold services: where many of these fall silent together, the controller may be cut off."""
    found = {name for a in site.applications if not a.on_request for name in a.identifiers}
    found.update(name for service in site.services for name in service.hosts)
    instances = site.by_name()
    for name, claim in state["claims"].items():
        windows = name in instances and instances[name].application.on_request
        if claim.get("phase", "free") != "free" and claim.get("host") and not windows:
            found.add(claim["host"])
    return found


def _until(record: Optional[Mapping[str, Any]]) -> Optional[float]:
    """When a drained host is used again by itself, or one is to be drained: a plan made after that does it."""
    known = record or {}
    times = [(known.get("drain") or {}).get("until"), (known.get("planned") or {}).get("since")]
    return min((at for at in times if at is not None), default=None)
