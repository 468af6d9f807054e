# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person says that what fails on a host, or of an item, is a drill until a moment; or that the drill is over. Pure.

A drill holds nothing back: everything is done as ever, only its alarms are apart.
"""

from __future__ import annotations

from typing import Dict, List

from ..decide.draft import Draft
from ..model.alarm import DRILL
from ..model.drill import drill_label, drill_says
from ..model.moments import moment
from ..model.sentences import did_you_mean
from .acknowledge import alarms_of, sweep


def begin(draft: Draft) -> List[str]:
    try:
        until = moment(draft.request.get("until"), draft.now)
    except ValueError as error:
        draft.refuse(None, None, str(error))
        return []
    if until is None or not draft.why:
        draft.refuse(None, None, "a drill needs its end (--until WHEN) and a reason (--reason TEXT)")
        return []
    for written in draft.request.get("ids") or ():
        about = _about(draft, str(written))
        if not about:
            continue
        key, before = _key(about), draft.upkeep.notice(_key(about)) or {}
        goes_on = float(before.get("until") or 0.0) > draft.now
        record = {"what": DRILL, "about": about, "by": draft.who, "why": draft.why,
                  "at": before["at"] if goes_on else draft.now, "until": until}  # fmt: skip
        draft.upkeep.set_notice(key, record)
        says = drill_says(about, record, draft.now)
        draft.note(says, draft.why, host=about.partition(":")[2] if about.startswith("host:") else "")
        draft.hold(None, None, "%s: its alarms make no sound and call no hook; everything is done as ever" % says)
    sweep(draft, alarms_of(draft))
    return []


def end(draft: Draft) -> List[str]:
    known = [str((draft.upkeep.notice(key) or {}).get("about")) for key in draft.upkeep.notices()
             if _goes_on(draft, key)]  # fmt: skip
    if draft.request.get("all") and not known:
        draft.hold(None, None, "there is no drill")
    for written in known if draft.request.get("all") else draft.request.get("ids") or ():
        about = str(written) if written in known else next(
            (about for about in known if about.partition(":")[2] == written), "")  # fmt: skip
        if not about:
            names = [one.partition(":")[2] for one in known]
            draft.refuse(None, None, "there is no drill on %s%s" % (written, did_you_mean(str(written), names)))
            continue
        draft.upkeep.set_notice(_key(about), None)
        draft.note("the drill on %s is over" % drill_label(about), draft.why)
        draft.hold(None, None, "the drill on %s is over: what still fails there is an alarm now" % drill_label(about))
    sweep(draft, alarms_of(draft))
    return []


def _goes_on(draft: Draft, key: str) -> bool:
    notice = draft.upkeep.notice(key) or {}
    return notice.get("what") == DRILL and float(notice.get("until") or 0.0) > draft.now


def _key(about: str) -> str:
    return "%s:%s" % (DRILL, about)


def _about(draft: Draft, written: str) -> str:
    """``host:server_2`` or ``item:02``; empty, and refused, when it is neither or could be both."""
    known: Dict[str, List[str]] = {
        "host": [host.name for host in draft.site.hosts], "item": [row.id for row in draft.site.rows]}  # fmt: skip
    what, colon, name = written.partition(":")
    found = [kind for kind in known if written in known[kind]]
    if colon and not found and name in known.get(what, ()):
        return written
    if len(found) == 1:
        return "%s:%s" % (found[0], written)
    if found:
        draft.refuse(None, None, "%s is a host and an item: say host:%s or item:%s" % (written, written, written))
    else:
        near = did_you_mean(written, [*known["host"], *known["item"]])
        draft.refuse(None, None, "%s is no host or item of this site%s" % (written, near))
    return ""
