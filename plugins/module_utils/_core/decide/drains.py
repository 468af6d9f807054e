# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drained hosts: a person wants one empty, all at once or a few at a time, for good or until a moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

from ..model.records import HostRecord
from ..model.words import DRAINED, MUSTER, STOPPING, UP
from .draft import Draft


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


def returned(record: HostRecord, now: float) -> HostRecord:
    """The record of a host that answers again: one that a person drained before stays drained."""
    drain = record.drain
    if drain is not None:
        return HostRecord(DRAINED, record.incarnation, now, drain.why, drain.by, drain)
    return HostRecord(UP, record.incarnation, now, "it answers again", MUSTER)


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
