# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each application of an item is, and why each candidate host is or is not suitable. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ..decide import corrections
from ..decide.draft import Draft, PlanError
from ..decide.failures import avoided_hosts
from ..model.item import NO_TERMS
from ..model.observation import Observation, observed
from ..model.records import Claim, State
from ..model.sentences import clock, did_you_mean, kinds, listing, number
from ..model.site import Instance, Site, instance_name
from ..place.greedy import preferred
from ..place.loads import Fleet, host_loads
from ..place.pending import pending_of
from ..place.place import explain, place
from ..place.ties import neighbours, ties_of
from ..plan import figures

Json = Dict[str, Any]

_CHOICES = {
    "config": "the first host of that list with room",
    "less_loaded": "the least loaded host with room",
    "most_loaded": "the most loaded host with room",
    "less_loaded_node": "a host with room on the least loaded machine",
    "most_loaded_node": "a host with room on the most loaded machine",
    "local": "the console of who asks",
}


def explain_item(site: Site, state: Mapping[str, Any], observations: Mapping[str, Any], item: str, now: float) -> Json:
    """Every application of an item, with all of its candidate hosts.

    :param item: its id, or the name of one of its instances: then only that one.
    :param observations: by host; one that was not asked is taken for what the ledger says of it.
    :returns: {item, applications}: per application {instance, application, wanted, phase, host, epoch, since, where,
        rule, load, choice, candidates}. ``choice`` is where it would be placed if it had to be placed now;
        candidates, the best one first, are {host, verdict, why, fits, load, limit, reserved, effective}, with verdict
        "holds it", "first choice", "fits", "no room" or "ruled out". What the instance itself reserves and uses is not
        counted against it.
    :raises PlanError: when the site has no such item.
    """
    names = _names(site, item)
    ledger = State.from_json(state)
    seen = corrections.as_claimed(site, ledger, observations)
    views = {host.name: observed(seen, host.name) for host in site.hosts}
    applications = [_application(site, ledger, views, site.instance(name), now) for name in names]
    row = site.instance(names[0]).item.id if names else item
    return {"item": row, "applications": applications}


def _names(site: Site, item: str) -> List[str]:
    known = site.by_name()
    if item in known:
        return [item]
    ids = [entry.id for entry in site.rows]
    if item not in ids:
        error = PlanError("there is no item %s in this site%s" % (item, did_you_mean(item, ids + list(known))))
        error.unknown = True
        raise error
    named = (instance_name(application.name, item) for application in site.applications)
    return [name for name in named if name in known]


def _application(
    site: Site, ledger: State, views: Mapping[str, Observation], instance: Instance, now: float
) -> Json:  # fmt: skip
    name, application = instance.name, instance.application
    draft = Draft(site, ledger, views, {"kind": "reconcile"}, now, "", {})
    claim, wanted = draft.claim(name), ledger.wanted.get(name)
    console = wanted.host if wanted is not None else None
    return {
        "instance": name,
        "application": application.name,
        "wanted": wanted.to_json() if wanted is not None else None,
        "phase": claim.phase,
        "host": claim.host if claim.holds else None,
        "epoch": claim.epoch,
        "since": claim.since,
        "where": _where(draft, name, claim),
        "rule": _rule(site, instance),
        "load": application.loading,
        **_candidates(draft, views, instance, claim, console),
    }


def _where(draft: Draft, name: str, claim: Claim) -> str:
    since = " since %s" % clock(claim.since, draft.now) if claim.since else ""
    if claim.holds:
        moving = ", moving to %s" % claim.target if claim.target else ""
        return "%s on %s%s%s" % (claim.phase, claim.host, since, moving)
    if claim.phase == "failed" and claim.until:
        return "waits%s: %s" % (since, claim.reason)
    if claim.phase == "failed":
        return "failed on %s%s: %s" % (claim.host, since, claim.reason)
    if draft.is_started(name):
        return "wanted, but it holds no host%s" % (": " + claim.reason if claim.reason else "")
    return "not wanted anywhere%s" % (": " + draft.wanted(name).why if draft.wanted(name).why else "")


def _rule(site: Site, instance: Instance) -> str:
    application = instance.application
    words = [
        "it may run on %s" % kinds(site, application.identifiers_as_written),
        "%s (%s) takes it" % (_CHOICES[application.starting_strategy], application.starting_strategy),
        "it reserves %d %% there" % application.loading,
    ]
    return "; ".join(words + _terms(site, instance))


def _terms(site: Site, instance: Instance) -> List[str]:
    """What holds for its item only."""
    terms, ties = instance.item.terms or NO_TERMS, ties_of(site, instance.name)
    liked = terms.prefer.get(instance.application.name)
    words = ["it prefers %s before others" % listing(liked)] if liked else []
    for groups, word in ((ties.apart, "never on a node with"), (ties.together, "on the node of")):
        others = neighbours(site, instance, groups)
        words += ["%s item %s" % (word, listing(others))] if others else []
    if terms.priority:
        words.append("its priority is %d%s" % (
            terms.priority, ", and lower ones stop for it" if terms.displace else ""))  # fmt: skip
    return words


def _candidates(
    draft: Draft, views: Mapping[str, Observation], instance: Instance, claim: Claim, console: Optional[str]
) -> Json:
    """As if it had no place yet: its own reservation must not count against it."""
    site, name, application = draft.site, instance.name, instance.application
    claims = {other: c for other, c in draft.claims().items() if other != name}
    others: Dict[str, Observation] = {host: _without(view, name) for host, view in views.items()}
    fleet = Fleet(host_loads(site, claims, others).values())
    avoided = avoided_hosts(claim, draft.now, site.settings)
    ruled_out = {host: why for host in application.identifiers for why in [figures.unfit(draft, host)] if why}
    if application.on_request and console:
        taken = {h: "it is opened on %s" % console for h in application.identifiers if h != console}
        ruled_out = dict(taken, **ruled_out)
    fit = [host for host in application.identifiers if host not in ruled_out]
    ranked = preferred(fit, application.starting_strategy, fleet)
    ties, liked = ties_of(site, name), set(pending_of(site, instance, tuple(fit)).prefer)
    ranked.sort(key=lambda h: (h in avoided, h not in liked))
    choice: Optional[str] = None
    for hosts in ([h for h in fit if h not in avoided], fit):
        pending = pending_of(site, instance, tuple(hosts))
        choice = choice or place([pending], fleet.loads.values())[name]
    if application.starting_strategy == "local" and not console:
        choice = None
    rows = []
    for row in explain(application.loading, [*ranked, *sorted(ruled_out, key=_order(site))], fleet, ruled_out, ties):
        entry = row.to_json()
        holds = claim.holds and claim.host == row.host
        if holds:
            entry["verdict"] = "holds it"
        elif row.host in ruled_out:
            entry["verdict"] = "ruled out"
        else:
            entry["verdict"] = "first choice" if row.host == choice else "fits" if row.fits else "no room"
        if row.host in avoided:
            entry["why"] = "%s; it failed to start there lately, so another host is tried first" % row.why
        if row.effective and row.host not in ruled_out:
            entry["why"] = "%s; effective load %s" % (entry["why"], number(row.effective))
        rows.append(entry)
    rows.sort(key=lambda entry: (not entry["fits"], entry["verdict"] == "ruled out"))
    return {"choice": choice, "candidates": rows}


def _order(site: Site) -> Any:
    return lambda host: site.host(host).order


def _without(view: Observation, name: str) -> Observation:
    if name not in view.instances:
        return view
    instances = {other: copy for other, copy in view.instances.items() if other != name}
    return Observation(**dict(view.__dict__, instances=instances))
