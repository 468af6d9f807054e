# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What status shows of a rollout: how far it is, what it waits for, what has which configuration."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ..model import sentences
from ..model.rollout import ABORTED, DONE, GOING, Rollout
from ..model.words import CURRENT

Json = Dict[str, Any]
AFTERWARDS = 600.0  # s that status shows one that is done


def part(state: Mapping[str, Any], now: float) -> Optional[Json]:
    """``{"id", "state", "back", "by", "why", "since", "batch", "batches", "reached", "waiting", "failed", "returned",
    "reason", "says"}``; None where there is none, or it was over long ago.

    `batch` counts from 1; `batches` are lists of instances.
    """
    document = (state.get("rollouts") or {}).get(CURRENT)
    if not document:
        return None
    record = Rollout.from_json(document)
    over = len(record.batches) < 2 or now - record.began > AFTERWARDS
    if record.state == DONE and over and not record.back and not record.returned:
        return None
    return {
        "id": record.id, "state": record.state, "back": record.back, "by": record.by, "why": record.why,
        "since": record.since, "batch": min(record.at + 1, len(record.batches)),
        "batches": [list(batch) for batch in record.batches], "reached": sorted(record.reached),
        "waiting": list(record.waiting), "failed": dict(record.failed), "returned": list(record.returned),
        "reason": record.reason, "says": sentence(record, now),
    }  # fmt: skip


def sentence(record: Rollout, now: float) -> str:
    """``rollout 42, since 12:40: batch 2 of 4, 3 of 12 instances reached; waits: ...``"""
    count, reached = sum(len(batch) for batch in record.batches), len(record.reached)
    words = "rollout %s%s, since %s" % (record.id, " back" if record.back else "", sentences.clock(record.since, now))
    if record.state == DONE:
        return "%s: done, %d instances%s" % (words, count, _without(record))
    where = "batch %d of %d, %d of %d instances reached" % (record.at + 1, len(record.batches), reached, count)
    says = "%s: %s%s" % (words, "" if record.state == GOING else record.state + " in ", where)
    if record.reason:
        says += "; %s" % record.reason
    if record.state not in (GOING, ABORTED):
        says += " (muster rollout resume, abort or revert)"
    return says


def _without(record: Rollout) -> str:
    """What failed of one that is done."""
    if not record.failed:
        return ""
    names = sentences.listing(sorted(record.failed), most=6)
    says = "%s failed, and %s what %s with" % (
        names, "has" if len(record.failed) == 1 else "have", "it ran" if len(record.failed) == 1 else "they ran")
    if set(record.failed) - set(record.returned):
        says = "%s failed" % names
    return "; %s%s" % (says, "" if record.back else " (muster rollout resume tries again)")


def lines(document: Optional[Mapping[str, Any]], all_of_it: bool = False) -> List[str]:
    """The same as text.

    :param all_of_it: each batch, too.
    """
    if not document:
        return ["no rollout is under way"] if all_of_it else []
    text = [str(document["says"])]
    if not all_of_it:
        return text
    for number, batch in enumerate(document["batches"], 1):
        state = "waits" if number > document["batch"] else "under way" if number == document["batch"] else "reached"
        if document["state"] == DONE:
            state = "reached"
        text.append("  batch %d, %s: %s" % (number, state, ", ".join(batch)))
    text += ["  failed: %s: %s" % pair for pair in sorted(document["failed"].items())]
    if document["returned"]:
        text.append("  went back: %s" % ", ".join(document["returned"]))
    return text
