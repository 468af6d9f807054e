# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the monitor's own log for actions that it must never take."""

from __future__ import annotations

import json
from typing import Any


def overlaps(log: str) -> list[str]:
    """Instances that were given to a run while another one still had them; a run ends with its monitor's life, too."""
    found, holder = [], {}  # type: list[str], dict[str, str]
    for line in log.splitlines():
        entry = _entry(line)
        run = str(entry.get("run"))
        if entry.get("event") == "monitor started":
            holder.clear()  # what the one before began is the ledger's to know
        elif entry.get("event") == "run over":
            holder = {about: other for about, other in holder.items() if other != run}
        elif entry.get("event") == "run":
            for about in entry.get("about") or ():
                if about in holder:
                    found.append("%s was given to %s and still with %s" % (about, run, holder[about]))
                holder[about] = run
    return found


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
