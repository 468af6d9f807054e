# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a request to a draft: which instances it is about, what becomes wanted, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, List, Mapping, Optional

from ..decide.draft import WHOLE, Draft, Move, PlanError
from ..model.asked import asked
from ..model.plan import RENEW
from ..model.request import KINDS
from ..model.sentences import listing
from ..model.site import Instance
from ..model.words import FAILED, MUSTER, NOT_ASKED, RUNNING, STARTED, STOPPED, STOPPING, UNREACHABLE
from . import check, given, programs
from . import drill as drills
from .acknowledge import acknowledge, shelve, unshelve
from .common import because, clear, wrong_kind
from .confirm import confirm_down
from .drain import drain
from .forget import forget
from .names import meanings, names_of
from .note import note
from .pause import pause, resume
from .resolve import resolve
from .rollout import rollout
from .shrink import refusal as shrink_refusal

LEFT_TOO = ("stop", "close")  # also of instances whose item left the site


def ask(draft: Draft, more: Optional[Mapping[str, Callable[[Draft], List[str]]]] = None) -> List[str]:
    """Apply the request to the draft.

    :param more: kinds of requests that are applied by functions of other rooms.
    :return: the instances to reconcile, in site order.
    :raises PlanError: when there is no such kind of request.
    """
    if draft.kind not in KINDS:
        raise PlanError("there is no request %s, only %s" % (draft.kind, listing(KINDS, most=20)))
    if draft.kind in WHOLE:
        return _whole(draft)
    others: Dict[str, Callable[[Draft], List[str]]] = {
        "drain": drain, "undrain": drain, "confirm_down": confirm_down, "pause": pause,
        "resume": resume, "acknowledge": acknowledge, "shelve": shelve, "unshelve": unshelve, "note": note,
        "drill_begin": drills.begin, "drill_end": drills.end,
        "forget": forget,
        **dict.fromkeys((kind for kind in KINDS if kind.startswith("rollout_")), rollout),
        **(more or {}),
    }  # fmt: skip
    if draft.kind in others:
        return others[draft.kind](draft)
    verbs: Dict[str, Callable[[Draft, str], bool]] = {
        "start": start, "stop": stop, "restart": restart, "open": open_hci, "close": close, "reset": reset,
        "resolve": resolve,
    }  # fmt: skip
    wrong = given.problems(draft.request)
    if wrong:
        draft.refuse(None, None, check.sentence(wrong))
        return []
    alone = [name for name in draft.request.get("instances") or () if programs.MARK in name]
    if alone and draft.kind in programs.KINDS:
        whole = programs.apply(draft, _programs(draft, alone))
        left = [*whole, *(name for name in draft.request["instances"] if name not in alone)]
        draft.request = asked(dict(draft.request, instances=left))
        if not draft.request["instances"]:
            return []
    names = named(draft)
    if draft.kind == "signal":
        draft.refuse(None, None, "a signal goes to a program: say INSTANCE/PROGRAM, for example %s/%s" % (
            names[0] if names else "scen2_srv_01", "data_processing"))
        return []
    return [name for name in names if verbs[draft.kind](draft, name)]


def _whole(draft: Draft) -> List[str]:
    """Every known instance; services that are seen for the first time become wanted."""
    shrunk = "" if draft.request.get("accept") else shrink_refusal(draft.site, draft.state.wanted)
    if draft.kind == "deploy" and shrunk:
        draft.refuse(None, None, shrunk)
    known = draft.site.by_name()
    first = [n for n, i in known.items() if not i.application.on_request and n not in draft.state.wanted]
    for name in first:
        draft.first_seen(name)
    if first:
        few = len(first) == 1
        draft.note("%s %s new and will be started" % (listing(first), "is" if few else "are"), "first seen", who=MUSTER)
    others = set(draft.state.claims) | set(draft.seen_instances()) | set(draft.state.wanted)
    return list(known) + sorted(others - set(known))


def named(draft: Draft) -> List[str]:
    """The instances that the request names; refuses each name that stands for none."""
    written = list(draft.request.get("instances") or ())
    if not written and draft.request.get("pending"):
        pending = [name for name in draft.site.by_name() if draft.claim(name).pending is not None]
        if not pending:
            draft.hold(None, None, "nothing is pending: all that runs has the configuration that the site describes")
        return pending
    if not written and draft.request.get("item"):
        written = [draft.request["item"]]
    if not written:
        known = next(iter(draft.site.by_name()), "scen2_srv_01")
        draft.refuse(None, None, "say what to %s: the name of an instance, for example %s" % (draft.kind, known))
    held: Dict[str, Optional[str]] = {}
    if draft.kind in LEFT_TOO:
        held.update((name, claim.host) for name, claim in draft.claims().items() if claim.holds)
        held.update((name, None) for name in draft.seen_instances() if draft.copies(name))
    found: Dict[str, None] = {}
    for meaning in meanings(draft.kind, written, names_of(draft.site, held), bool(draft.request.get("pending"))):
        if meaning.problem:
            draft.refuse(meaning.name, None, meaning.problem)
        found.update(dict.fromkeys(meaning.instances))
    return list(found)


def _programs(draft: Draft, written: List[str]) -> List[str]:
    """The programs that are named, in full; refuses each name that stands for none."""
    found: Dict[str, None] = {}
    for meaning in meanings(draft.kind, written, names_of(draft.site)):
        if meaning.problem:
            draft.refuse(meaning.name, None, meaning.problem)
        found.update(dict.fromkeys(meaning.instances))
    return list(found)


def start(draft: Draft, name: str) -> bool:
    """Start a service, on `host` when it is given; an HCI is opened there."""
    instance = draft.site.instance(name)
    if instance.application.on_request:
        return open_hci(draft, name)
    host = draft.request.get("host")
    claim = draft.claim(name)
    if host:
        wrong = wrong_kind(draft, instance, host)
        if wrong:
            draft.refuse(name, host, wrong)
            return False
        if claim.holds and claim.host != host:
            where = "%s already runs on %s" % (name, claim.host)
            draft.refuse(name, host, where + ": a start does not move it, stop it first")
            return False
    draft.want(name, STARTED, because(draft, name, "start"))
    without = programs.take_back(draft, name)
    busy = draft.busy(name)
    if not busy:
        clear(draft, name)
    if without and not busy and claim.phase == RUNNING:
        draft.join(RENEW, name, str(claim.host), draft.asked[name], without)
        return False
    if not claim.holds and host and not busy:
        strays = tuple(draft.copies(name))
        draft.moves.append(Move(name, because(draft, name, "start"), strays, hosts=(host,), asked=True))
        return False
    return True


def stop(draft: Draft, name: str) -> bool:
    """A stop is always accepted."""
    draft.want(name, STOPPED, because(draft, name, draft.kind if draft.kind == "close" else "stop"))
    return True


def close(draft: Draft, name: str) -> bool:
    instance = draft.site.by_name().get(name)
    if instance is not None and not instance.application.on_request:
        draft.refuse(name, None, "%s is a service, nothing to close: stop it" % name)
        return False
    return stop(draft, name)


def restart(draft: Draft, name: str) -> bool:
    instance = draft.site.instance(name)
    claim = draft.claim(name)
    if instance.application.on_request and not (claim.holds and draft.is_started(name)):
        draft.refuse(name, None, "%s is not open anywhere, so it cannot be restarted: open it on a console" % name)
        return False
    if draft.request.get("pending") and claim.pending is None:
        draft.hold(name, claim.host, "%s has the configuration that the site describes: nothing is pending" % name)
        return False
    draft.want(name, STARTED, because(draft, name, "restart"), draft.wanted(name).host)
    if not draft.busy(name):
        clear(draft, name)
    draft.restarts[name] = because(draft, name, "restart")
    return True


def reset(draft: Draft, name: str) -> bool:
    """Clear the failures of an instance: a service that is wanted starts again in this run."""
    claim = draft.claim(name)
    because(draft, name, "reset")
    busy = draft.busy(name)
    if busy:
        draft.refuse(name, claim.host, "%s waits: %s" % (name, busy))
        return False
    if not claim.failures and not claim.crashes and claim.phase != FAILED:
        del draft.asked[name]
        draft.hold(name, claim.host, "%s has not failed: there is nothing to reset" % name)
        return False
    draft.note("%s is reset: its whole budget is back" % name, draft.why, "reset", name)
    draft.set_claim(name, replace(claim, failures=(), crashes=(), until=0.0))
    if draft.site.instance(name).application.on_request and claim.phase == FAILED:
        draft.want(name, STOPPED, draft.asked[name])
    return True


def open_hci(draft: Draft, name: str) -> bool:
    """Open an HCI on a console; at most one per item (Req 21, 23)."""
    instance = draft.site.instance(name)
    host = draft.request.get("console") or draft.request.get("host")
    if not host and instance.application.per == "host":
        host = instance.item.id
    if not instance.application.on_request:
        draft.refuse(name, host, "%s is a service, nothing to open: start it" % name)
        return False
    if not host:
        if instance.application.starting_strategy == "local":
            draft.refuse(name, None, "no console given: where should %s open? (--console HOST, or MUSTER_HOST)" % name)
            return False
    else:
        wrong = wrong_kind(draft, instance, host)
        if wrong:
            draft.refuse(name, host, wrong)
            return False
    claim = draft.claim(name)
    if claim.holds or draft.busy(name):
        return _already_held(draft, instance, host or claim.host or "")
    clear(draft, name)
    draft.want(name, STARTED, because(draft, name, "open"), host)
    return True


def _already_held(draft: Draft, instance: Instance, host: str) -> bool:
    """Open an HCI that is claimed: it is open already, its console lost it, it is taken over, or this is refused."""
    name, claim, item = instance.name, draft.claim(instance.name), draft.label(instance)
    holder = str(claim.host)
    observation = draft.observation(holder)
    seen = observation.seen
    copy = draft.copies(name).get(holder)
    busy = draft.busy(name)
    take = bool(draft.request.get("take"))
    if busy:
        target = claim.target or claim.host
        if target == host and claim.phase != STOPPING and draft.is_started(name):
            return True  # reconcile says who is at work
        draft.refuse(name, host, "%s cannot be opened on %s: %s on %s" % (item, host, busy, holder))
        return False
    if seen and (copy is None or not copy.live):
        draft.free(name, "%s shows nothing of it" % holder)
        clear(draft, name)
        draft.want(name, STARTED, because(draft, name, "open"), host)
        return True
    if host == holder:
        clear(draft, name)
        draft.want(name, STARTED, because(draft, name, "open"), host)
        return True
    if not take:
        sentence = "%s already shows %s%s" % (holder, item, draft.held_since(name))
        if observation.answer == UNREACHABLE:
            sentence += ", and does not answer (%s): take it over with a reason if you know that it is gone there" % (
                observation.why)  # fmt: skip
        else:
            sentence += ": close it there first, or take it over with a reason"
        draft.refuse(name, host, sentence)
        return False
    if observation.answer == NOT_ASKED:
        what = "%s shows %s and was not asked in this run" % (holder, item)
        draft.refuse(name, host, "%s (%s): ask it before taking over" % (what, observation.why))
        return False
    if not draft.why:
        draft.refuse(name, host, "taking %s over from %s needs a reason" % (item, holder))
        return False
    reason = "%s takes %s over from %s: %s" % (draft.who, item, holder, draft.why)
    draft.asked[name] = reason
    draft.note(reason, draft.why, instance=name, host=host)
    draft.want(name, STARTED, reason, host)
    if seen:
        draft.moves.append(Move(name, reason, tuple(draft.copies(name)), hosts=(host,), asked=True))
        return False
    draft.free(name, reason)
    return True


def answer_named(draft: Draft, names: List[str]) -> None:
    """Hold every named instance for which nothing has to be done, so that the answer mentions it."""
    if draft.kind == "resume":
        return
    told = {action.instance for action in draft.actions} | {move.name for move in draft.moves}
    for name in names:
        if name in told:
            continue
        claim = draft.claim(name)
        if draft.is_started(name) and claim.phase == RUNNING:
            instance = draft.site.instance(name)
            shows = "%s already shows %s" % (claim.host, draft.label(instance)) + draft.held_since(name)
            runs = "%s already runs on %s" % (name, claim.host)
            draft.hold(name, claim.host, shows if instance.application.on_request else runs)
        elif not draft.is_started(name):
            draft.hold(name, claim.host, "%s is stopped already" % name)
