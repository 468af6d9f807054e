# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person decides a conflict: which host keeps an instance that lives more than once. Pure."""

from __future__ import annotations

from ..decide.conflicts import copies_without_claim
from ..decide.draft import Draft, Move
from ..model.sentences import listing
from ..model.words import STARTED
from .common import because, wrong_kind


def resolve(draft: Draft, name: str) -> bool:
    """A person says which host keeps an instance that lives more than once; whether to reconcile it."""
    instance = draft.site.instance(name)
    host = str(draft.request.get("keep") or "")
    claim, wrong = draft.claim(name), copies_without_claim(draft, name)
    alive = sorted(h for h, copy in draft.copies(name).items() if copy.live)
    busy = draft.busy(name)
    if busy or not wrong:
        nothing = "%s has no second copy: nothing to resolve" % name
        draft.refuse(name, None, "%s waits: %s" % (name, busy) if busy else nothing)
        return False
    if host not in alive:
        draft.refuse(name, host, "say which copy of %s is to stay (--keep): it runs on %s" % (name, listing(alive)))
        return False
    refusal = wrong_kind(draft, instance, host)
    if not refusal and claim.holds and claim.host not in (host, None) and not draft.observation(str(claim.host)).seen:
        refusal = "%s is claimed on %s, which was not seen: see it, or confirm it down, before another copy stays" % (
            name, claim.host)  # fmt: skip
    if refusal:
        draft.refuse(name, host, refusal)
        return False
    reason = because(draft, name, "keep", "on %s" % host)
    draft.resolved.add(name)
    draft.want(name, STARTED, reason, host if instance.application.on_request else None)
    if claim.holds and claim.host == host:
        return True
    draft.moves.append(Move(name, reason, tuple(draft.copies(name)), hosts=(host,), asked=True))
    return False
