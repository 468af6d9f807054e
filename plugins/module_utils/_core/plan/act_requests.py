# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each host is sent in a phase of a plan."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Union

from ..decide.draft import WHOLE
from ..decide.failures import starting_failure_strategy
from ..model.observation import observed
from ..model.plan import ACTS
from ..model.records import Claim, State, apply_changes
from ..model.sequence import application_of
from ..model.site import Application, Instance, Program, Site, instance_name
from ..model.words import STARTING

Json = Dict[str, Any]
DEADLINE_SHARE = 0.75  # a host's deadline, as a share of its actor's: it has given up before anybody takes over


def act_requests(
    site: Site,
    state: Union[State, Mapping[str, Any]],
    plan: Mapping[str, Any],
    phase: int,
    digests: Optional[Mapping[str, str]] = None,
    config_digests: Optional[Mapping[str, str]] = None,
    observations: Optional[Mapping[str, Any]] = None,
    check: bool = False,
) -> Dict[str, Json]:
    """host -> act request of one phase; hosts with nothing to do are absent.

    Each has ``deadline``, seconds that the host may take, and ``expires``, the moment on the controller's clock by
    which all must be over: whoever sends it takes ``min(deadline, expires - now)``, and does not send it late.

    :param state: the ledger *after* the commit of the plan (phase 1) or of the previous phase's outcome: only what
        the ledger says that this run may start is sent. A start of a later phase is released by `settle`, when every
        stop before it was confirmed. With `check` nothing was committed, and the plan alone counts.
    :param config_digests: host -> wanted digest of its configuration folder; in phase 1 of deploy and reconcile a host
        whose observed one differs is sent ``config: {digest}``, to which the caller adds ``files``.
    """
    if check and plan["changes"]:
        state = apply_changes(state.to_json() if isinstance(state, State) else state, plan["changes"])
    view = State.from_json(state)
    requests: Dict[str, Json] = {}
    for action in plan["actions"]:
        if action["phase"] != phase or action["action"] not in ACTS:
            continue
        claim = view.claims.get(action["instance"])
        if not check and action["action"] in ("start", "restart") and not _may_start(claim, plan, action):
            continue
        request = requests.setdefault(action["host"], _empty(site, plan))
        if claim is not None and claim.actor is not None and claim.actor.run == str(plan["run"]):
            expires = claim.actor.deadline - site.settings.run_timeout * (1 - DEADLINE_SHARE)
            request["expires"] = min(request["expires"] or expires, expires)
        request["instances"].append(_entry(site, view, action, digests or {}))
    if phase == 1:
        _add_configuration(site, plan, requests, config_digests or {}, observations)
        for action in plan["actions"]:
            if action["action"] == "revive":
                requests.setdefault(action["host"], _empty(site, plan))["revive"] = True
    for request in requests.values():
        request["expires"] = request["expires"] or plan["expires"]
    return requests


def next_phase(
    site: Site, state: Union[State, Mapping[str, Any]], plan: Mapping[str, Any], answers: Mapping[str, Any], phase: int
) -> Dict[str, List[str]]:
    """host -> instances that may start in a later phase: those whose stops the answers so far confirm."""
    wait = set()
    for action in plan["actions"]:
        if action["action"] == "stop" and action["phase"] < phase:
            result = (answers.get(action["host"]) or {}).get("results") or {}
            if (result.get(action["instance"]) or {}).get("result") != "stopped":
                wait.add(action["instance"])
    hosts: Dict[str, List[str]] = {}
    for action in plan["actions"]:
        if action["phase"] == phase and action["action"] in ACTS and action["instance"] not in wait:
            hosts.setdefault(action["host"], []).append(action["instance"])
    return hosts


def _may_start(claim: Optional[Claim], plan: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
    return (
        claim is not None
        and (claim.host, claim.epoch, claim.phase) == (action["host"], action["epoch"], STARTING)
        and claim.actor is not None
        and claim.actor.run == str(plan["run"])
    )


def _empty(site: Site, plan: Mapping[str, Any]) -> Json:
    return {
        "run": plan["run"],
        "deadline": round(site.settings.run_timeout * DEADLINE_SHARE, 3),
        "expires": 0.0,
        "start_service_manager": plan["request"]["kind"] in WHOLE,
        "config": None,
        "instances": [],
    }


def _add_configuration(
    site: Site,
    plan: Mapping[str, Any],
    requests: Dict[str, Json],
    config_digests: Mapping[str, str],
    observations: Optional[Mapping[str, Any]],
) -> None:
    hosts = {action["host"] for action in plan["actions"] if action["action"] == "configure"}
    if plan["request"]["kind"] in WHOLE and observations:
        held = {a["host"] for a in plan["actions"] if a["action"] == "hold" and not a["instance"]}
        for host in site.hosts:
            seen = observed(observations, host.name)
            if host.name in held or host.name not in config_digests:
                continue
            if seen.seen and seen.config != config_digests[host.name]:
                hosts.add(host.name)
    for host in sorted(hosts):
        requests.setdefault(host, _empty(site, plan))["config"] = {"digest": config_digests.get(host, "")}


def _entry(site: Site, state: State, action: Mapping[str, Any], digests: Mapping[str, str]) -> Json:
    name = action["instance"]
    application = application_of(site, name)
    instance = site.by_name().get(name)
    return {
        "instance": name,
        "do": action["action"],
        "epoch": action["epoch"],
        "urgent": action["urgent"],
        "reason": action["reason"],
        "digest": digests.get(name) or action.get("digest") or "",
        "environment": _environment(site, state, instance) if instance else {},
        "starting_failure_strategy": application.starting_failure_strategy if application else "stop",
        "start_timeout": site.settings.start_timeout,
        "only": action["programs"],
        "ports": _ports(instance) if instance else [],
        "programs": [_program(application, program) for program in application.programs] if application else [],
    }


def _ports(instance: Instance) -> List[Json]:
    """The ports of an instance; its bus is the one that listens on them."""
    bus = instance.application.bus.program if instance.application.bus else ""
    return [{"name": name, "port": port, "program": bus} for name, port in sorted(instance.ports.items())]


def _program(application: Application, program: Program) -> Json:
    return {
        "name": program.name,
        "start_sequence": program.start_sequence,
        "stop_sequence": program.stop_sequence or program.start_sequence,
        "wait_exit": program.wait_exit,
        "required": program.required,
        "start_timeout": program.start_timeout,
        "stop_timeout": program.stop_timeout,
        "on_timeout": program.on_timeout,
        "waits_for": program.waits_for,
        "starting_failure_strategy": starting_failure_strategy(application, program.name),
    }


def _environment(site: Site, state: State, instance: Instance) -> Dict[str, str]:
    """MUSTER_PEERS: where the peer instance of the same item may be, the host that holds it first."""
    peer = instance.application.peer
    if not peer:
        return {}
    claim = state.claims.get(instance_name(peer, instance.item.id))
    holder = claim.host if claim is not None and claim.holds else None
    hosts = sorted(site.application(peer).identifiers, key=lambda h: (h != holder, site.host(h).order))
    addresses: List[str] = []
    for host in hosts:
        if site.host(host).address not in addresses:
            addresses.append(site.host(host).address)
    return {"MUSTER_PEERS": ",".join(addresses)}
