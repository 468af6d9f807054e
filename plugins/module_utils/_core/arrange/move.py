# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person moves services to a host, now or at a moment. Pure."""

from __future__ import annotations

from typing import List, Optional

from ..decide.draft import Draft, Move
from ..model.moments import moment
from ..model.records import Booked
from ..model.sentences import clock, did_you_mean
from ..model.site import Instance
from ..model.words import FAILED, RUNNING
from ..requests.ask import named
from ..requests.common import because, wrong_kind


def move(draft: Draft) -> List[str]:
    """Move the named services, or book their moves; no instance is left to reconcile."""
    to = str(draft.request.get("to") or "")
    hosts = [host.name for host in draft.site.hosts]
    if to not in hosts:
        problem = "there is no host %s in this site%s" % (to, did_you_mean(to, hosts))
        draft.refuse(None, to, problem if to else "say the host to move to: --to HOST")
        return []
    try:
        due = moment(draft.request.get("at"), draft.now)
    except ValueError as error:
        draft.refuse(None, to, str(error))
        return []
    known = draft.site.by_name()
    for name in named(draft):
        instance = known.get(name)
        claim = draft.claim(name)
        if instance is not None and claim.host == to and claim.phase == RUNNING:
            _stays(draft, name, to)
            continue
        wrong = _refusal(draft, instance, name, to)
        if wrong or instance is None:
            draft.refuse(name, to, wrong or "%s is not in the site" % name)
        elif due is not None:
            _book(draft, name, to, due)
        else:
            draft.unbook(name)
            reason = because(draft, name, "move", "to %s" % to)
            draft.moves.append(Move(name, reason, tuple(draft.copies(name)), hosts=(to,), asked=True))
    return []


def _stays(draft: Draft, name: str, host: str) -> None:
    """It is there. A move that is still to be done would take it away again: this calls it off."""
    booked = draft.booking(name)
    if booked is None:
        draft.hold(name, host, "%s already runs on %s" % (name, host))
        return
    draft.unbook(name)
    draft.note("the move of %s to %s is called off" % (name, booked.to), draft.why, instance=name)
    draft.hold(name, host, "%s stays on %s: its move to %s is called off" % (name, host, booked.to))


def _refusal(draft: Draft, instance: Optional[Instance], name: str, to: str) -> str:
    """Why an instance cannot move at all, and what to do; room and the state of the host are for the placement."""
    if instance is None:
        return "%s is not in the site" % name
    claim, item = draft.claim(name), instance.item.id
    if instance.application.on_request:
        return "%s is a window, and those do not move: close it (muster close %s), and open it there (muster open %s" \
            " --console %s)" % (name, item, item, to)  # fmt: skip
    wrong = wrong_kind(draft, instance, to)
    if wrong:
        return wrong
    if not draft.is_started(name):
        return "%s is stopped, so it does not move: muster start %s --host %s starts it there" % (name, name, to)
    busy = draft.busy(name)
    if busy:
        return "%s waits: %s" % (name, busy)
    if not claim.holds or claim.phase == FAILED:
        why = " (%s)" % claim.reason if claim.reason else ""
        return "%s runs nowhere%s: muster start %s --host %s starts it there" % (name, why, name, to)
    holder = str(claim.host)
    if not draft.observation(holder).seen:
        why = draft.observation(holder).why
        return "%s is claimed on %s, which was not seen (%s): its stop there could not be confirmed" % (
            name, holder, why)  # fmt: skip
    if claim.phase != RUNNING:
        return "%s is %s on %s: move it when it runs" % (name, claim.phase, holder)
    return ""


def _book(draft: Draft, name: str, to: str, due: float) -> None:
    claim = draft.claim(name)
    draft.booked[name] = Booked(str(claim.host), to, draft.who, draft.why, draft.now, due)
    at = clock(due, draft.now)
    draft.note("%s moves from %s to %s at %s" % (name, claim.host, to, at), draft.why, instance=name, host=to)
    draft.hold(name, claim.host, "%s moves to %s at %s" % (name, to, at))
