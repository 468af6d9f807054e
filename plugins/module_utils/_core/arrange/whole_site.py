# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person stops the whole site, or starts it again as it was. Pure.

What is wanted of each instance stays as it is: the stop is a state beside it, in the ledger until somebody starts the
site. Only windows are closed for good: they never open again by themselves.
"""

from __future__ import annotations

from typing import List

from ..decide.draft import WHOLE, Draft
from ..model.records import SiteStop
from ..model.words import STARTED, STOPPED

STARTS = ("start", "open", "restart", "move", "rebalance")  # kinds that would start something
HOW = "muster site start starts it again"


def site_stop(draft: Draft) -> List[str]:
    """Stop everything; the instances concerned."""
    known = draft.site.by_name()
    if draft.site_stop is not None:
        draft.hold(None, None, "%s already" % draft.site_stop.sentence(draft.now))
    else:
        for name, instance in known.items():
            if instance.application.on_request and draft.is_started(name):
                why = "%s stopped the whole site" % draft.who
                draft.want(name, STOPPED, why + (": " + draft.why if draft.why else ""))
        draft.site_stop = SiteStop(draft.who, draft.why, draft.now)
        draft.meta[STOPPED] = draft.site_stop.to_json()
        draft.note("the site is stopped", draft.why)
        draft.hold(None, None, "%s: nothing is started; %s" % (draft.site_stop.sentence(draft.now), HOW))
    return _everything(draft)


def site_start(draft: Draft) -> List[str]:
    """Start what ran when the site was stopped, where it ran; the instances concerned."""
    if draft.site_stop is None:
        draft.hold(None, None, "the site is not stopped")
        return []
    draft.site_stop = None
    draft.meta[STOPPED] = None
    draft.note("the site is started again", draft.why)
    draft.hold(None, None, "the site is started again by %s" % draft.who)
    known = draft.site.by_name()
    return [name for name in _everything(draft) if name not in known or draft.wanted(name).state == STARTED]


def refused(draft: Draft, kind: str) -> str:
    """Why a request that would start something is not carried out; empty when it is."""
    if draft.site_stop is None or kind not in STARTS:
        return ""
    return "%s, so nothing is started; %s" % (draft.site_stop.sentence(draft.now), HOW)


def told(draft: Draft) -> None:
    """A look at the whole site says why it starts nothing."""
    if draft.site_stop is not None and draft.kind in WHOLE:
        draft.hold(None, None, "%s, so nothing is started; %s" % (draft.site_stop.sentence(draft.now), HOW))


def _everything(draft: Draft) -> List[str]:
    known = draft.site.by_name()
    others = set(draft.state.claims) | set(draft.seen_instances())
    return [*known, *sorted(others - set(known))]
