# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alarms of a step, read past our own code: at most one per cause, and none untold."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

ALARMED = ("unacknowledged", "came and went")


def told(state: Path, since: float) -> list[str]:
    """The alarms that came since a moment (s since 1970), each once, with what they said. A person knew all before."""
    database = sqlite3.connect("file:%s?mode=ro" % (state / "past/past.db"), uri=True, timeout=20)
    try:
        query = "SELECT subject, entry FROM change WHERE what = 'alarm' AND at >= ? ORDER BY id"
        rows = [(subject, json.loads(entry)) for subject, entry in database.execute(query, (since,))]
    finally:
        database.close()
    came = {subject: entry["why"] for subject, entry in rows if entry["after"] in ALARMED}
    return ["%s (%s)" % (subject, why) for subject, why in came.items()]
