# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved plans: kept beside the ledger under their digest, and applied exactly as they were made, or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..arrange.bound import differences, table
from ..model import saved_plan
from ..model.moments import moment
from ..model.plan import REFUSE, Action, Plan
from ..model.request_programs import GIVEN
from ..model.sentences import clock

FOLDER = "plans"
KEPT = 50  # plans
LONGEST = 7 * 86400.0  # s that one can be applied
OF_A_RUN = ("id", "dry_run", "facts", "inventory", "carries", "sick")  # no part of what was asked for
NOT_SAVED = ("forget", "apply", "confirm_down")

Json = Dict[str, Any]


class Unsaved(Exception):
    """A plan cannot be saved or applied; the text is the sentence for a person."""


class Bound:
    """A saved plan that a request asks to apply."""

    def __init__(self, document: Json, who: str) -> None:
        self.document, self.who = document, who

    @classmethod
    def of(cls, state_dir: str, request: Mapping[str, Any]) -> Optional[Bound]:
        """None where the request applies no plan.

        :raises Unsaved: when this controller knows no such plan.
        """
        kind = request.get("kind")
        if kind != "apply" and not (kind == "deploy" and request.get("plan")):
            return None
        document = _load(state_dir, str(request.get("plan") or ""), time.time())
        saved = document["request"]["kind"]
        if kind == "apply" and saved == "deploy":
            raise Unsaved("the plan is that of a deploy, which needs the inventory and prepares hosts: use muster apply"
                          " with the inventory, or the playbook deploy with -e muster_plan=FILE")  # fmt: skip
        if kind == "deploy" and saved != "deploy":
            raise Unsaved("the plan is no deploy, it is a %s: use the playbook apply" % saved)
        return cls(document, str(request["who"]))

    def request(self, given: Mapping[str, Any]) -> Json:
        """What is requested: by whom it is applied, for the reason of the one who made the plan."""
        saved = self.document["request"]
        made = "the plan of %s" % self.document["by"]
        why = ": ".join(part for part in (made, saved.get("why"), given.get("why")) if part)
        keep = {key: given[key] for key in ("who", "from", "id", "dry_run", "carries", "sick") if key in given}
        return {**saved, **keep, "why": why, "facts": True, "plan": given["plan"]}

    def checked(self, plan: Plan, now: float) -> Plan:
        """The plan, when it is what was saved; else one that refuses, with what differs."""
        document = self.document
        made = clock(document["at"], now)
        refusal = ""
        if plan.refusals:
            return plan
        rows = differences(document["facts"], plan.facts)
        if rows:
            refusal = "the plan of %s from %s does not fit any more, so nothing is done:\n%s" % (
                document["by"], made, table(rows))  # fmt: skip
        elif document["approve"] and not saved_plan.second_name(document["by"], self.who):
            refusal = "the plan of %s asks for a second name, and %s is none: somebody else applies it" % (
                document["by"], self.who or "nobody")  # fmt: skip
        entry: Json = {
            "at": now, "who": self.who, "from": plan.request.get("from") or "", "run": plan.run, "result": "",
            "what": "the plan that %s made at %s is applied" % (document["by"], made),
            "why": document["request"].get("why") or "",
        }  # fmt: skip
        if document["approve"]:
            entry["what"] += ", with the second name that it asks for"
        if not refusal:
            return dataclasses.replace(plan, trail=[entry, *plan.trail])
        entry.update(result="refused", why=refusal.partition("\n")[0])
        refused = Action(REFUSE, "", "", refusal)
        return dataclasses.replace(
            plan, actions=(refused,), changes={}, trail=[entry], candidates={}, waits={}, turns=[], boots={}
        )


def saved(
    call: Mapping[str, Any], state_dir: str, plan: Plan, request: Mapping[str, Any], site: str, now: float
) -> Json:
    """``{"saved": document}`` where a call asks to save a plan that is not refused, else nothing."""
    if "save" not in call or plan.refusals:
        return {}
    return {"saved": save(state_dir, plan, request, site, bool(call["save"].get("approve")), now)}


def save(state_dir: str, plan: Plan, request: Mapping[str, Any], site_id: str, approve: bool, now: float) -> Json:
    """Keep a plan so that it can be applied; the document for a person's file.

    :param request: what was planned. Its moments are made absolute, so that `2h` counts from now.
    :param approve: it is applied only by somebody else.
    :raises Unsaved: for a kind of request that cannot be saved, and when the folder cannot be written.
    """
    if plan.kind in NOT_SAVED:
        raise Unsaved("a plan to %s cannot be saved" % plan.kind)
    if any(request.get(field) for field in GIVEN):
        raise Unsaved("a plan that gives programs arguments or variables is not saved: they may be secrets")
    asked = {k: v for k, v in request.items() if k not in OF_A_RUN and v not in ("", None, [], False)}
    for key in ("at", "until"):  # the end counts from the beginning
        if asked.get(key):
            asked[key] = moment(asked[key], now if key == "at" else asked.get("at") or now)
    document = {
        "kind": saved_plan.KIND, "schema": saved_plan.SCHEMA, "site": site_id, "revision": plan.revision, "at": now,
        "by": str(request.get("who") or ""), "from": str(request.get("from") or ""), "approve": approve,
        "request": asked, "fingerprint": plan.fingerprint, "facts": plan.facts,
        "actions": [action.to_json() for action in plan.actions],
    }  # fmt: skip
    document = json.loads(json.dumps(document))
    folder = os.path.join(state_dir, FOLDER)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _forget(folder, now)
        path = os.path.join(folder, saved_plan.digest(document) + ".json")
        fresh = "%s.new-%s" % (path, os.urandom(4).hex())
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            json.dump(document, stream)
        os.replace(fresh, path)
    except OSError as error:
        raise Unsaved("the plan cannot be kept in %s: %s" % (folder, error.strerror or error)) from None
    return dict(document)


def _load(state_dir: str, digest: str, now: float) -> Json:
    if not saved_plan.is_digest(digest):
        raise Unsaved("say which saved plan to apply: its file, or its digest of 64 characters")
    try:
        with open(os.path.join(state_dir, FOLDER, digest + ".json"), "rb") as stream:
            document = saved_plan.read(stream.read(saved_plan.LONGEST + 1))
    except (OSError, saved_plan.NoPlan):
        raise Unsaved(
            "this site has no such plan: it is another site's, its file was changed, or it is too old: make it again"
        ) from None
    if saved_plan.digest(document) != digest:
        raise Unsaved("the plan that was kept is damaged: make it again")
    if not 0 <= now - float(document["at"]) <= LONGEST:
        raise Unsaved("the plan is older than %d days: make it again" % (LONGEST / 86400))
    return document


def _forget(folder: str, now: float) -> None:
    """Drop the oldest plans, and what was never finished."""
    found: List[Tuple[float, str]] = []
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):
            found.append((entry.stat(follow_symlinks=False).st_mtime, entry.path))
    found.sort(reverse=True)
    for position, (made, path) in enumerate(found):
        if position >= KEPT - 1 or now - made > LONGEST:
            with contextlib.suppress(OSError):
                os.unlink(path)
