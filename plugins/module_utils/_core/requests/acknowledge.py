# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person has seen a conflict or a failure. Pure."""

from __future__ import annotations

from typing import List

from ..decide.draft import Draft
from ..decide.notices import DRIFT
from ..model.sentences import did_you_mean, listing


def acknowledge(draft: Draft) -> List[str]:
    """A person has seen it: what is over is forgotten, a conflict that goes on is marked."""
    known = [key for key in draft.upkeep.notices() if (draft.upkeep.notice(key) or {}).get("what") != DRIFT]
    wanted = [str(key) for key in draft.request.get("ids") or ()]
    if not wanted and not draft.request.get("all"):
        example = ", for example %s" % known[0] if known else ""
        draft.refuse(None, None, "say what to acknowledge: an id that status shows%s, or all of them" % example)
        return []
    if draft.request.get("all"):
        wanted = [key for key in known if not (draft.upkeep.notice(key) or {}).get("acknowledged")]
        if not wanted:
            draft.hold(None, None, "there is nothing to acknowledge")
    done = []
    for key in wanted:
        notice = draft.upkeep.notice(key)
        if notice is None or notice.get("what") == DRIFT:
            draft.refuse(None, None, "there is nothing called %s to acknowledge%s" % (key, did_you_mean(key, known)))
            continue
        if notice.get("open"):
            seen = {"by": draft.who, "why": draft.why, "at": draft.now}
            draft.upkeep.set_notice(key, dict(notice, acknowledged=seen))
        else:
            draft.upkeep.set_notice(key, None)
        draft.note("%s acknowledged" % key, draft.why, "acknowledged", str(notice.get("instance") or ""))
        done.append(key)
    if done:
        draft.hold(None, None, "%s acknowledged by %s" % (listing(done), draft.who))
    return []
