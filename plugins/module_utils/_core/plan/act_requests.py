# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each host is sent in a phase of a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from ..decide.ahead import terms
from ..decide.draft import WHOLE
from ..decide.failures import starting_failure_strategy
from ..model.observation import observed
from ..model.plan import CONFIGURE, HOLD, RELOAD, RESTART, REVIVE, START, STOP, Action, ActRequest, Order, Plan
from ..model.records import Claim, State, apply_changes
from ..model.sequence import application_of
from ..model.shape import with_digests
from ..model.site import Application, Instance, Program, Site
from ..model.switched import switched
from ..model.words import SITE, STARTING, SUSPECT, item_key

Json = Dict[str, Any]
DEADLINE_SHARE = 0.75  # a host's deadline, as a share of its actor's: it has given up before anybody takes over


def act_requests(
    site: Site,
    state: Union[State, Mapping[str, Any]],
    plan: Plan,
    phase: int,
    digests: Optional[Mapping[str, str]] = None,
    config_digests: Optional[Mapping[str, str]] = None,
    observations: Optional[Mapping[str, Any]] = None,
    check: bool = False,
) -> Dict[str, ActRequest]:
    """host -> act request of one phase; hosts with nothing to do are absent.

    Who sends one gives the host ``min(deadline, expires - now)`` seconds, and does not send it after `expires`.

    :param state: the ledger *after* the commit of the plan (phase 1) or of the previous phase's outcome: only what
        the ledger says that this run may start is sent. A start of a later phase is released by `outcome.settle`, when
        every stop before it was confirmed. With `check` nothing was committed, and the plan alone counts.
    :param config_digests: host -> wanted digest of its configuration folder; in phase 1 of deploy and reconcile a host
        whose observed one differs gets a `config`, to which the caller adds the files.
    """
    if check and plan.changes:
        state = apply_changes(state.to_json() if isinstance(state, State) else state, plan.changes)
    view = State.from_json(state)
    newest, shaped = site, with_digests(site, _configurations(view, plan, digests or {}), view.meta)
    site = switched(shaped, view.wanted)
    requests: Dict[str, ActRequest] = {}
    for action in plan.acts:
        if action.phase != phase:
            continue
        claim = view.claims.get(action.instance)
        if not check and action.kind in (START, RESTART) and not _may_start(claim, plan, action):
            continue
        request = requests.get(action.host) or _empty(site, plan)
        if claim is not None and claim.actor is not None and claim.actor.run == plan.run:
            expires = claim.actor.deadline - site.settings.run_timeout * (1 - DEADLINE_SHARE)
            request = replace(request, expires=min(request.expires or expires, expires))
        now = plan.expires - site.settings.run_timeout * DEADLINE_SHARE
        order = _order(site, view, action, digests or {}, now)
        if action.kind in (START, RESTART) and shaped is not newest:
            order = _with_otherwise(order, _order(switched(newest, view.wanted), view, action, digests or {}, now))
        requests[action.host] = replace(request, instances=(*request.instances, order))
    if phase == 1:
        for host in _to_configure(site, plan, config_digests or {}, observations):
            request = requests.get(host) or _empty(site, plan)
            requests[host] = replace(request, config=(config_digests or {}).get(host, ""))
        for action in plan.actions:
            if action.kind == REVIVE:
                host = action.host
                requests[host] = replace(requests.get(host) or _empty(site, plan), revive=True)
            elif plan.kind == "intents" and action.kind == HOLD and _suspect(view, action.host):
                # Nothing is done there, but whether the host answers decides what becomes of all that it holds.
                requests.setdefault(action.host, _empty(site, plan))
    return {
        host: replace(request, expires=request.expires or plan.expires, boot=plan.boots.get(host, ""))
        for host, request in requests.items()
    }


def _configurations(view: State, plan: Plan, digests: Mapping[str, str]) -> Dict[str, str]:
    """Instance -> digest of the configuration that it gets, or of that with which it runs."""
    found = {}
    for action in plan.acts:
        claim = view.claims.get(action.instance)
        runs = claim is not None and claim.holds and action.kind not in (START, RESTART)
        found[action.instance] = claim.digest if claim and runs else action.digest or digests.get(action.instance, "")
    return found


def next_phase(plan: Plan, answers: Mapping[str, Any], phase: int) -> Dict[str, List[str]]:
    """host -> instances that may start in a later phase: those whose stops the answers so far confirm.

    :param answers: host -> its act answer.
    """
    wait = set()
    for action in plan.actions:
        if action.kind == STOP and action.phase < phase:
            result = (answers.get(action.host) or {}).get("results") or {}
            if (result.get(action.instance) or {}).get("result") != "stopped":
                wait.add(action.instance)
    hosts: Dict[str, List[str]] = {}
    for action in plan.acts:
        if action.phase == phase and action.instance not in wait:
            hosts.setdefault(action.host, []).append(action.instance)
    return hosts


def _may_start(claim: Optional[Claim], plan: Plan, action: Action) -> bool:
    return (
        claim is not None
        and (claim.host, claim.epoch, claim.phase) == (action.host, action.epoch, STARTING)
        and claim.actor is not None
        and claim.actor.run == plan.run
    )


def _suspect(state: State, host: str) -> bool:
    record = state.hosts.get(host)
    return record is not None and record.state == SUSPECT


def _empty(site: Site, plan: Plan) -> ActRequest:
    deadline = round(site.settings.run_timeout * DEADLINE_SHARE, 3)
    return ActRequest(plan.run, deadline, 0.0, start_service_manager=plan.kind in WHOLE)


def _to_configure(
    site: Site, plan: Plan, config_digests: Mapping[str, str], observations: Optional[Mapping[str, Any]]
) -> List[str]:
    """Hosts that get a configuration folder, by name."""
    hosts = {action.host for action in plan.actions if action.kind == CONFIGURE}
    if plan.kind in WHOLE and observations:
        held = {action.host for action in plan.actions if action.kind == HOLD and not action.instance}
        for host in site.hosts:
            seen = observed(observations, host.name)
            if host.name in held or host.name not in config_digests:
                continue
            if seen.seen and seen.config != config_digests[host.name]:
                hosts.add(host.name)
    return sorted(hosts)


def _order(site: Site, state: State, action: Action, digests: Mapping[str, str], now: float) -> Order:
    """:param now: when it was planned."""
    name = action.instance
    application = application_of(site, name)
    instance = site.by_name().get(name)
    return Order(
        instance=name,
        do=action.kind,
        epoch=action.epoch,
        urgent=action.urgent,
        reason=action.reason,
        digest=action.digest or digests.get(name, ""),
        environment=_environment(site, state, instance) if instance else {},
        starting_failure_strategy=application.starting_failure_strategy if application else "stop",
        start_timeout=site.settings.start_timeout,
        only=action.programs,
        ports=_ports(instance) if instance else (),
        programs=tuple(_program(application, program, action) for program in application.programs)
        if application
        else (),
        tell=action.tell,
        given=action.values,
        alone=_alone(site, state, instance, now) if instance and action.kind != STOP else None,
    )


def _with_otherwise(order: Order, newest: Order) -> Order:
    """With what goes with the newest configuration, for a host that never had the one of the order."""
    if (order.ports, order.programs) == (newest.ports, newest.programs):
        return order
    return replace(order, otherwise={"ports": list(newest.ports), "programs": list(newest.programs)})


def _alone(site: Site, state: State, instance: Instance, now: float) -> Optional[Json]:
    """What the host may do by itself later; nothing about what is paused."""
    claim = state.claims.get(instance.name)
    if claim is None or SITE in state.pauses or item_key(instance.item.id) in state.pauses:
        return None
    return terms(site, instance.application, claim, now)


def _ports(instance: Instance) -> Tuple[Json, ...]:
    """The ports of an instance; its bus is the one that listens on them."""
    bus = instance.application.bus.program if instance.application.bus else ""
    return tuple({"name": name, "port": port, "program": bus} for name, port in sorted(instance.ports.items()))


def _program(application: Application, program: Program, action: Action) -> Json:
    reload = program.reload if isinstance(program.reload, str) else list(program.reload)
    return {
        **({"reload": reload} if action.kind == RELOAD and reload else {}),
        "name": program.name,
        "start_sequence": program.start_sequence,
        "stop_sequence": program.stop_sequence or program.start_sequence,
        "wait_exit": program.wait_exit,
        "required": program.required,
        "start_timeout": program.start_timeout,
        "stop_timeout": program.stop_timeout,
        "on_timeout": program.on_timeout,
        "waits_for": program.waits_for,
        **({"exit_codes": list(program.ends)} if program.ends else {}),
        **({"ready": dict(program.ready)} if program.ready else {}),
        "starting_failure_strategy": starting_failure_strategy(application, program.name),
    }


def _environment(site: Site, state: State, instance: Instance) -> Dict[str, str]:
    """MUSTER_PEERS: where the peer instance of the same item may be, the host that holds it first. MUSTER_LEASE_LOST,
    where the programs are killed when the host's lease ends."""
    lost = {"MUSTER_LEASE_LOST": "kill"} if instance.application.lease_lost == "kill" else {}
    peer = site.peer_of(instance)
    if peer is None:
        return lost
    claim = state.claims.get(peer.name)
    holder = claim.host if claim is not None and claim.holds else None
    hosts = sorted(peer.application.identifiers, key=lambda h: (h != holder, site.host(h).order))
    addresses: List[str] = []
    for host in hosts:
        if site.host(host).address not in addresses:
            addresses.append(site.host(host).address)
    return {"MUSTER_PEERS": ",".join(addresses), **lost}
