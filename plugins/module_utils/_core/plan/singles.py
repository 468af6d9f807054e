# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's answer about single programs means: for the claim, and in words for the trail."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from ..model.claim import Claim, Given
from ..model.plan import ADD, ALONE, END, Action
from ..model.sentences import listing


def changed(action: Action, answer: Mapping[str, Any]) -> Tuple[str, ...]:
    """The programs that were stopped, or started."""
    programs = action.programs or ()
    if action.kind != ADD:
        return programs
    return tuple(program for program in programs if program in (answer.get("started") or ()))


def given(action: Action, claim: Claim, answer: Mapping[str, Any]) -> Given:
    """What people gave to programs, after any action: what is started again by itself keeps it."""
    if action.kind not in ALONE:
        return claim.given
    programs = changed(action, answer)
    runs = set(programs) - set(answer.get("failed") or ())
    return claim.given.after(claim.epoch, programs, {p: how for p, how in action.given.items() if p in runs})


def told(action: Action, answer: Mapping[str, Any]) -> Tuple[str, str]:
    """(what happened, its result)"""
    programs = changed(action, answer) or action.programs or ()
    failed = {p: str(why) for p, why in (answer.get("failed") or {}).items() if p in programs}
    if failed and action.kind != END:
        why = "; ".join("%s %s" % pair for pair in sorted(failed.items()))
        return "%s of %s did not start on %s: %s" % (listing(failed), action.instance, action.host, why), "failed"
    what = "started" if changed(action, answer) else "already runs"
    if action.kind == END:
        what = "stopped" if answer.get("changed", True) else "stopped already"
    how = sorted({action.given[program] for program in programs if program in action.given})
    text = "%s of %s %s on %s" % (listing(programs), action.instance, what, action.host)
    return text + (", with " + "; ".join(how) if how and what == "started" else ""), what


def signalled(action: Action, answer: Mapping[str, Any]) -> Tuple[str, str, str]:
    """(what happened, its result, why)"""
    sent = answer.get("result") == "running"
    text = "%s to %s of %s on %s %s" % (
        action.tell, listing(action.programs or ()), action.instance, action.host, "sent" if sent else "not sent")
    return text, "sent" if sent else "failed", action.reason if sent else str(answer.get("reason") or "")
