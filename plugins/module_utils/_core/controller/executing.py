# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands beside programs, in the ledger: whether one may be run now, who runs it, and what came of it."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Mapping, Tuple

from ..model import execution
from ..model.records import State
from ..model.words import DOWN, RUNNING
from ..requests.names import meaning_of, names_of
from . import ledger_files
from .store import LedgerError, LostRace
from .way import host_facts

Json = Dict[str, Any]
ATTEMPTS = 8


def begin(call: Any) -> Json:
    """Answer the call ``exec`` {program, command, within, who, from, why}: who runs what is in the trail from now on.

    :return: ``{"host", "request"}``: the host is asked this; or ``{"error", "unknown"?}``.
    """
    asked = call.request
    command = [str(word) for word in asked["command"]]
    name = str(asked["program"])
    if "/" not in name:
        return {"error": "say beside which program: INSTANCE/PROGRAM, for example %s/%s" % (name, _example(call, name))}
    meaning = meaning_of("signal", name, names_of(call.site))
    if meaning.problem:
        return {"error": meaning.problem, "unknown": True}
    if len(meaning.instances) != 1:
        return {"error": "%s stands for %s: name one of them" % (name, ", ".join(meaning.instances))}
    instance, _unused, program = meaning.instances[0].partition("/")
    with call.ledger as ledger:
        state = State.from_json(ledger.read()[0])
        claim = state.claims.get(instance)
        host = claim.host if claim is not None and claim.phase == RUNNING else None
        if call.site.by_name()[instance].application.program(program).is_gate:
            return {"error": "%s is a gate: it runs in each start of %s only" % (program, instance)}
        if claim is None or not host:
            return {"error": "%s does not run, so nothing can be run beside %s of it" % (instance, program)}
        record = state.hosts.get(host)
        if record is not None and record.state == DOWN:
            return {"error": "%s is down, so nothing can be run beside %s of %s" % (host, program, instance)}
        entry = {**_entry(asked), "instance": instance, "host": host}
        what = "%s beside %s of %s on %s" % (execution.words(command), program, instance, host)
        _commit(ledger, dict(entry, what=what, why=str(asked.get("why") or ""), result="begun"))
    request = {
        "instance": instance, "program": program, "epoch": claim.epoch, "command": command,
        "within": float(asked.get("within") or execution.WITHIN),
        "host": host_facts(call.document, str(state.meta.get("site_id") or ""), host),
    }  # fmt: skip
    return {"host": host, "request": request, "entry": dict(entry, what=what)}


def over(call: Any) -> Json:
    """Answer the call ``exec_over`` {entry, came}: what came of it is in the trail.

    :param call: ``came``: the answer of the host, without its outputs.
    """
    came = call.request["came"]
    result = "failed" if came.get("error") else "exited with %s" % came.get("code")
    entry = dict(call.request["entry"], at=time.time(), why=execution.told(came), result=result)
    with call.ledger as ledger:
        _commit(ledger, entry)
    return {"said": execution.told(came)}


def _entry(asked: Mapping[str, Any]) -> Json:
    return {"at": time.time(), "who": str(asked.get("who") or ledger_files.user_name(os.geteuid())),
            "from": str(asked.get("from") or "")}  # fmt: skip


def _example(call: Any, name: str) -> str:
    instance = call.site.by_name().get(name)
    programs: Tuple[Any, ...] = instance.application.programs if instance is not None else ()
    return next((program.name for program in programs if not program.is_gate), "PROGRAM")


def _commit(ledger: Any, entry: Mapping[str, Any]) -> None:
    entries: List[Any] = [dict(entry)]
    for _unused in range(ATTEMPTS):
        try:
            ledger.commit(ledger.read()[1], {}, entries)
            return
        except LostRace:
            continue
    raise LedgerError("others kept changing the ledger: try again")
