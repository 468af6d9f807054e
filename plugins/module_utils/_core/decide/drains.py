# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drained hosts: a person wants one empty, all at once or a few at a time, for good or until a moment, now or later."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

from ..model.records import Drain, HostRecord
from ..model.sentences import clock
from ..model.words import DRAINED, MUSTER, STOPPING, UP
from .draft import WHOLE, Draft


def expire(draft: Draft) -> None:
    """Hosts that were drained until a moment that has come are used again."""
    for host in draft.state.hosts:
        record = draft.record(host)
        if record.drain is None or record.drain.until is None or record.drain.until > draft.now:
            continue
        used = replace(record, drain=None)
        if record.state == DRAINED:
            used = replace(used, state=UP, since=draft.now, evidence="it was drained until now", by=MUSTER)
        draft.set_host(host, used)
        draft.note("%s may be used again" % host, "it was drained until now", host=host, who=MUSTER)


def begin(draft: Draft) -> None:
    """Drain the hosts whose planned drain is due; one that is over by now is given up."""
    for host in draft.state.hosts if draft.kind in WHOLE else ():
        record = draft.record(host)
        planned = record.planned
        if planned is None or planned.since > draft.now:
            continue
        if planned.until is not None and planned.until <= draft.now:
            draft.set_host(host, replace(record, planned=None))
            draft.note("the planned drain of %s is given up" % host, "its time is over", host=host, who=MUSTER)
            continue
        drained = replace(record, drain=planned, planned=None)
        if record.state == UP:  # else once it answers again
            drained = replace(drained, state=DRAINED, since=draft.now, evidence=planned.why, by=planned.by)
        draft.set_host(host, drained)
        draft.note("%s is drained, as planned%s" % (host, said(planned, draft.now)), planned.why, host=host,
                   who=planned.by)  # fmt: skip


def said(drain: Drain, now: float) -> str:
    """`` until 14:00, 1 at a time``"""
    words = " until %s" % clock(drain.until, now) if drain.until is not None else ""
    return words + (", %d at a time" % drain.at_a_time if drain.at_a_time else "")


def returned(record: HostRecord, now: float) -> HostRecord:
    """The record of a host that answers again: one that a person drained before stays drained."""
    drain = record.drain
    if drain is not None:
        return HostRecord(DRAINED, record.incarnation, now, drain.why, drain.by, drain, record.planned)
    return HostRecord(UP, record.incarnation, now, "it answers again", MUSTER, planned=record.planned)


class Turns:
    """How many more instances may leave a drained host in this plan."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._left: Dict[str, int] = {}

    def take(self, host: str) -> str:
        """Use a turn; why there is none any more, or nothing."""
        drain = self._draft.record(host).drain
        if drain is None or not drain.at_a_time or self._draft.record(host).state != DRAINED:
            return ""
        if host not in self._left:
            self._left[host] = drain.at_a_time - len(self._leaving(host))
        if self._left[host] > 0:
            self._left[host] -= 1
            return ""
        return "%s is drained, %d at a time" % (host, drain.at_a_time)

    def _leaving(self, host: str) -> List[str]:
        """Those that another run moves away just now."""
        return [
            name
            for name, claim in self._draft.state.claims.items()
            if claim.phase == STOPPING and claim.host == host and claim.target and self._draft.busy(name)
        ]
