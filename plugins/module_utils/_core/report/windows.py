# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a window that stands still means for its instance: it is degraded. Pure."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ..model.sentences import clock, listing
from ..model.site import Site

Json = Dict[str, Any]


def degrade(site: Site, statuses: Mapping[str, Json], windows: Mapping[str, Json], now: float) -> None:
    """Say it in the states of instances, as `report.verdict` makes them; the first cause stays the first.

    :param windows: instance -> {epoch, programs: {program: since}}, as the monitor heard of it.
    """
    known = site.by_name()
    for name, silent in windows.items():
        status = statuses.get(name)
        if status is None or status["state"] != "running" or status["epoch"] != silent["epoch"]:
            continue
        programs = [p for p in silent["programs"] if p not in status["missing"]]
        if not programs:
            continue
        since = clock(min(silent["programs"][p] for p in programs), now, seconds=True)
        status["minor"] = status["minor"] or not status["major"]
        status["cause"] = status["cause"] or "%s of item %s on %s %s not answer since %s" % (
            listing(programs), known[name].item.id, status["host"], "does" if len(programs) == 1 else "do", since)
