# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's intents: restart or stop after a failure, continue behind a gate that opened, evacuate a host.

An intent is about an instance, bound to the epoch it was made under: once the claim has another one, it is satisfied
and dropped. Or it is about a host that is believed down: everything claimed there is placed again, as one batch.
These runs trust the ledger for where an instance is, and the host takes a fresh look before it acts; so a host that
was not asked beforehand holds nothing up here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..arrange import whole_site
from ..decide import pauses
from ..decide.draft import Draft
from ..decide.failures import bus_failure, running_failure
from ..decide.keep_running import apply_strategy
from ..decide.reconcile import reconcile
from ..model.plan import HOLD, REFUSE
from ..model.site import Instance
from ..model.words import (
    BUS_CAUSES,
    BUS_HANG,
    DOWN,
    GATE_OPEN,
    HOST_DOWN,
    MONITOR,
    PROGRAM_EXIT,
    REQUEST,
    RUNNING,
    STARTING,
    SUSPECT,
    UNREACHABLE,
    UP,
)
from ..requests.ask import restart, start, stop

DYING = 2.0  # s between the first program that goes and the first signal about its host


def dead_hosts(request: Mapping[str, Any]) -> Dict[str, str]:
    """host -> why nothing that was seen there earlier counts: the request says that it is down."""
    found = {}
    if request.get("kind") == "confirm_down" and request.get("host"):
        found[str(request["host"])] = "it is confirmed down"
    for intent in request.get("intents") or ():
        if intent.get("cause") == HOST_DOWN and intent.get("host"):
            found[str(intent["host"])] = str(intent.get("why") or "it is believed down")
    return found


def _urgency(intent: Mapping[str, Any]) -> Tuple[int, float]:
    if intent.get("cause") == HOST_DOWN:
        return (-1, 0.0)  # what is claimed there is moved, not restarted there
    return (0 if intent.get("cause") in BUS_CAUSES else 1, float(intent.get("at") or 0.0))


def follow(draft: Draft) -> List[Dict[str, Any]]:
    """Act on every queued intent, one action per instance; what became of each: acted, held or dropped, and why."""
    outcomes: List[Dict[str, Any]] = []
    taken: Dict[str, str] = {}
    for intent in sorted(draft.request.get("intents") or (), key=_urgency):
        if intent.get("cause") == HOST_DOWN:
            outcome, why = _evacuate(draft, intent, taken)
            outcomes.append({"id": intent.get("id"), "instance": "", "host": intent.get("host"), "outcome": outcome,
                             "why": why})  # fmt: skip
            continue
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


def suspect(draft: Draft) -> None:
    """Hosts of which the monitor has one signal that they are gone: nothing new is placed there meanwhile."""
    for host, why in sorted((draft.request.get("suspects") or {}).items()):
        record = draft.record(host)
        if draft.site_host(host) is not None and record.state == UP:
            draft.set_host(host, replace(record, state=SUSPECT, since=draft.now, evidence=str(why), by=MONITOR))


def _one(draft: Draft, intent: Mapping[str, Any], name: str) -> Tuple[str, str]:
    instance = draft.site.by_name().get(name)
    if instance is None:
        return "dropped", "%s is not in the site" % name
    cause = str(intent.get("cause") or REQUEST)
    if cause == REQUEST:
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
    paused = pauses.holds(draft, name)
    if paused:
        return "held", "%s, so nothing is done: %s" % (paused, _sentence(intent, cause))
    host = claim.host
    unusable = _unusable(draft, host)
    if unusable:
        return "held", "%s waits: %s" % (name, unusable)
    if cause == GATE_OPEN:
        return _continue(draft, intent, instance, host)
    if cause == PROGRAM_EXIT:
        return _program(draft, intent, instance, host)
    if cause not in BUS_CAUSES:
        return "dropped", "there is no cause %s" % cause
    return _bus(draft, intent, instance, host, hung=cause == BUS_HANG)


def _unusable(draft: Draft, host: str) -> str:
    """Why nothing can be done on a host now; not having been asked is no reason."""
    record = draft.record(host)
    if record.state in (DOWN, SUSPECT):
        return "%s is %s%s" % (host, record.state, " (%s)" % record.evidence if record.evidence else "")
    known = draft.observations.get(host)
    return known.why or "%s does not answer" % host if known is not None and known.answer == UNREACHABLE else ""


def _at(intent: Mapping[str, Any]) -> Optional[float]:
    """When what it is about was noticed."""
    at = intent.get("at")
    return float(at) if at else None


def _sentence(intent: Mapping[str, Any], default: str) -> str:
    return str(intent.get("why") or default)


def _bus(draft: Draft, intent: Mapping[str, Any], instance: Instance, host: str, hung: bool) -> Tuple[str, str]:
    name = instance.name
    default = "the internal bus of %s %s on %s" % (name, "hangs" if hung else "crashed", host)
    what = _sentence(intent, default)
    if not draft.is_started(name):
        draft.stop(name, host, "%s is to stay stopped, and %s" % (name, what), urgent=True)
        return "acted", what
    program = instance.application.bus.program if instance.application.bus else ""
    strategy = bus_failure(instance.application, hung)
    if not apply_strategy(draft, instance, host, strategy, what, [program], urgent=True, at=_at(intent)):
        return "dropped", "%s; its running_failure_strategy is continue, so nothing is done" % what
    return "acted", what


def _program(draft: Draft, intent: Mapping[str, Any], instance: Instance, host: str) -> Tuple[str, str]:
    """Programs other than the bus that ended by themselves."""
    known = {program.name for program in instance.application.programs}
    programs = [str(program) for program in intent.get("programs") or () if program in known]
    what = _sentence(intent, "%s of %s ended on %s" % (", ".join(programs), instance.name, host))
    if not draft.is_started(instance.name):
        return "dropped", "%s is to stay stopped" % instance.name
    strategy = running_failure(instance.application, programs)
    if not apply_strategy(draft, instance, host, strategy, what, programs, urgent=True, at=_at(intent)):
        return "dropped", "%s; its running_failure_strategy is continue, so nothing is done" % what
    return "acted", what


def not_fenced(draft: Draft, host: str) -> str:
    """Why what a silent host holds may not start elsewhere yet; "" when it may."""
    if draft.site.settings.exclusion != "witnesses" or host in (draft.request.get("fenced") or ()):
        return ""
    return "%s is not fenced: too few witnesses refuse it, so it may still run what it holds" % host


def _evacuate(draft: Draft, intent: Mapping[str, Any], taken: Dict[str, str]) -> Tuple[str, str]:
    """The monitor believes a host down: note it, and give everything that is claimed there another place."""
    host = str(intent.get("host"))
    if draft.site_host(host) is None:
        return "dropped", "%s is not in the inventory any more" % host
    record = draft.record(host)
    why = _sentence(intent, "%s does not answer" % host)
    concerned = [n for n, claim in draft.state.claims.items() if claim.holds and host in (claim.host, claim.target)]
    if record.state == DOWN:
        why = record.evidence or why
    elif concerned and not_fenced(draft, host):
        return "held", not_fenced(draft, host)
    else:
        draft.set_host(host, replace(record, state=DOWN, since=draft.now, evidence=why, by=MONITOR))
        draft.note("%s is believed down" % host, why, host=host)
    order = {name: position for position, name in enumerate(draft.site.by_name())}
    for name in sorted(concerned, key=lambda n: (order.get(n, len(order)), n)):
        if name not in taken:
            taken[name] = why
            _uncharge(draft, name, host, float(intent.get("began") or draft.now))
            reconcile(draft, name)
    return "acted", why


def _uncharge(draft: Draft, name: str, host: str, began: float) -> None:
    """What went wrong while its host was dying is not the instance's failure."""
    claim = draft.claim(name)
    kept = tuple(f for f in claim.failures if f.host != host or f.at < began - DYING)
    crashes = tuple(f for f in claim.crashes if f.host != host or f.at < began - DYING)
    if (kept, crashes) != (claim.failures, claim.crashes):
        draft.set_claim(name, replace(claim, failures=kept, crashes=crashes))


def _continue(draft: Draft, intent: Mapping[str, Any], instance: Instance, host: str) -> Tuple[str, str]:
    name, claim = instance.name, draft.claim(instance.name)
    if not claim.deferred or claim.phase != RUNNING:
        return "dropped", "nothing of %s is deferred any more" % name
    if not draft.is_started(name):
        return "dropped", "%s is to stay stopped" % name
    what = _sentence(intent, "what the deferred part of %s waited for answers" % name)
    draft.continue_deferred(name, host, what)
    return "acted", what


def _person(draft: Draft, intent: Mapping[str, Any], name: str) -> Tuple[str, str]:
    """A person's request that came through the monitor; an HCI is opened only by the open verb."""
    verbs = {"start": start, "stop": stop, "restart": restart}
    what = str(intent.get("what"))
    verb: Optional[Any] = verbs.get(what)
    stopped = whole_site.refused(draft, what)
    if stopped:
        return "dropped", stopped
    if verb is None:
        return "dropped", "an intent cannot %s an instance" % what
    actions = len(draft.actions)
    if verb(draft, name):
        reconcile(draft, name)
    for position, action in enumerate(draft.actions[actions:], actions):
        if action.kind == REFUSE:
            draft.actions[position] = replace(action, kind=HOLD)  # so that the others are done all the same
            return "dropped", action.reason
    return "acted", _sentence(intent, "%s was asked for" % what)
