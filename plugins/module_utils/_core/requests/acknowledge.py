# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person has seen an alarm, a conflict or a failure; or shelves alarms until a moment. Pure.

What the monitor knows of alarms comes with the request, as ``alarms``: [{id, kind, items, acknowledged, noticed}].
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ..decide.draft import Draft
from ..decide.notices import CONFLICT, FAILURE
from ..model.alarm import DRILL, KINDS, MARK, SHELF
from ..model.moments import moment
from ..model.sentences import clock, did_you_mean, listing

STALE = 86400.0  # s after which the mark of an alarm that is over is forgotten


def acknowledge(draft: Draft) -> List[str]:
    """A person has seen it: what is over is forgotten, an alarm or a conflict that goes on is marked."""
    alarms = alarms_of(draft)
    notices = [key for key in draft.upkeep.notices() if _what(draft, key) in (CONFLICT, FAILURE)]
    known = list(dict.fromkeys([*alarms, *notices]))
    wanted = [str(key) for key in draft.request.get("ids") or ()]
    if not wanted and not draft.request.get("all"):
        example = ", for example %s" % known[0] if known else ""
        draft.refuse(None, None, "say what to acknowledge: an id that muster alarms shows%s, or all of them" % example)
        return []
    later = [key for key, alarm in alarms.items() if float(alarm.get("noticed") or 0.0) > _asked(draft)]
    if draft.request.get("all"):
        wanted = [key for key in known if key not in later and not _seen(draft, alarms, key)]
        if not wanted:
            draft.hold(None, None, "there is nothing to acknowledge")
    done = []
    for key in wanted:
        if key in notices:
            _notice(draft, key)
        elif key not in alarms:
            draft.refuse(None, None, "there is nothing called %s to acknowledge%s" % (key, did_you_mean(key, known)))
            continue
        elif key in later:
            draft.refuse(None, None, "%s came after you asked for that: look at it first" % key)
            continue
        for about in [key] if key in alarms else _of_failure(draft, alarms, key):
            _mark(draft, about, alarms[about])
        done.append(key)
    if done:
        draft.hold(None, None, "%s acknowledged by %s" % (listing(done), draft.who))
    sweep(draft, alarms)
    return []


def shelve(draft: Draft) -> List[str]:
    """A person does not want to hear of some alarms until a moment."""
    alarms, items = alarms_of(draft), [item.id for item in draft.site.rows]
    try:
        until = moment(draft.request.get("until"), draft.now)
    except ValueError as error:
        draft.refuse(None, None, str(error))
        return []
    if until is None:
        draft.refuse(None, None, "say until when: nothing is shelved for good")
        return []
    for written in draft.request.get("ids") or ():
        about = _shelf(str(written), alarms, items)
        if not about:
            known = [*KINDS, *items, *alarms]
            near = did_you_mean(written, known) or "; kinds: %s" % ", ".join(KINDS)
            draft.refuse(None, None, "%s is no alarm, item or kind of alarm%s" % (written, near))
            continue
        record = {"what": SHELF, "about": about, "by": draft.who, "why": draft.why, "at": draft.now, "until": until}
        draft.upkeep.set_notice("%s:%s" % (SHELF, about), record)
        says = "alarms about %s are shelved until %s" % (about, clock(until, draft.now))
        draft.note(says, draft.why)
        draft.hold(None, None, "%s by %s" % (says, draft.who))
    sweep(draft, alarms)
    return []


def unshelve(draft: Draft) -> List[str]:
    alarms, items = alarms_of(draft), [item.id for item in draft.site.rows]
    shelved = {str((draft.upkeep.notice(key) or {}).get("about")): key
               for key in draft.upkeep.notices() if _what(draft, key) == SHELF}  # fmt: skip
    for written in draft.request.get("ids") or ():
        about = str(written) if written in shelved else _shelf(str(written), alarms, items)
        if about not in shelved:
            draft.refuse(None, None, "%s is not shelved%s" % (written, did_you_mean(written, shelved)))
            continue
        draft.upkeep.set_notice(shelved[about], None)
        draft.note("alarms about %s are no longer shelved" % about, draft.why)
        draft.hold(None, None, "alarms about %s are no longer shelved" % about)
    return []


def alarms_of(draft: Draft) -> Dict[str, Mapping[str, Any]]:
    return {str(alarm["id"]): alarm for alarm in draft.request.get("alarms") or ()}


def _shelf(written: str, alarms: Mapping[str, Any], items: List[str]) -> str:
    """What a shelf is about: an alarm, all alarms of an item, or a kind; empty when it is none of these."""
    if written in alarms or written in KINDS:
        return written
    item = written.partition(":")[2] if written.startswith("item:") else written
    return "item:%s" % item if item in items else ""


def _what(draft: Draft, key: str) -> str:
    return str((draft.upkeep.notice(key) or {}).get("what") or "")


def _seen(draft: Draft, alarms: Mapping[str, Mapping[str, Any]], key: str) -> bool:
    if key in alarms:
        return bool(alarms[key].get("acknowledged"))
    return bool((draft.upkeep.notice(key) or {}).get("acknowledged"))


def _notice(draft: Draft, key: str) -> None:
    notice = draft.upkeep.notice(key) or {}
    if notice.get("open"):
        seen = {"by": draft.who, "why": draft.why, "at": draft.now}
        draft.upkeep.set_notice(key, dict(notice, acknowledged=seen))
    else:
        draft.upkeep.set_notice(key, None)
    what, name = str(notice.get("what") or key), str(notice.get("instance") or "")
    of, on = " of %s" % name if name else "", " on %s" % listing(notice["hosts"]) if notice.get("hosts") else ""
    draft.note("%s%s%s acknowledged" % (what, of, on), draft.why, "acknowledged", name)


def _asked(draft: Draft) -> float:
    """When the person asked: what came after that, nobody has seen."""
    return min(draft.now, draft.request.get("asked") or draft.now)


def _mark(draft: Draft, about: str, alarm: Mapping[str, Any]) -> None:
    """Mark an alarm. The notices about failures of the same item are seen with it."""
    record = {"what": MARK, "about": about, "by": draft.who, "why": draft.why, "at": _asked(draft)}
    draft.upkeep.set_notice("%s:%s" % (MARK, about), record)
    draft.note("alarm %s acknowledged" % about, draft.why, "acknowledged")
    if not about.startswith("item:"):
        return
    names = {n for n, i in draft.site.by_name().items() if i.item.id in (alarm.get("items") or ())}
    for key in draft.upkeep.notices():
        if _what(draft, key) == FAILURE and (draft.upkeep.notice(key) or {}).get("instance") in names:
            draft.upkeep.set_notice(key, None)


def _of_failure(draft: Draft, alarms: Mapping[str, Any], key: str) -> List[str]:
    """The alarm of the item whose failure a notice was about."""
    name = key.split(":")[1] if key.startswith(FAILURE + ":") else ""
    instance = draft.site.by_name().get(name)
    about = "item:%s" % instance.item.id if instance is not None else ""
    return [about] if about in alarms else []


def sweep(draft: Draft, alarms: Mapping[str, Any]) -> None:
    """Forget shelves and drills that have ended, and marks of what is over."""
    for key in draft.upkeep.notices():
        notice = draft.upkeep.notice(key) or {}
        ended = notice.get("what") in (SHELF, DRILL) and float(notice.get("until") or 0.0) <= draft.now
        stale = notice.get("what") == MARK and float(notice.get("at") or 0.0) < draft.now - STALE
        if ended or (stale and notice.get("about") not in alarms):
            draft.upkeep.set_notice(key, None)
