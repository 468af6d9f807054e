# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person writes a note for the others. Pure."""

from __future__ import annotations

from typing import List

from ..decide.draft import Draft
from ..model.sentences import did_you_mean

RESULT = "note"


def note(draft: Draft) -> List[str]:
    item, host = str(draft.request.get("item") or ""), str(draft.request.get("host") or "")
    known = {"item": [row.id for row in draft.site.rows], "host": [entry.name for entry in draft.site.hosts]}
    for what, name in (("item", item), ("host", host)):
        if name and name not in known[what]:
            draft.refuse(None, None, "there is no %s %s in this site%s" % (what, name, did_you_mean(name, known[what])))
            return []
    if not draft.why:
        draft.refuse(None, None, "a note needs its text: --reason TEXT")
        return []
    about = " and ".join(filter(None, ["item %s" % item if item else "", host])) or "the site"
    draft.note("note about %s" % about, draft.why, RESULT, host=host)
    draft.hold(None, None, "noted about %s: %s" % (about, draft.why))
    return []
