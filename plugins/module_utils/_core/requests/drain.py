# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person wants a host empty, all at once or a few at a time, for good or until a moment; or used again. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Set

from ..decide import drains
from ..decide.draft import Draft
from ..model.moments import moment
from ..model.plan import HOLD
from ..model.records import Drain, HostRecord
from ..model.sentences import clock, did_you_mean, listing
from ..model.words import DOWN, DRAINED, SUSPECT, UP

AT_A_TIME = 1  # units that leave a host together, where the request does not say


def drain(draft: Draft) -> List[str]:
    """Drain or undrain a host; the instances concerned, in site order."""
    host = str(draft.request.get("host") or "")
    names = [h.name for h in draft.site.hosts]
    if host not in names:
        draft.refuse(None, host, "there is no host %s in this site%s" % (host, did_you_mean(host, names)))
        return []
    record = draft.record(host)
    if draft.kind == "undrain":
        _undrain(draft, host, record)
        return []
    try:
        at = moment(draft.request.get("at"), draft.now)
        wanted = _wanted(draft, record, draft.now if at is None else at)
    except ValueError as error:
        draft.refuse(None, host, str(error))
        return []
    if at is not None:
        _plan(draft, host, record, wanted)
        return []
    if record.state in (DOWN, SUSPECT):
        draft.refuse(None, host, "%s is %s (%s): it cannot be drained" % (host, record.state, record.evidence))
        return []
    if record.state != DRAINED or wanted != record.drain:
        since = record.since if record.state == DRAINED else draft.now
        draft.set_host(host, HostRecord(DRAINED, record.incarnation, since, wanted.why, wanted.by, wanted))
        draft.note("%s is drained%s" % (host, drains.said(wanted, draft.now)), draft.why, host=host)
    concerned: Set[str] = {name for name, claim in draft.state.claims.items() if claim.holds and claim.host == host}
    concerned.update(draft.observation(host).instances)
    return [name for name in draft.site.by_name() if name in concerned] + sorted(concerned - set(draft.site.by_name()))


def _undrain(draft: Draft, host: str, record: HostRecord) -> None:
    if record.state == DRAINED:
        draft.set_host(host, replace(record, state=UP, since=draft.now, evidence=draft.why, by=draft.who, drain=None))
    elif record.planned is not None:
        draft.set_host(host, replace(record, planned=None))
        draft.hold(None, host, "the planned drain of %s is called off" % host)
        draft.note("the planned drain of %s is called off" % host, draft.why, host=host)
        return
    elif record.drain is not None:  # it is down or suspect, and would have been drained afterwards
        draft.set_host(host, replace(record, drain=None))
    else:
        draft.hold(None, host, "%s is not drained" % host)
        return
    draft.note("%s may be used again" % host, draft.why, host=host)


def _plan(draft: Draft, host: str, record: HostRecord, wanted: Drain) -> None:
    """Book a drain for later. One that was booked before is replaced."""
    if record.state == DRAINED:
        draft.refuse(None, host, "%s is drained already: undrain it first, or say until when" % host)
        return
    held = [name for name, claim in draft.state.claims.items() if claim.holds and claim.host == host]
    words = "%s is to be drained at %s%s" % (host, clock(wanted.since, draft.now), drains.said(wanted, draft.now))
    leave = "nothing is there now"
    if held:
        leave = "%s leave%s it then, where there is room (muster what-if --drain %s)" % (
            listing(held, most=12), "s" if len(held) == 1 else "", host)  # fmt: skip
    draft.hold(None, host, "%s: %s" % (words, leave))
    if record.planned is None or replace(wanted, by="", why="") != replace(record.planned, by="", why=""):
        draft.set_host(host, replace(record, planned=wanted))
        draft.note(words, draft.why, host=host)


def _wanted(draft: Draft, record: HostRecord, at: float) -> Drain:
    """What the request asks for; what it does not say stays as an earlier one said.

    :param at: when it begins, from which durations count.
    :raises ValueError: with a sentence.
    """
    before = record.drain or Drain(record.by, record.evidence, record.since) if record.state == DRAINED else None
    until = moment(draft.request.get("until"), at)
    asked = draft.request.get("at_a_time")
    at_a_time = int(asked or AT_A_TIME)
    if at_a_time < 1:
        raise ValueError("%d at a time is no number of instances: say 1 or more" % at_a_time)
    if before is None:
        return Drain(draft.who, draft.why, at, until, at_a_time)
    return replace(
        before, until=until if until is not None else before.until,
        at_a_time=at_a_time if asked else before.at_a_time,
        why=draft.why or before.why,
    )  # fmt: skip


def refuse_unless_forced(draft: Draft) -> None:
    """Before a host is drained at all: what could not leave it. In check mode that is the answer, not a refusal, unless
    the plan is to be saved: it could never be applied."""
    host = str(draft.request.get("host") or "")
    before = draft.state.hosts.get(host)
    only_shown = draft.request.get("dry_run") and not draft.request.get("facts")
    if draft.request.get("force") or only_shown or (before and before.state == DRAINED):
        return
    stuck = [a for a in draft.actions if a.kind == HOLD and a.instance in draft.stays]
    if stuck:
        reasons = "; ".join(action.reason for action in stuck)
        names = listing([action.instance for action in stuck], most=12)
        draft.refuse(None, host, "%s cannot leave %s: %s. To drain it all the same, and leave them there: --force" % (
            names, host, reasons))  # fmt: skip
