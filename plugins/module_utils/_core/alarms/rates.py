# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the alarms ask of people, beside what EEMUA 191 holds to be acceptable for one operator."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

TEN_MINUTES = 600.0  # s
HOUR, DAY = 3600.0, 86400.0  # s
# EEMUA 191: on average less than one alarm in ten minutes, at most ten in the ten minutes after an upset, fewer than
# ten that stand, and none that chatters.
AVERAGE, PEAK, STANDING, CHATTERING = 1.0, 10, 9, 0

Json = Dict[str, Any]


def rates(raised: Iterable[float], standing: int, chattering: int, now: float, since: float) -> Json:
    """Each figure with its limit: {lately, average, peak, standing, chattering}.

    :param raised: when alarms were raised in the last day.
    :param since: from when on they are known, in seconds since 1970.
    """
    times = sorted(at for at in raised if now - DAY < at <= now)
    span = max(HOUR, min(DAY, now - since))  # less says nothing of an average
    return {
        "lately": _figure(sum(1 for at in times if at > now - TEN_MINUTES), PEAK),
        "average": _figure(round(len(times) * TEN_MINUTES / span, 2), AVERAGE),
        "peak": _figure(_peak(times), PEAK),
        "standing": _figure(standing, STANDING),
        "chattering": _figure(chattering, CHATTERING),
    }


def _peak(times: List[float]) -> int:
    """The most alarms within any ten minutes."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - TEN_MINUTES:
            first += 1
        most = max(most, last - first + 1)
    return most


def _figure(value: float, limit: float) -> Json:
    return {"value": value, "limit": limit, "ok": value <= limit}
