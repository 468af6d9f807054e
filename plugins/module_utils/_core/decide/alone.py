# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host may do by itself while no monitor is there: granted ahead, and counted afterwards. Pure.

A service that runs under a lease gets `ahead.AHEAD` numbers beyond its epoch. A start that the host makes by itself
takes the next one as its epoch, a repair only as its number. Nobody else uses them: the next start by a run has a
higher epoch. What stands on the host is compared with what should, so an answer that was lost is made up for by the
next look.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Mapping, Optional

from ..model.observation import Alone
from ..model.records import Claim, Failure
from ..model.sentences import clock
from ..model.sequence import application_of
from ..model.words import MUSTER, RUNNING
from . import pauses
from .ahead import AHEAD, ahead, rules
from .draft import WHOLE, Draft
from .failures import charge, in_a_row

KINDS = (*WHOLE, "pause", "resume")  # of requests that see to it
# What a host may do by itself about an instance, as far as a run knows.
NEVER, UNKNOWN, NOTHING, LITTLE, ENOUGH = "never", "unknown", "nothing", "little", "enough"


def count(draft: Draft, name: str) -> str:
    """Take what the host of an instance did by itself into the ledger and the trail.

    :return: why nothing is to be done about it now, as the host is still at it; else "".
    """
    claim = draft.claim(name)
    known = _known(draft, name, claim)
    if known is None or claim.ahead is None or claim.phase != RUNNING:
        return ""
    host, settings = str(claim.host), draft.site.settings
    fresh = [one for one in known.attempts if claim.ahead.used < one.number <= claim.ahead.until]
    for one in sorted(fresh, key=lambda one: one.number):
        at = one.at if claim.since <= one.at <= draft.now else draft.now  # else the host's clock is wrong
        failure = Failure(at, host, one.why)
        claim = replace(
            claim, failures=charge(claim, failure, settings), crashes=in_a_row(claim, failure, settings),
            epoch=max(claim.epoch, one.epoch), since=min(draft.now, at + one.took),
            ahead=replace(claim.ahead, used=one.number) if claim.ahead else None,
        )  # fmt: skip
        did = "started what was missing of %s" % name if one.epoch < one.number else "restarted %s" % name
        what = "%s %s by itself at %s, as no monitor was there" % (host, did, clock(at, draft.now, seconds=True))
        draft.note(what, one.why, one.result or "unknown", name, host, who=MUSTER)
    if fresh:
        copy = draft.copies(name).get(host)
        if copy is not None and copy.epochs == (claim.epoch,):
            claim = replace(claim, deferred=copy.deferred, failed=dict(copy.failed), reason="")
        draft.set_claim(name, claim)
    if known.busy:
        return "%s is starting it by itself, since no monitor was there" % host
    return ""


def grant(draft: Draft, names: Iterable[str]) -> None:
    """Have hosts hold what they should of it: more where it is nearly used up, nothing where all is paused."""
    now = {application.name: rules(draft.site, application) for application in draft.site.applications}
    acting = {action.instance for action in draft.actions if action.acts} | {move.name for move in draft.moves}
    for name in names:
        claim = draft.claim(name)
        if claim.phase != RUNNING or claim.actor is not None or not claim.host or name in acting:
            continue
        paused = pauses.paused(draft, name)
        given = ahead(draft.site, name, draft.known_epoch(name), claim)
        stands = _stands(draft, name, claim, now)
        if given is not None and draft.is_started(name) and not paused:
            if stands in (UNKNOWN, NOTHING, LITTLE):
                draft.set_claim(name, replace(claim, ahead=given))
                draft.allow(name, claim.host, "%s may start %s by itself while no monitor is there" % (
                    claim.host, name))  # fmt: skip
        elif stands in (UNKNOWN, LITTLE, ENOUGH):
            why = paused or "it is not allowed any more"
            draft.allow(name, claim.host, "%s does not start %s by itself: %s" % (claim.host, name, why))


def _stands(draft: Draft, name: str, claim: Claim, now: Mapping[str, str]) -> str:
    """How much its host may do by itself, as far as this run knows.

    :param now: application -> by which rules its hosts should go.
    """
    if draft.kind not in WHOLE:  # a pause is made without a look, so it tells its hosts in any case
        item = draft.site.instance(name).item.id
        about = draft.request.get("site") or str(draft.request.get("item") or "") == item
        return UNKNOWN if about and claim.ahead is not None else NEVER
    observation = draft.observation(str(claim.host))
    if not observation.lease_held or observation.alone is None or name not in observation.instances:
        return NEVER
    known = observation.alone.get(name)
    if known is None or not known.stands:
        return NOTHING
    application = application_of(draft.site, name)
    if known.rules and application is not None and known.rules != now[application.name]:
        return LITTLE
    enough = claim.ahead is not None and known.until == claim.ahead.until and known.until - known.number >= AHEAD // 2
    return ENOUGH if enough else LITTLE


def _known(draft: Draft, name: str, claim: Claim) -> Optional[Alone]:
    """What the host of the claim shows of it; None where it shows nothing, or was not seen."""
    observation = draft.observation(claim.host) if claim.host else None
    return (observation.alone or {}).get(name) if observation is not None and observation.seen else None
