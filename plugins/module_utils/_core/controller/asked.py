# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people asked the monitor for, in the ledger until a run has planned it: so it outlives the monitor.

A record is the request as JSON, with ``asked``: when that was, s since 1970. The commit of the plan drops it, so each
is carried out once. Who drops it before has withdrawn the request, whichever monitor or run has it by then.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Dict, List, Mapping, Tuple

from ..model.asked import account, subject
from ..model.plan import REFUSE, Action, Plan
from . import ledgers
from .store import LedgerError, LostRace

KIND = "requests"
LONGEST = 900.0  # s after which a request that no run has planned is not carried out any more: its person has gone on
ATTEMPTS = 8
WITHDRAWN, NOT_YOURS, GONE = "withdrawn", "not yours", "gone"  # what became of a wish to withdraw
BEGUN, LATER = "begun", "later"  # the same, from a monitor: a run has it; it is not known

Json = Dict[str, Any]


def new_id() -> str:
    return os.urandom(8).hex()


def note(state_dir: str, request: Mapping[str, Any], now: float, ident: str = "") -> str:
    """Write a request down. :return: its id. :raises LedgerError: when that is not possible."""
    ident = ident or new_id()
    with _ledger(state_dir) as ledger:
        _commit(ledger, {KIND: {ident: dict(request, asked=now)}}, [])
    return ident


def when(record: Mapping[str, Any]) -> float:
    """When somebody asked for it, s since 1970; 0 when that is not known."""
    return float(record.get("asked") or 0.0)


def dated(request: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> Tuple[Json, bool]:
    """The request with the moment at which it was asked for, as far as that is on record; and whether its record is
    gone."""
    ident = request.get("id")
    if not ident:
        return dict(request), False
    return {**request, **({"asked": when(records[ident])} if ident in records else {})}, ident not in records


def drop(state_dir: str, ident: str) -> None:
    """It was answered. :raises LedgerError: when that cannot be written."""
    with _ledger(state_dir) as ledger:
        if ident in ledger.read()[0][KIND]:
            _commit(ledger, {KIND: {ident: None}}, [])


def withdraw(state_dir: str, ident: str, by: Mapping[str, Any], now: float) -> Tuple[str, Json]:
    """Take back a request that no run has planned.

    :param by: {who, from, why, anyone}; `anyone`: also what somebody else asked for.
    :return: `WITHDRAWN`, `NOT_YOURS` or `GONE`, and the request.
    :raises LedgerError: when the ledger cannot be used.
    """
    with _ledger(state_dir) as ledger:
        for _unused in range(ATTEMPTS):
            state, revision = ledger.read()
            known = state[KIND].get(ident)
            if known is None:
                return GONE, {}
            if not by.get("anyone") and account(str(known.get("who") or "")) != account(str(by.get("who") or "")):
                return NOT_YOURS, dict(known)
            try:
                ledger.commit(revision, {KIND: {ident: None}}, [_withdrawn(known, by, now)])
                return WITHDRAWN, dict(known)
            except LostRace:
                continue
    raise LedgerError("others kept changing the ledger: try again")


def _withdrawn(request: Mapping[str, Any], by: Mapping[str, Any], now: float) -> Json:
    names = list(request.get("instances") or ())
    return {
        "at": now, "who": by.get("who") or "", "from": by.get("from") or "", "result": "withdrawn",
        "what": "%s, asked for by %s, is withdrawn" % (subject(request), request.get("who") or "somebody"),
        "why": by.get("why") or "", **({"instance": names[0]} if len(names) == 1 else {}),
    }  # fmt: skip


def sentence(request: Mapping[str, Any], by: Mapping[str, Any]) -> str:
    """That a request is withdrawn, for the one who asked and for the one who withdrew it."""
    why = ": %s" % by["why"] if by.get("why") else ""
    return "%s is withdrawn by %s%s; nothing was done" % (subject(request), by.get("who") or "somebody", why)


def not_again(plan: Plan) -> Plan:
    """The plan of a request whose record is gone: nothing is done."""
    why = "%s was withdrawn, or another run has planned it: muster status tells" % subject(plan.request)
    return dataclasses.replace(
        plan, actions=(Action(REFUSE, "", "", why),), changes={}, trail=[], candidates={}, waits={}, turns=[], boots={}
    )


def left(state_dir: str, now: float) -> List[Tuple[str, Json]]:
    """(id, request) of what no run has planned yet, the oldest first. Too old ones are dropped, which the trail says.

    :raises LedgerError: when the ledger cannot be used.
    """
    with _ledger(state_dir) as ledger:
        if not ledger.exists():
            return []
        records = sorted(ledger.read()[0][KIND].items(), key=lambda pair: when(pair[1]))
        old = [(ident, record) for ident, record in records if not 0 <= now - when(record) <= LONGEST]
        if old:
            _commit(ledger, {KIND: {ident: None for ident, _unused in old}}, [_too_old(a, now) for _i, a in old])
    gone = {ident for ident, _unused in old}
    return [(i, {k: v for k, v in record.items() if k != "asked"}) for i, record in records if i not in gone]


def _too_old(asked: Mapping[str, Any], now: float) -> Json:
    return {
        "at": now, "who": asked.get("who") or "", "from": asked.get("from") or "", "result": "refused",
        "what": "%s was asked for, and is not carried out any more" % asked.get("kind"),
        "why": "no run could plan it within %.0f min: ask again" % (LONGEST / 60),
    }  # fmt: skip


def _ledger(state_dir: str) -> ledgers.Store:
    return ledgers.open_ledger(state_dir, patience=5.0)


def _commit(ledger: ledgers.Store, changes: Mapping[str, Mapping[str, Any]], trail: List[Json]) -> None:
    for _unused in range(ATTEMPTS):
        try:
            ledger.commit(ledger.read()[1], changes, trail)
            return
        except LostRace:
            continue
    raise LedgerError("others kept changing the ledger: try again")
