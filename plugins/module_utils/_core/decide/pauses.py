# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pauses: nothing automatic acts on a paused item, or on a paused site. What would be done is reported as a hold."""

from __future__ import annotations

from ..model.records import Pause
from ..model.sentences import clock
from ..model.words import MUSTER, SITE, STOPPING, item_key
from .draft import Draft, Mark


def expire(draft: Draft) -> None:
    """End what was paused until a moment that has come."""
    for key in draft.upkeep.paused():
        pause = draft.upkeep.pause(key)
        if pause is not None and pause.until is not None and pause.until <= draft.now:
            draft.upkeep.set_pause(key, None)
            draft.note("%s is no longer paused" % label(key), "it was paused until now", who=MUSTER)


def label(key: str) -> str:
    """How sentences call what a key stands for: ``the site``, ``item 02``."""
    return "the site" if key == SITE else key.replace("/", " ", 1)


def paused(draft: Draft, name: str) -> str:
    """That an instance is paused, as a sentence; empty when it is not."""
    if not draft.upkeep.paused():
        return ""
    instance = draft.site.by_name().get(name)
    keys = [SITE] + ([item_key(instance.item.id)] if instance is not None else [])
    return next((said(draft, key) for key in keys if draft.upkeep.pause(key) is not None), "")


def site_paused(draft: Draft) -> str:
    """That the whole site is paused, as a sentence; empty when it is not."""
    return said(draft, SITE) if draft.upkeep.pause(SITE) is not None else ""


def said(draft: Draft, key: str) -> str:
    """`sentence` about an item or site that is paused in this plan."""
    pause = draft.upkeep.pause(key) or Pause()
    return sentence(key, pause, draft.now)


def sentence(key: str, pause: Pause, now: float) -> str:
    """``item 02 is paused by eve until 14:00 (new fan)``"""
    until = " until %s" % clock(pause.until, now) if pause.until is not None else ""
    why = " (%s)" % pause.why if pause.why else ""
    return "%s is paused%s%s%s" % (label(key), " by " + pause.by if pause.by else "", until, why)


def holds(draft: Draft, name: str) -> str:
    """Why nothing automatic may be done to an instance now; empty when it may.

    What a person asks for in this run is done, and a stop that a person asked for earlier is finished, also that of the
    whole site.
    """
    if name in draft.asked or draft.site_stop is not None or draft.kind == "site_start":
        return ""
    found = paused(draft, name)
    if found and draft.claim(name).phase == STOPPING and not draft.is_started(name):
        by = draft.wanted(name).by
        return found if by == MUSTER else ""
    return found


def hold_back(draft: Draft, name: str, mark: Mark, why: str) -> None:
    """Take back what was decided since `mark`, if hosts would have to act; a hold says what is not done.

    Changes that only write down what was seen stay.

    :param why: that it is paused, as the beginning of the reason.
    """
    acts = [action for action in draft.actions[mark.actions :] if action.acts]
    moves = draft.moves[mark.moves :]
    if not acts and not moves:
        return
    reason = acts[0].reason if acts else moves[0].reason
    draft.undo(name, mark)
    draft.stays[name] = why
    draft.hold(name, draft.claim(name).host, "%s, so nothing is done: %s" % (why, reason))
