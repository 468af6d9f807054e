# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an instance has taken what the turn of its rollout brings, and is operational with it."""

from __future__ import annotations

from typing import Optional

from ..model.records import Claim
from ..model.rollout import Rollout
from ..model.sentences import listing
from ..model.sequence import expected_programs
from ..model.site import Instance
from ..model.words import FAILED, RUNNING, STARTING
from .draft import Draft
from .keep_running import waits_for


def failure(name: str, claim: Claim, record: Rollout) -> str:
    """Why an instance of the batch under way has failed; empty while it has not."""
    if claim.phase == FAILED:
        return claim.reason or "it did not start"
    found = [entry for entry in (*claim.failures, *claim.crashes) if entry.at >= record.began]
    if found:
        return found[-1].why
    pending = claim.pending
    if pending is not None and pending.why and pending.since >= record.began:
        return pending.why
    alone = {} if name in record.ailing else claim.failed
    return listing("%s: %s" % pair for pair in sorted(alone.items()))


def lacks(
    draft: Draft, instance: Instance, claim: Claim, digest: Optional[str] = None, ailing: bool = False
) -> str:
    """What is missing until an instance is operational, as a phrase; empty when nothing is.

    :param digest: of the configuration that it must have; None: any.
    :param ailing: a part of it may wait behind a gate, or its bus be silent, as before.
    """
    copy = draft.copies(instance.name).get(str(claim.host)) if claim.holds else None
    if claim.phase != RUNNING or claim.actor is not None:
        return "is starting" if claim.phase == STARTING else "is %s" % claim.phase
    if copy is None or not (copy.live or copy.done):
        return "is not seen on %s" % claim.host
    if digest is not None and copy.digest != digest:
        return "has not taken it yet"
    missing = expected_programs(instance.application, without=claim.deferred + tuple(claim.failed) + copy.present)
    if missing:
        return "runs without %s" % listing(missing)
    if claim.deferred and not (ailing and copy.present):
        service = draft.site.service(waits_for(instance, claim)) if waits_for(instance, claim) else None
        return "waits for %s" % ((service.label or service.name) if service else listing(claim.deferred))
    return "has an internal bus that does not answer" if is_sick(draft, instance.name, claim) and not ailing else ""


def is_sick(draft: Draft, name: str, claim: Claim) -> bool:
    """Whether the monitor says that its bus does not answer."""
    epoch = (draft.request.get("sick") or {}).get(name)
    return epoch is not None and epoch == claim.epoch


def goal(record: Rollout, name: str) -> str:
    """The configuration that its turn brings."""
    return record.sources[name] if record.back else record.targets[name]


def runs_with(draft: Draft, claim: Claim, name: str) -> str:
    copy = draft.copies(name).get(str(claim.host)) if claim.holds else None
    return copy.digest if copy is not None else ""
