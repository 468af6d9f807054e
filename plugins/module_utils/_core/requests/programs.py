# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about single programs of an instance: ``INSTANCE/PROGRAM`` where an instance could stand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

from ..decide.draft import Draft
from ..model.observation import Seen
from ..model.plan import ADD, END, RENEW, SIGNAL
from ..model.sentences import listing
from ..model.site import Instance, Program
from ..model.words import DOWN, RUNNING, STARTED
from . import given
from .common import because

KINDS = ("start", "stop", "restart", "signal")
MARK = given.MARK


def split(name: str) -> Tuple[str, str]:
    """(instance, program) of ``INSTANCE/PROGRAM``; the program is empty for other names."""
    instance, _unused, program = name.partition(MARK)
    return instance, program


def apply(draft: Draft, names: List[str]) -> List[str]:
    """Apply a request about these programs to the draft.

    :return: the instances that the request is about as a whole, because their bus is named and others may follow.
    """
    by_instance: Dict[str, List[str]] = {}
    for written in names:
        name, program = split(written)
        by_instance.setdefault(name, []).append(program)
    whole = []
    for name, programs in by_instance.items():
        instance = draft.site.instance(name)
        chosen = [program for program in instance.application.programs if program.name in programs]
        if draft.request.get("whole") and draft.kind in ("stop", "restart") and _bus(instance) in programs:
            if given.values(draft.request):
                draft.refuse(name, draft.claim(name).host, "with %s all of %s restarts, and only single programs are"
                             " given arguments or variables" % (_bus(instance), name))  # fmt: skip
            whole.append(name)
            continue
        first = _lacks(draft, instance, chosen) if draft.request.get("whole") and draft.kind == "start" else []
        why = _why_not(draft, instance, [*first, *chosen])
        if why:
            draft.refuse(name, draft.claim(name).host, why)
            continue
        _one(draft, instance, first, chosen)
    return whole


def _bus(instance: Instance) -> str:
    return instance.application.bus.program if instance.application.bus else ""


def _why_not(draft: Draft, instance: Instance, programs: List[Program]) -> str:
    """Why it makes no sense; empty when it does."""
    name = instance.name
    for program in programs:
        if program.is_gate:
            return "%s is a gate: it runs in each start of %s, and cannot be asked to %s alone" % (
                program.name, name, draft.kind)  # fmt: skip
    bus = _bus(instance)
    if bus in [program.name for program in programs] and draft.kind in ("stop", "restart"):
        others = [p.name for p in instance.application.programs if p.name != bus and p.start_sequence and not p.is_gate]
        without = ", without which %s cannot work" % listing(others) if others else ""
        return "%s is the bus of %s%s: %s the whole with --with, or with muster %s %s" % (
            bus, name, without, draft.kind, draft.kind, name)  # fmt: skip
    claim = draft.claim(name)
    busy = draft.busy(name)
    if busy:
        return "%s waits: %s" % (name, busy)
    if draft.kind == "stop":
        return ""
    if not draft.is_started(name) or claim.phase != RUNNING:
        return "%s does not run, so %s of it cannot %s: start it first" % (
            name, listing(p.name for p in programs), draft.kind)  # fmt: skip
    if draft.kind == "signal":
        return _no_signal(draft, name, programs)
    lacks = _lacks(draft, instance, programs)
    if lacks:
        return "%s has to run before %s: start it first, or with it (--with)" % (
            listing(p.name for p in lacks), listing(p.name for p in programs))  # fmt: skip
    return ""


def _no_signal(draft: Draft, name: str, programs: List[Program]) -> str:
    """Why a signal would reach nobody; empty where it would."""
    host = str(draft.claim(name).host)
    if draft.record(host).state == DOWN:
        return "%s is down, so no signal reaches %s" % (host, name)
    copy = _seen_now(draft, name, host)
    absent = [p.name for p in programs if copy is not None and p.name not in copy.programs]
    if absent:
        return "%s of %s %s not run on %s, so there is nothing to signal" % (
            listing(absent), name, "does" if len(absent) == 1 else "do", host)  # fmt: skip
    return ""


def _lacks(draft: Draft, instance: Instance, programs: List[Program]) -> List[Program]:
    """The programs of earlier ranks that are missing, as far as its host was seen."""
    host = str(draft.claim(instance.name).host)
    copy = draft.copies(instance.name).get(host) if draft.observation(host).seen else None
    if copy is None:
        return []
    ranks = {p.name: p.start_sequence for p in draft.site.application(instance.application.name).programs}
    first = min([ranks[p.name] for p in programs if ranks[p.name]] or [0])
    return [p for p in instance.application.programs if 0 < p.start_sequence < first and not p.is_gate
            and p.name not in copy.present and p not in programs]  # fmt: skip


def _seen_now(draft: Draft, name: str, host: str) -> Optional[Seen]:
    """What the host shows of an instance; None where it was not asked in this run. What it said before does not tell
    whether a program has ended since, which is what a person wants to mend."""
    seen = draft.observation(host)
    return draft.copies(name).get(host) if seen.seen and not seen.at else None


def _one(draft: Draft, instance: Instance, first: List[Program], programs: List[Program]) -> None:
    """:param first: programs that have to run before these: started with them."""
    name, kind = instance.name, draft.kind
    own = [program.name for program in programs]
    names = [*(program.name for program in first), *own]
    what = listing(names)
    if kind == "signal":
        tell = str(draft.request.get("signal"))
        reason = because(draft, name, "send %s to %s of" % (tell, what))
        draft.join(SIGNAL, name, str(draft.claim(name).host), reason, names, tell=tell)
        return
    reason = because(draft, name, "%s %s of" % (kind, what))
    wanted = draft.wanted(name)
    off = dict(wanted.without)
    for program in names:
        if kind == "stop":
            off.setdefault(program, "stopped by %s%s" % (draft.who, ": " + draft.why if draft.why else ""))
        else:
            off.pop(program, None)
    if off != dict(wanted.without):
        draft.set_wanted(name, replace(wanted, without=off))
        draft.note("%s of %s %s" % (what, name, "is to stay stopped, over restarts" if kind == "stop" else (
            "is to run")), draft.why, instance=name)
    claim = draft.claim(name)
    host = str(claim.host)
    if claim.phase != RUNNING or wanted.state != STARTED:
        draft.hold(name, claim.host, "%s does not run: its next start comes without %s" % (name, what))
        return
    copy = _seen_now(draft, name, host)
    live = [program for program in names if copy is None or program in copy.programs]
    more = _given(draft, own)
    if kind == "stop" and not live:
        draft.hold(name, host, "%s of %s is stopped already" % (what, name))
    elif kind == "stop":
        draft.join(END, name, host, reason, live)
    elif kind == "restart":
        draft.join(RENEW, name, host, reason, names, **more)
    elif copy is not None and more and set(live) & set(own):
        draft.refuse(name, host, "%s of %s already runs on %s: restart it with what it is given" % (
            listing(sorted(set(live) & set(own))), name, host))
    elif copy is not None and len(live) == len(names):
        draft.hold(name, host, "%s of %s already runs on %s" % (what, name, host))
    else:
        draft.join(ADD, name, host, reason, names if copy is None else [p for p in names if p not in live], **more)


def _given(draft: Draft, programs: List[str]) -> Dict[str, Any]:
    """What the action has to say of what the request gives to programs."""
    values = given.values(draft.request)
    if not values:
        return {}
    how = given.phrase(values, draft.who, draft.why)
    return {"given": dict.fromkeys(programs, how), "values": dict.fromkeys(programs, values)}


def take_back(draft: Draft, name: str) -> List[str]:
    """All of an instance is to run again. :return: the programs that people had stopped."""
    wanted = draft.wanted(name)
    if wanted.without:
        draft.set_wanted(name, replace(wanted, without={}))
    return list(wanted.without)
