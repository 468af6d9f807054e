# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a line of a log was written, by what stands at its beginning: programs write it in many ways, or not at all."""

from __future__ import annotations

import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Tuple

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LOOKED_AT = 80  # characters at the beginning of a line
_DATE = re.compile(
    rb"(\d{4})[-/](\d\d)[-/](\d\d)[T _](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d:?\d\d)?(?![\d:])")
_SYSLOG = re.compile(rb"(?i)(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)")
_CLOCK = re.compile(rb"(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?![\d:])")
_SECONDS = re.compile(rb'\[?(?:\{"at": ?)?(1\d{9})(?:\.(\d{1,9}))?(?![\d:])')
# A process id, a bracket or a level before the time.
_BEGINS = re.compile(rb"(?:\[\d+\] ?)?[\W_]*(?:\w{1,12}[ :|]+)?(?:\[\d+\] )?")
DAY = 86400.0


def written(line: bytes, near: float) -> Optional[float]:
    """Seconds since 1970; None where the line does not say.

    :param near: a moment soon after it, by which a time without a date, or a date without a year, is completed.
    """
    head = line[:_LOOKED_AT]
    for pattern, read in _READERS:
        found = pattern.match(head) or pattern.match(head, _BEGINS.match(head).end())  # type: ignore[union-attr]
        if found:
            try:
                return read(found.groups(), near)
            except (ValueError, OverflowError):
                return None
    return None


def _date(parts: Tuple[Any, ...], near: float) -> Optional[float]:
    year, month, day, hour, minute, second, fraction, zone = parts
    moment = (int(year), int(month), int(day), int(hour), int(minute), int(second))
    if not _is_one(*moment[1:]):
        return None
    if not zone:
        return time.mktime((*moment, 0, 0, -1)) + _fraction(fraction)
    import calendar

    at = calendar.timegm((*moment, 0, 0, 0)) + _fraction(fraction)
    if zone == b"Z":
        return at
    ahead = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return at - (ahead if zone[:1] == b"+" else -ahead)


def _syslog(parts: Tuple[Any, ...], near: float) -> Optional[float]:
    month = _MONTHS.index(parts[0].decode("ascii").lower()) + 1
    day, hour, minute, second = (int(part) for part in parts[1:])
    if not _is_one(month, day, hour, minute, second):
        return None
    year = time.localtime(near).tm_year
    at = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
    return at if at <= near + DAY else time.mktime((year - 1, month, day, hour, minute, second, 0, 0, -1))


def _clock(parts: Tuple[Any, ...], near: float) -> Optional[float]:
    hour, minute, second = (int(part) for part in parts[:3])
    if not _is_one(1, 1, hour, minute, second):
        return None
    today = time.localtime(near)
    for day in (today.tm_mday, today.tm_mday - 1):  # clocks differ, and a line is not written before its time
        at = time.mktime((today.tm_year, today.tm_mon, day, hour, minute, second, 0, 0, -1)) + _fraction(parts[3])
        if at <= near + 60:
            break
    return at


def _seconds(parts: Tuple[Any, ...], near: float) -> Optional[float]:
    return float(parts[0]) + _fraction(parts[1])


def _fraction(digits: Optional[bytes]) -> float:
    return float(b"0." + digits) if digits else 0.0


def _is_one(month: int, day: int, hour: int, minute: int, second: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61


_READERS: Tuple[Tuple[Any, Callable[[Tuple[Any, ...], float], Optional[float]]], ...] = (
    (_DATE, _date), (_SYSLOG, _syslog), (_SECONDS, _seconds), (_CLOCK, _clock),
)


def complete(lines: List[bytes], near: float) -> List[Optional[float]]:
    """A time for each of these lines of one file, oldest first: its own, else that of the line before it, else that of
    the line after it; None for all of them where no line has one.

    :param near: when the last of them was written at the latest.
    """
    found: List[Optional[float]] = []
    after = near
    for data in reversed(lines):  # from the end: a time of day is of the day of what follows
        at = written(data, after)
        if at is not None and at > near + DAY:
            at = None  # a moment that the program writes about
        found.append(at)
        after = after if at is None else at
    found.reverse()
    first = next((at for at in found if at is not None), None)
    last = first
    for position, at in enumerate(found):
        last = at if at is not None else last
        found[position] = last
    return found
