# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is wanted, claimed and seen to a plan: ordered actions, each with its reason.

`make_plan` is a pure function: the same site, ledger, observations, request and clock give the same plan. Nothing of
it may be acted on before its changes are committed. What follows a plan is in `plan.act_requests` and `plan.outcome`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Union

from ..arrange import verbs
from ..decide import alone, drains, notices, pauses, rollouts
from ..decide.draft import WHOLE, Draft, Json, PlanError
from ..decide.keep_running import waits_for
from ..decide.reconcile import reconcile
from ..model.observation import Observation, observed, unseen
from ..model.plan import (
    ADD,
    CONFIGURE,
    CONTINUE,
    END,
    FREE_CLAIM,
    GRANT,
    HOLD,
    REFUSE,
    RELOAD,
    RENEW,
    REPAIR,
    RESTART,
    REVIVE,
    SIGNAL,
    START,
    STOP,
    Action,
    Plan,
)
from ..model.records import HostRecord, State
from ..model.request import renamed
from ..model.sentences import listing, span
from ..model.sequence import application_of
from ..model.shape import SHAPES, as_it_runs, kept
from ..model.site import Site
from ..model.switched import switched
from ..model.words import DOWN, DRAINED, FREE, MUSTER, RUNNING, SUSPECT, UNREACHABLE, UP
from ..place.ties import broken
from ..requests import ask, confirm
from ..requests.drain import refuse_unless_forced
from . import facts, intents, readiness
from .act_requests import DEADLINE_SHARE
from .assign import Batch
from .figures import unfit

# Of the actions of one phase; a host carries them out in an order of its own.
ORDER = (
    REFUSE, CONFIGURE, REVIVE, FREE_CLAIM, STOP, RESTART, RELOAD, SIGNAL, END, RENEW, ADD, REPAIR, CONTINUE, START,
    GRANT, HOLD,
)  # fmt: skip


def make_plan(
    site: Site,
    state: Union[State, Mapping[str, Any]],
    revision: int,
    observations: Mapping[str, Any],
    request: Mapping[str, Any],
    now: float,
    run: str,
    digests: Mapping[str, str],
    config_digests: Optional[Mapping[str, str]] = None,
    process: str = "",
) -> Plan:
    """Plan one run.

    :param observations: by host; a host that is missing was not asked, which holds what is claimed there.
    :param digests: instance -> digest of its configuration as it should be.
    :param config_digests: host -> digest of its whole configuration folder, for the `configure` actions.
    :param now: seconds since 1970.
    :param process: of the run, see `model.claim.Actor`.
    :returns: the plan. With a REFUSE among the actions there are no others, and no changes: a request is accepted
        whole or not at all.
    :raises PlanError: when no plan may be made at all, with a sentence for a person.
    """
    request, state = renamed(request), State.from_json(state)
    described = site
    site = switched(as_it_runs(site, state.claims, state.meta), state.wanted)
    if request.get("kind") == "confirm_down":
        request = dict(request, **{confirm.HEARD: confirm.heard(request, observations, now)})
    for host, why in intents.dead_hosts(request).items():
        observations = dict(observations, **{host: unseen(host, UNREACHABLE, why)})
    draft = _draft(site, state, observations, request, now, run, digests)
    draft.actor = replace(draft.actor, process=process)
    _same_controller(draft)
    _returned_hosts(draft)
    drains.expire(draft)
    drains.begin(draft)
    pauses.expire(draft)
    rollouts.advance(draft, readiness.lost)
    intents.suspect(draft)
    outcomes: List[Json] = []
    if draft.kind == "intents":
        outcomes = intents.follow(draft)
    else:
        names = verbs.ask(draft, unfit)
        if not draft.refused:
            for name in names:
                reconcile(draft, name)
            if draft.kind not in (*WHOLE, *verbs.SILENT):
                ask.answer_named(draft, names)
    if draft.moves and not draft.refused:
        Batch(draft).resolve()
    if draft.kind == "drain" and not draft.refused:
        refuse_unless_forced(draft)
    if draft.kind == "confirm_down" and not draft.refused:
        confirm.refuse_if_it_answers(draft)
    if draft.kind in WHOLE:
        _configure(draft, config_digests or {})
        _revive(draft)
        notices.drift_over(draft)
        _neighbours(draft)
    if draft.kind in alone.KINDS and not draft.refused:
        alone.grant(draft, site.by_name())
    refusals = [action for action in draft.actions if action.kind == REFUSE]
    if refusals:
        refused = _draft(site, state, observations, request, now, run, digests)
        for action in refusals:
            refused.note("refused to %s" % draft.kind, action.reason, "refused", action.instance or "")
        refused.actions, refused.candidates, draft = refusals, draft.candidates, refused
    _shapes(draft, described)
    _phases(draft)
    order = (HOLD,) + ORDER if draft.kind == "drain" else ORDER  # what cannot leave comes first
    draft.actions.sort(key=lambda action: (action.phase, order.index(action.kind)))
    _summary(draft)
    return Plan(
        run=run,
        revision=revision,
        expires=now + site.settings.run_timeout * DEADLINE_SHARE,
        fingerprint=facts.fingerprint(draft),
        request={
            **{key: request.get(key) for key in ("kind", "who", "from", "why", "host", "console", "keep")},
            **({"plan": request["plan"]} if request.get("plan") else {}),
        },
        actions=tuple(draft.actions),
        changes=draft.changes(),
        trail=draft.trail,
        candidates=draft.candidates,
        intents=outcomes,
        waits=draft.waits,
        turns=draft.turns,
        boots=_boots(draft),
        again_after=rollouts.again_after(draft),
        facts=facts.facts(draft) if request.get("facts") else {},
    )


def _shapes(draft: Draft, described: Site) -> None:
    """Keep the shapes of the configurations that run, may start again, or are the site's."""
    if draft.kind not in WHOLE:
        return
    used = [claim.digest for claim in draft.claims().values()]
    record = draft.rollout
    if record is not None:
        used += [*record.sources.values(), *record.targets.values()]
    shapes = kept(described, draft.described.values(), used, draft.state.meta)
    if shapes is not None:
        draft.meta[SHAPES] = shapes


def _boots(draft: Draft) -> Dict[str, str]:
    """Boot ids of the hosts that act on instances.

    A host that is down frees its claims although a run is at work there, because a reboot ends all that the run began.
    A request of that run that reaches the host after the reboot must not start anything: the host may never have seen
    the epoch under which the instance runs elsewhere since.
    """
    hosts = sorted({action.host for action in draft.actions if action.acts})
    boots = {host: draft.observation(host).boot for host in hosts}
    return {host: boot for host, boot in boots.items() if boot}


def _draft(
    site: Site,
    state: Union[State, Mapping[str, Any]],
    observations: Mapping[str, Any],
    request: Mapping[str, Any],
    now: float,
    run: str,
    digests: Mapping[str, str],
) -> Draft:
    views: Dict[str, Observation] = {host.name: observed(observations, host.name) for host in site.hosts}
    return Draft(site, State.from_json(state), views, request, now, str(run), digests)


def _same_controller(draft: Draft) -> None:
    """Hosts that carry the mark of another site or controller, or of a ledger that was lost, stop everything."""
    ours = str(draft.state.meta.get("site_id") or "")
    empty = not draft.state.claims
    for host, seen in draft.observations.items():
        if not seen.seen or not (seen.site_id or seen.controller):
            continue
        if seen.site_id and seen.site_id != ours:
            sentence = "%s belongs to the site %s, this ledger to %s" % (host, seen.site_id, ours or "none yet")
            if seen.site_id.rpartition("-")[0] == draft.site.name and empty:
                sentence += ", and this ledger is empty: it was lost (restore it), or this is another checkout"
            raise PlanError(sentence)
        if seen.controller and seen.controller not in (draft.site.controller, *draft.site.controllers):
            raise PlanError(
                "%s is controlled from %s, this run comes from %s: one site has one ledger"
                % (host, seen.controller, draft.site.controller)
            )
        alive = sorted(name for name, copy in seen.instances.items() if copy.live)
        if empty and alive:
            raise PlanError(
                "%s runs %s, but the ledger is empty: it was lost; restore it, or stop what runs there by hand"
                % (host, listing(alive))
            )


def _returned_hosts(draft: Draft) -> None:
    """Seeing a host is evidence: what was believed down or suspect is up, and its incarnation is noted."""
    for host, seen in draft.observations.items():
        if not seen.seen:
            continue
        known = draft.state.hosts.get(host)
        if known is None:
            if seen.prepared and draft.kind in WHOLE:
                draft.set_host(host, HostRecord(UP, seen.incarnation, draft.now, "it answered", MUSTER))
            continue
        record = known
        if known.state in (DOWN, SUSPECT):
            record = drains.returned(known, draft.now)
            what = "%s is back" % host + (", and still drained" if record.state == DRAINED else "")
            why = "it answers again; it was %s for %s" % (known.state, span(max(0.0, draft.now - known.since)))
            draft.note(what, why, host=host, who=MUSTER)
        if seen.incarnation and seen.incarnation != record.incarnation:
            record = replace(record, incarnation=seen.incarnation)
        if record != known:
            draft.set_host(host, record)


def _configure(draft: Draft, config_digests: Mapping[str, str]) -> None:
    for host in draft.site.hosts:
        wanted, seen = config_digests.get(host.name), draft.observations[host.name]
        if not wanted or not seen.seen or seen.config == wanted:
            continue
        why = listing(seen.drift, most=3) or "%s does not have the configuration that the site describes" % host.name
        held = pauses.site_paused(draft) or notices.files_changed(draft, host.name, seen.drift)
        if held:
            draft.hold(None, host.name, "%s, so its configuration stays as it is: %s" % (held, why))
            continue
        draft.configure(host.name, why)


def _revive(draft: Draft) -> None:
    """A service manager that does not run is started with what is started there, and where that is nothing, too.

    Host services need it, and without it the host would stay suspect. A host service that somebody stopped is started.
    """
    starting = {a.host for a in draft.actions if a.kind in (START, RESTART, REPAIR, CONTINUE, RENEW)}
    starting.update(a.target for a in draft.actions if a.target)
    if pauses.site_paused(draft):
        return
    for host in draft.site.hosts:
        seen = draft.observations[host.name]
        if not (seen.seen and seen.prepared):
            continue
        if seen.service_manager == "stopped" and host.name not in starting:
            draft.revive(host.name, "its service manager does not run")
        idle = [s.label or s.name for s in draft.site.services if host.name in s.hosts and s.name not in seen.services]
        if seen.service_manager == "running" and idle:
            draft.revive(host.name, "%s %s not run there" % (listing(idle), "does" if len(idle) == 1 else "do"))


def _neighbours(draft: Draft) -> None:
    """Tell where items are beside each other otherwise than the site says: that moves nothing that runs."""
    names = {host.name for host in draft.site.hosts}
    places = {name: str(claim.host) for name, claim in draft.claims().items()
              if claim.phase == RUNNING and claim.host in names}  # fmt: skip
    for name, host, why in broken(draft.site, places):
        draft.hold(name, host, "%s stays on %s for now, although %s" % (name, host, why))


def _phases(draft: Draft) -> None:
    """Phase 1 holds all that waits for no other host; starts follow their application's start_sequence, and what is
    stopped for good its stop_sequence."""
    _stop_phases(draft)
    sequence = {
        action.instance: draft.site.instance(action.instance).application.start_sequence
        for action in draft.actions
        if action.kind == START
    }
    ranks = sorted({rank for rank in sequence.values() if rank})
    stopped = {action.instance: action.phase for action in draft.actions if action.kind == STOP}
    for position, action in enumerate(draft.actions):
        if action.kind == START:
            rank = sequence[action.instance]
            phase = (ranks.index(rank) + 1 if rank else 1) + stopped.get(action.instance, 0)
            draft.actions[position] = replace(action, phase=phase)
    used = sorted({action.phase for action in draft.actions} | {1})
    draft.actions[:] = [replace(action, phase=used.index(action.phase) + 1) for action in draft.actions]


def _stop_phases(draft: Draft) -> None:
    """Greatest stop_sequence first; with 0 an application waits for no other one, and none waits for it. What makes
    room for a move, what is urgent and what no claim allows is stopped at once."""
    sequence: Dict[str, int] = {}
    for action in draft.actions:
        if action.kind == STOP and action.after == FREE and not action.urgent:
            application = application_of(draft.site, action.instance)
            sequence[action.instance] = application.stop_sequence if application else 0
    ranks = sorted({rank for rank in sequence.values() if rank}, reverse=True)
    for position, action in enumerate(draft.actions):
        rank = sequence.get(action.instance, 0)
        if rank and action.kind == STOP and action.after == FREE:
            draft.actions[position] = replace(action, phase=ranks.index(rank) + 1)


def _summary(draft: Draft) -> None:
    """One line of the trail about the whole run, so that a run cut short can be read there."""
    acts = [
        "%s %s on %s" % (a.kind, a.instance, a.host)
        for a in draft.actions
        if a.instance and a.kind not in (HOLD, REFUSE, FREE_CLAIM, GRANT)
    ]
    if acts and not all(_asked_again(draft, a) for a in draft.actions if a.acts):
        kind = " (%s)" % draft.kind if draft.kind != "intents" else ""  # what the monitor found out, which `why` tells
        draft.note("run %s%s begins: %s" % (draft.run, kind, listing(acts, most=12)), draft.why)


def _asked_again(draft: Draft, action: Action) -> bool:
    """Whether a gate that waits is only run again, at every look: no news for the trail."""
    instance = draft.site.by_name().get(action.instance)
    return action.kind == CONTINUE and instance is not None and not waits_for(instance, draft.claim(instance.name))
