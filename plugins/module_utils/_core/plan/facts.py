# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan depends on: equal facts mean that nothing it touches has changed. Pure.

Site, ledger records, incarnations, states and epochs of what the plan touches; measured figures are no part of them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Set

from ..decide.draft import WHOLE, Draft
from ..model.plan import Action
from ..model.rollout import Rollout
from ..model.site import to_json

Json = Dict[str, Any]
PAUSES = ("pause", "resume")  # what these are about is in no action


def facts(draft: Draft) -> Json:
    """The facts by what they are about, for people too."""
    names = sorted({a.instance for a in draft.actions if a.instance})
    hosts = sorted({h for a in draft.actions for h in (a.host, a.target) if h} | _asked(draft))
    known, state = draft.site.by_name(), draft.state
    instances = [known[n] for n in names if n in known]
    applications = {one.application.name: draft.site.application(one.application.name) for one in instances}
    terms = {one.item.id: one.item.terms for one in instances if one.item.terms is not None}
    return {
        "site": draft.site.name,
        "request": draft.kind,
        "stopped": state.stop.to_json() if state.stop is not None else None,
        "inventory": draft.request.get("inventory"),
        "rollout": _rollout(draft.rollout) if draft.kind in WHOLE and draft.rollout is not None else None,
        **({"pause": {key: state.pauses[key].to_json() for key in state.pauses}} if draft.kind in PAUSES else {}),
        "application": {name: _digest(to_json(applications[name])) for name in sorted(applications)},
        "terms": {item: _digest(to_json(terms[item])) for item in sorted(terms)},
        "instance": {name: _instance(draft, name) for name in names},
        "host": {host: _host(draft, host) for host in hosts},
        "action": _actions(draft.actions),
    }


def _asked(draft: Draft) -> Set[str]:
    """The hosts that the request names: their records count although nothing is done there."""
    named = {str(draft.request.get(key) or "") for key in ("host", "to", "console")}
    return {host for host in named if draft.site_host(host) is not None}


def fingerprint(draft: Draft) -> str:
    """Of the facts."""
    return _digest(facts(draft))


def _instance(draft: Draft, name: str) -> Json:
    state = draft.state
    return {
        "configuration": draft.digests.get(name),
        "wanted": state.wanted[name].to_json() if name in state.wanted else None,
        "claim": state.claims[name].to_json() if name in state.claims else None,
        "move": state.moves[name].to_json() if name in state.moves else None,
        "seen on": {
            host: {"epochs": list(copy.epochs), "programs": sorted(copy.programs)}
            for host, copy in sorted(draft.copies(name).items())
        },
    }


def _rollout(record: Rollout) -> Json:
    """Without its id and times: those of a plan that was saved are others."""
    batches = {"batch %d" % at: list(batch) for at, batch in enumerate(record.batches, 1)}
    return {"state": record.state, "under way": record.at + 1, "goes back": record.back, **batches}


def _host(draft: Draft, host: str) -> Json:
    seen, site_host = draft.observation(host), draft.site_host(host)
    return {
        "site": _digest(to_json(site_host)) if site_host is not None else None,
        "record": draft.state.hosts[host].to_json() if host in draft.state.hosts else None,
        "answer": seen.answer,
        "incarnation": seen.incarnation,
    }


def _actions(actions: List[Action]) -> Json:
    """What is done, by what it is about; several of one instance by their host too."""
    found: Json = {}
    for action in actions:
        words = "%s%s, phase %d" % (action.kind, " to " + action.target if action.target else "", action.phase)
        if action.epoch:
            words += ", epoch %d" % action.epoch
        key = "%s on %s" % (action.instance or "everything", action.host or "no host")
        found.setdefault(key, []).append(words)
    return found


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
