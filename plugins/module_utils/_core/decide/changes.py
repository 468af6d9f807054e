# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of an instance that runs with another configuration than the site describes."""

from __future__ import annotations

from dataclasses import replace
from typing import List

from ..model import change
from ..model.observation import Seen
from ..model.records import Pending
from ..model.sentences import clock, listing
from ..model.site import Instance
from . import notices
from .draft import WHOLE, Draft
from .relocate import in_place, stop_strays


def take(draft: Draft, instance: Instance, host: str, copy: Seen, strays: List[str]) -> bool:
    """Restart it, or note what it does not take now; whether that is all that may be done about it in this run.

    :param copy: what its host shows of it.
    :param strays: hosts with copies that no claim allows.
    """
    name, claim, effect = instance.name, draft.claim(instance.name), _effect(draft, instance, copy)
    if effect == "":
        if claim.pending is not None and draft.kind in WHOLE:  # the site describes again what it runs with
            draft.set_claim(name, replace(claim, pending=None))
        return False
    if effect in (change.WHEN_CLOSED, change.BY_HAND):
        _leave(draft, instance, host, effect)
        return False
    under_way = draft.rollout is not None and name in draft.rollout.targets
    if instance.application.repair == "report" and draft.kind != "deploy" and not under_way:
        stop_strays(draft, name, strays)
        notices.drift(draft, name, host, "%s runs on %s with another configuration" % (name, host), report=True)
        draft.hold(name, host, "%s runs on %s with another configuration than the site describes "
                   "(repair: report): deploy, or restart it" % (name, host))  # fmt: skip
        return True
    if effect == change.RESTART:
        goes_back = draft.digests[name] != draft.described.get(name)
        what = "the configuration of %s goes back" if goes_back else "the configuration of %s changed"
        in_place(draft, instance, host, what % name, strays)
    return effect == change.RESTART


def reload(draft: Draft, instance: Instance, host: str, copy: Seen) -> bool:
    """Have all that runs of it take changed files; whether there is anything to do."""
    name, claim, effect = instance.name, draft.claim(instance.name), _effect(draft, instance, copy)
    if effect not in (change.RELOAD, change.NOTHING):
        return False
    before = claim.pending
    tries = draft.kind in ("deploy", "rollout_resume")
    if before is not None and before.why and before.digest == draft.digests[name] and not tries:
        draft.hold(name, host, "%s %s" % (name, said(before, draft.now)))
        return False
    programs = change.reloaded(instance.application) if effect == change.RELOAD else []
    what = "%s to take them" % _has(programs) if programs else "its programs see for themselves"
    draft.reload(name, host, "the files of %s changed: %s" % (name, what), programs)
    return True


def _effect(draft: Draft, instance: Instance, copy: Seen) -> str:
    """A word of `model.change`; empty where nothing changed, or this is no run that looks at that."""
    wanted = draft.digests.get(instance.name, "")
    looks = draft.kind in WHOLE or draft.kind.startswith("rollout_")
    if not wanted or copy.digest in ("", wanted) or not looks:
        return ""
    return change.effect(instance.application, copy.digest, wanted)


def _leave(draft: Draft, instance: Instance, host: str, how: str) -> None:
    """It keeps what it has; the ledger says so until it starts again."""
    name, claim = instance.name, draft.claim(instance.name)
    known, wanted = claim.pending, draft.digests[instance.name]
    if known is None or (known.digest, known.how) != (wanted, how):
        if known is None:
            known = Pending(wanted, draft.now, how, of=claim.since)
        else:
            known = known.next(wanted, draft.now if known.digest != wanted else known.since, how)
        draft.set_claim(name, replace(claim, pending=known))
    draft.hold(name, host, "%s %s" % (name, said(known, draft.now)))


def _has(names: List[str]) -> str:
    return "%s %s" % (listing(names), "has" if len(names) == 1 else "have")


def said(pending: Pending, now: float) -> str:
    """``runs with the configuration of 12:03, not with that of 12:40: it takes it when it is closed``"""
    return "runs with the configuration of %s, not with that of %s: %s" % (
        clock(pending.of, now), clock(pending.since, now), when(pending.how, pending.why))


def when(how: str, why: str) -> str:
    """When a configuration that is pending is taken."""
    if why:
        return "it was not taken (%s), and the next deploy tries again" % why
    return {
        change.WHEN_CLOSED: "taken when it is closed and opened again",
        change.BY_HAND: "taken at its next start",
    }.get(how, "taken at its next start") + "; now: muster restart --pending"
