# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor asks a run for: restart or stop after a bus failure, continue behind a gate that opened.

An intent is bound to the epoch it was made under: once the claim has another one, it is satisfied and dropped.
These runs trust the ledger for where an instance is, and the host takes a fresh look before it acts; so a host that
was not asked beforehand holds nothing up here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ._ask import restart, start, stop
from ._draft import Draft
from ._model import Instance
from ._policy import bus_failure
from ._reconcile import reconcile
from ._running import apply_strategy
from ._state import DOWN, RUNNING, STARTING, SUSPECT, UNREACHABLE

BUS_CAUSES = ("bus crash", "bus hang")


def _urgency(intent: Mapping[str, Any]) -> Tuple[int, float]:
    return (0 if intent.get("cause") in BUS_CAUSES else 1, float(intent.get("at") or 0.0))


def follow(draft: Draft) -> List[Dict[str, Any]]:
    """Act on every queued intent, one action per instance; what became of each: acted, held or dropped, and why."""
    outcomes: List[Dict[str, Any]] = []
    taken: Dict[str, str] = {}
    for intent in sorted(draft.request.get("intents") or (), key=_urgency):
        name = str(intent.get("instance"))
        if name in taken:
            outcome, why = "dropped", "another intent of this run is about %s: %s" % (name, taken[name])
        else:
            actions = len(draft.actions)
            outcome, why = _one(draft, intent, name)
            if outcome != "dropped":
                taken[name] = why
            if outcome == "held" and len(draft.actions) == actions:
                draft.hold(name, draft.claim(name).host, why)
        if outcome == "dropped":
            draft.note("an intent about %s was dropped" % name, why, "dropped", name)
        outcomes.append({"id": intent.get("id"), "instance": name, "outcome": outcome, "why": why})
    return outcomes


def _one(draft: Draft, intent: Mapping[str, Any], name: str) -> Tuple[str, str]:
    instance = draft.site.by_name().get(name)
    if instance is None:
        return "dropped", "%s is not in the site" % name
    cause = str(intent.get("cause") or "request")
    if cause == "request":
        return _person(draft, intent, name)
    claim = draft.claim(name)
    epoch = intent.get("epoch")
    if epoch is not None and int(epoch) != claim.epoch:
        return "dropped", "%s is about epoch %s of %s, which has epoch %d by now" % (cause, epoch, name, claim.epoch)
    if claim.phase not in (RUNNING, STARTING) or claim.host is None:
        return "dropped", "%s is %s by now" % (name, claim.phase)
    busy = draft.busy(name)
    if busy:
        draft.waits[name] = claim.actor.deadline if claim.actor else 0.0
        return "held", "%s waits: %s" % (name, busy)
    host = claim.host
    unusable = _unusable(draft, host)
    if unusable:
        return "held", "%s waits: %s" % (name, unusable)
    if cause == "gate open":
        return _continue(draft, intent, instance, host)
    if cause not in BUS_CAUSES:
        return "dropped", "nobody knows what %s means" % cause
    return _bus(draft, intent, instance, host, hung=cause == "bus hang")


def _unusable(draft: Draft, host: str) -> str:
    """Why nothing can be done on a host now; not having been asked is no reason."""
    record = draft.record(host)
    if record.state in (DOWN, SUSPECT):
        return "%s is %s%s" % (host, record.state, " (%s)" % record.evidence if record.evidence else "")
    known = draft.observations.get(host)
    return known.why or "%s does not answer" % host if known is not None and known.answer == UNREACHABLE else ""


def _sentence(intent: Mapping[str, Any], default: str) -> str:
    return str(intent.get("why") or default)


def _bus(draft: Draft, intent: Mapping[str, Any], instance: Instance, host: str, hung: bool) -> Tuple[str, str]:
    name = instance.name
    default = "the internal bus of %s %s on %s" % (name, "hangs" if hung else "crashed", host)
    what = _sentence(intent, default)
    if not draft.is_started(name):
        draft.stop(name, host, "%s is wanted stopped, and %s" % (name, what), urgent=True)
        return "acted", what
    program = instance.application.bus.program if instance.application.bus else ""
    strategy = bus_failure(instance.application, hung)
    if not apply_strategy(draft, instance, host, strategy, what, [program], urgent=True):
        return "dropped", "%s; its running_failure_strategy is continue, so nothing is done" % what
    return "acted", what


def _continue(draft: Draft, intent: Mapping[str, Any], instance: Instance, host: str) -> Tuple[str, str]:
    name, claim = instance.name, draft.claim(instance.name)
    if not claim.deferred or claim.phase != RUNNING:
        return "dropped", "nothing of %s is deferred any more" % name
    if not draft.is_started(name):
        return "dropped", "%s is wanted stopped" % name
    what = _sentence(intent, "what the deferred part of %s waited for answers" % name)
    draft.set_claim(name, replace(claim, actor=draft.actor))
    draft.add("continue", name, host, what, claim.epoch, programs=list(claim.deferred))
    return "acted", what


def _person(draft: Draft, intent: Mapping[str, Any], name: str) -> Tuple[str, str]:
    """A person's request that came through the monitor; an HCI is opened only by the open verb."""
    verbs = {"start": start, "stop": stop, "restart": restart}
    what = str(intent.get("what"))
    verb: Optional[Any] = verbs.get(what)
    if verb is None:
        return "dropped", "nobody knows how to %s an instance" % what
    actions = len(draft.actions)
    if verb(draft, name):
        reconcile(draft, name)
    for action in draft.actions[actions:]:
        if action["action"] == "refuse":
            action["action"] = "hold"  # one request that cannot be met must not hold up the others
            return "dropped", str(action["reason"])
    return "acted", _sentence(intent, "%s was asked for" % what)
