# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments as people write them: how long, at what time of day, or on which date. In the controller's time zone.

And the ladders of delays before something is tried again.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Optional, Tuple

ALLOWED = "a duration (90s, 30m, 2h, 1d, 1h30m), a time of day (14:00) or a date and time (2030-01-31 14:00)"
LAST = 4102444800.0  # seconds since 1970
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(min|[smhd]) ?")
_STAMP = re.compile(r"\d{9,}(\.\d*)?$")


class Ladder(Tuple[float, ...]):
    """Delays in seconds before something that failed is tried again, each at least as long as the one before."""

    def wait(self, tries: int) -> float:
        """The delay after so many tries that failed, counted from 0; the last step goes on for all that follow."""
        return self[min(tries, len(self) - 1)]


def duration(text: str) -> Optional[float]:
    """Seconds of ``90s``, ``5min``, ``1h30m``; None when the text is no duration."""
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text):
        return None
    return sum(float(count) * _UNITS[unit] for count, unit in parts)


def moment(written: Any, now: float) -> Optional[float]:
    """Seconds since 1970; None for nothing written. A time of day that is over today is tomorrow's.

    :param written: text, or seconds since 1970, as a number or written out.
    :raises ValueError: with a sentence; also for what is over already.
    """
    if written is None or written == "":
        return None
    if isinstance(written, (int, float)) and not isinstance(written, bool):
        at = float(written)
    else:
        at = _text(str(written).strip(), now)
    if at <= now:
        raise ValueError("%s is over already" % written)
    if not at <= LAST:
        raise ValueError("%s is too far away: the last moment is the end of 2099" % written)
    return at


def earlier(written: Any, now: float) -> Optional[float]:
    """As `past`; None for nothing written."""
    return None if written is None or written == "" else past(str(written), now)


def past(written: str, now: float) -> float:
    """As `moment`, for what was: a duration is that long ago, and a time of day that is to come was yesterday's.

    :raises ValueError: with a sentence.
    """
    text = written.strip()
    ago = duration(text)
    at = now - ago if ago is not None else _text(text, now)
    if at > now and re.match(r"\d{1,2}:\d\d(:\d\d)?$", text):
        at = (datetime.fromtimestamp(at) - timedelta(days=1)).timestamp()  # the same time of day, whatever clocks did
    if not 0 <= at <= LAST:
        raise ValueError("%s is too far away" % written)
    return at


def _text(text: str, now: float) -> float:
    if _STAMP.match(text):
        return float(text)
    after = duration(text)
    if after is not None:
        return now + after
    today = datetime.fromtimestamp(now)
    for shape in ("%H:%M", "%H:%M:%S"):
        try:
            clock = datetime.strptime(text, shape).time()
        except ValueError:
            continue
        at = datetime.combine(today.date(), clock)
        return (at if at > today else at + timedelta(days=1)).timestamp()
    try:
        return datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text)).timestamp()
    except ValueError:
        raise ValueError("%s is not a time: write %s" % (text or "nothing", ALLOWED)) from None
