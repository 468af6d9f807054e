# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More than one copy of an instance, or one that no claim allows: found, reported, and ended as its application says.

Always by item, never by process: a copy stays or ends as a whole. `keep_claimed` ends what has no valid claim,
`stop_all` ends every copy and starts it once where its claim is, `ask` holds until a person decides.
"""

from __future__ import annotations

from typing import List

from ..model.sentences import listing
from ..model.site import Instance
from ..model.words import RUNNING
from .draft import Draft
from .notices import CONFLICT, claim_of, conflict_id
from .relocate import in_place

KEEP_CLAIMED, STOP_ALL, ASK, REPORT = "keep_claimed", "stop_all", "ask", "report"


def copies_without_claim(draft: Draft, name: str) -> List[str]:
    """Hosts with a living copy that the claim does not allow."""
    claim = draft.claim(name)
    found = []
    for host, copy in draft.copies(name).items():
        if not copy.live:
            continue
        if host != claim.host:
            found.append(host)
        elif copy.epochs == (claim.epoch,):
            continue  # ours, or what an unfinished stop left of it
        elif not claim.holds or 0 in copy.epochs or (claim.phase == RUNNING and len(copy.epochs) > 1):
            found.append(host)
    return found


def policy(draft: Draft, instance: Instance) -> str:
    """What becomes of a conflict; `repair: report` only shows it, like every other drift."""
    if instance.application.repair == REPORT and instance.name not in draft.asked:
        return REPORT
    return instance.application.conflicts


def notice(draft: Draft, name: str) -> List[str]:
    """Write down a conflict that begins, or that one is over; the hosts with copies that no claim allows."""
    wrong = copies_without_claim(draft, name)
    key = conflict_id(name)
    before = draft.upkeep.notice(key)
    instance = draft.site.by_name().get(name)
    if not wrong or instance is None:
        if before is not None and before.get("open") and all(_looked(draft, host) for host in before["hosts"]):
            if before.get("acknowledged"):
                draft.upkeep.set_notice(key, None)
            else:
                draft.upkeep.set_notice(key, dict(before, open=False))
            draft.note("the conflict about %s is over" % name, str(before.get("why") or ""), "over", name)
        return []
    claim = draft.claim(name)
    hosts = sorted(set(wrong) | ({claim.host} if claim.holds and claim.host else set()))
    about = claim_of(claim)
    known = before if before is not None and before.get("open") else {}
    if (known.get("hosts"), known.get("claim", about)) == (hosts, about):
        return wrong
    what = policy(draft, instance)
    why = describe(draft, name, wrong)
    draft.upkeep.set_notice(key, {
        "what": CONFLICT, "instance": name, "hosts": hosts, "policy": what, "open": True, "why": why,
        "claim": about,
        "since": before["since"] if before is not None and before.get("open") else draft.now, "acknowledged": None,
    })  # fmt: skip
    draft.note("conflict: %s" % why, "conflicts: %s" % what if what != REPORT else "repair: report", CONFLICT, name)
    return wrong


def _looked(draft: Draft, host: str) -> bool:
    return draft.site_host(host) is None or draft.observation(host).seen


def describe(draft: Draft, name: str, wrong: List[str]) -> str:
    """A sentence about a conflict.

    :param wrong: hosts with copies that no claim allows.
    """
    claim = draft.claim(name)
    if claim.holds and claim.host in wrong:
        others = [host for host in wrong if host != claim.host]
        return "a second copy of %s runs on %s%s" % (
            name, claim.host, ", and one without a valid claim on %s" % listing(others) if others else "")  # fmt: skip
    where = "its claim is on %s" % claim.host if claim.holds else "nothing of it is claimed anywhere"
    return "%s runs on %s without a valid claim: %s" % (name, listing(wrong), where)


def decided(draft: Draft, name: str, wrong: List[str]) -> bool:
    """Whether the policy leaves nothing else to do about this instance in this run."""
    instance = draft.site.by_name().get(name)
    if instance is None or not wrong or name in draft.resolved:
        return False
    what, claim = policy(draft, instance), draft.claim(name)
    if what in (ASK, REPORT):
        if name in draft.asked and not draft.is_started(name):
            return False  # a person's stop ends every copy
        head = "conflicts: ask" if what == ASK else "repair: report"
        draft.hold(name, claim.host, "%s (%s): decide with muster resolve %s --keep HOST, or muster stop %s" % (
            describe(draft, name, wrong), head, name, name))  # fmt: skip
        draft.stays[name] = head
        return True
    holder = claim.host if claim.holds and claim.phase == RUNNING else None
    if what == STOP_ALL and holder is not None and draft.is_started(name) and draft.observation(holder).seen:
        reason = "%s (conflicts: stop_all)" % describe(draft, name, wrong)
        in_place(draft, instance, holder, reason, [host for host in draft.copies(name) if host != holder])
        return True
    return False
