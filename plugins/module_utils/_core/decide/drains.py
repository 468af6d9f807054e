# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drained hosts: a person wants one empty, all at once or a few at a time, for good or until a moment, now or later."""

from __future__ import annotations

from dataclasses import replace
from typing import Collection, Dict, Set

from ..model.records import Drain, HostRecord
from ..model.sentences import clock
from ..model.words import DRAINED, MUSTER, STOPPING, UP
from ..place.ties import unit_of
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
    """How many more units may leave a drained host in this plan: an instance, or all that must be together with it."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._begun: Dict[str, Set[str]] = {}  # host -> the units that leave it

    def take(self, unit: str, hosts: Collection[str]) -> str:
        """Use a turn on each of the hosts that a unit leaves; why there is none any more, or nothing."""
        limited = [host for host in hosts if self._limit(host)]
        for host in limited:
            begun = self._begun.setdefault(host, self._leaving(host))
            if unit not in begun and len(begun) >= self._limit(host):
                return "%s is drained, %d at a time" % (host, self._limit(host))
        for host in limited:
            self._begun[host].add(unit)
        return ""

    def _limit(self, host: str) -> int:
        """0: none."""
        record = self._draft.record(host)
        return record.drain.at_a_time if record.drain is not None and record.state == DRAINED else 0

    def _leaving(self, host: str) -> Set[str]:
        """Those that another run moves away just now."""
        return {
            unit_of(self._draft.site, name)
            for name, claim in self._draft.state.claims.items()
            if claim.phase == STOPPING and claim.host == host and claim.target and self._draft.busy(name)
        }
