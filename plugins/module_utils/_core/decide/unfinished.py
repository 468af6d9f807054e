# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run left behind that is over and got no answer from a host: the first look at that host decides.

Until its deadline a request that was sent may still arrive, so a start that is not there is not merely forgotten: its
host gets a stop with a higher epoch first, and refuses the start from then on. A stop that arrives late is refused by
its epoch anyway. A start that is there in part has arrived: it is waited for while its host is at work on it. One that
has arrived and is gone is over.
"""

from __future__ import annotations

from typing import Optional

from ..model.records import Claim
from ..model.sequence import expected_programs
from ..model.words import DOWN, STARTING, STOPPING
from . import pauses
from .draft import WHOLE, Draft


def started_in_vain(draft: Draft, name: str) -> str:
    """The host of a start of which that host shows nothing; empty when there is none."""
    claim = _lost(draft, name)
    if claim is None or claim.phase != STARTING or pauses.holds(draft, name):
        return ""
    host = str(claim.host)
    known = draft.observation(host).instances.get(name)
    if known is not None and (known.live or known.highest >= claim.epoch):
        return ""  # it is there, or was: its run had a deadline for it
    return host


def shown(draft: Draft, name: str) -> bool:
    """Whether nobody is waited for: a stop is repeated, a start is done or was cut, or a restart has not arrived.

    What was to be done to an instance that runs, such as a reload, is done again or is not missed. A window may end
    after this look, and must not be opened again then: until the deadline, nobody starts it but a person.
    """
    claim, instance = _lost(draft, name), draft.site.by_name().get(name)
    if claim is None or claim.phase == STOPPING:
        return claim is not None
    if _ended(draft, name, claim) and instance is not None and not instance.application.on_request:
        return True
    copy = draft.copies(name).get(str(claim.host))
    if claim.phase != STARTING or instance is None:
        return copy is not None and not copy.busy
    if copy is None or copy.epochs != (claim.epoch,):
        arrived = copy is None or not copy.live or copy.highest >= claim.epoch
        return not arrived and not instance.application.on_request
    there = copy.deferred + tuple(copy.failed) + copy.present
    cut = not copy.busy and not instance.application.on_request
    return cut or not expected_programs(instance.application, without=there)


def _ended(draft: Draft, name: str, claim: Claim) -> bool:
    """Whether a start has arrived, nothing of it lives, and its host is not at work on it: it failed, or the host lost
    power. Nothing more comes of it."""
    known = draft.observation(str(claim.host)).instances.get(name)
    if claim.phase != STARTING or known is None or known.live or known.busy:
        return False
    return known.highest >= claim.epoch


def _lost(draft: Draft, name: str) -> Optional[Claim]:
    """The claim, when its run is over without an answer, and its host was seen since."""
    claim = draft.claim(name)
    if draft.kind not in WHOLE or claim.actor is None or not claim.actor.lost or claim.actor.deadline <= draft.now:
        return None
    if claim.host is None or draft.record(claim.host).state == DOWN or not draft.observation(claim.host).seen:
        return None
    return claim
