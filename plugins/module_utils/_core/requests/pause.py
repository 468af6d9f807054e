# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person pauses an item or the whole site, or lets automation act on it again. Pure."""

from __future__ import annotations

from typing import List, Optional

from ..decide.draft import Draft
from ..decide.pauses import label, said
from ..model.moments import moment
from ..model.records import Pause
from ..model.sentences import did_you_mean
from ..model.words import SITE, item_key


def _key(draft: Draft) -> Optional[str]:
    """What the request is about: an item, or the site."""
    item = str(draft.request.get("item") or "")
    if draft.request.get("site"):
        if item:
            draft.refuse(None, None, "say an item or the site, not both")
            return None
        return SITE
    ids = [known.id for known in draft.site.rows]
    if not item:
        draft.refuse(None, None, "say what to %s: an item, for example %s, or the whole site" % (
            draft.kind, ids[0] if ids else "01"))  # fmt: skip
        return None
    if item not in ids and not (draft.kind == "resume" and draft.upkeep.pause(item_key(item)) is not None):
        draft.refuse(None, None, "there is no item %s in this site%s" % (item, did_you_mean(item, ids)))
        return None
    return item_key(item)


def pause(draft: Draft) -> List[str]:
    key = _key(draft)
    if key is None:
        return []
    try:
        until = moment(draft.request.get("until"), draft.now)
    except ValueError as error:
        draft.refuse(None, None, str(error))
        return []
    before = draft.upkeep.pause(key)
    if before is None or (before.why, before.until) != (draft.why, until):
        draft.upkeep.set_pause(key, Pause(draft.who, draft.why, draft.now, until))
        draft.note(said(draft, key), draft.why)
    held = "%s: nothing there is restarted, moved, repaired or changed by itself"
    draft.hold(None, None, held % said(draft, key))
    return []


def resume(draft: Draft) -> List[str]:
    """The instances concerned: what was held is done by the same run."""
    key = _key(draft)
    if key is None:
        return []
    if draft.upkeep.pause(key) is None:
        draft.hold(None, None, "%s is not paused" % label(key))
        return []
    draft.upkeep.set_pause(key, None)
    draft.note("%s is no longer paused" % label(key), draft.why)
    draft.hold(None, None, "%s is no longer paused" % label(key))
    return [n for n, i in draft.site.by_name().items() if key in (SITE, item_key(i.item.id))]
