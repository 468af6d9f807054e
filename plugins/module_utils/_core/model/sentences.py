# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of the sentences that people read: times, lists, nearest names."""

from __future__ import annotations

import difflib
import re
from datetime import datetime
from typing import Any, Iterable, List

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .site import Site

LONGEST_NAME = 300  # characters
_NUMBER = re.compile("[0-9]+")
CANNOT_RUN = "monitor: cannot run playbooks since"  # begins a line of the status as text


def clock(at: float, now: float, seconds: bool = False) -> str:
    """A time of day in the controller's time zone; with the date when it is not that of `now`."""
    then = datetime.fromtimestamp(at)
    text = then.strftime("%H:%M:%S" if seconds else "%H:%M")
    if then.date() != datetime.fromtimestamp(now).date():
        return "%s on %s" % (text, then.strftime("%Y-%m-%d"))
    return text


def listing(names: Iterable[str], most: int = 6) -> str:
    """``a, b and c``; beyond `most` names the rest is counted."""
    all_names: List[str] = list(names)
    if len(all_names) > most:
        return "%s and %d more" % (", ".join(all_names[: most - 1]), len(all_names) - most + 1)
    if len(all_names) < 2:
        return "".join(all_names)
    return "%s and %s" % (", ".join(all_names[:-1]), all_names[-1])


def nearest(word: Any, words: Iterable[str]) -> str:
    """The known word that was probably meant, or "".

    Case, hyphens and leading zeros do not count, and a few letters may differ. Its numbers are those of the word:
    another number names another machine or item.
    """
    if (isinstance(word, int) and word.bit_length() > 64) or len(str(word)) > LONGEST_NAME:
        return ""  # it is no name, and comparing it would take long
    wanted = _folded(str(word))
    known = {_folded(entry): entry for entry in words if _numbers(_folded(entry)) == _numbers(wanted)}
    if wanted in known:
        return known[wanted]
    close = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.7)
    if not close and len(wanted) >= 4:
        close = sorted((entry for entry in known if wanted in entry), key=len)[:1]
    return known[close[0]] if close else ""


def did_you_mean(word: Any, words: Iterable[str]) -> str:
    """``; did you mean x?``, or what there is where only the numbers differ, or nothing."""
    known = list(words)
    meant = nearest(word, known)
    if meant:
        return "; did you mean %s?" % meant
    wanted = _folded(str(word))
    others = [entry for entry in known if _numbers(wanted) and _shape(_folded(entry)) == _shape(wanted)]
    return "; there %s %s" % ("is" if len(others) == 1 else "are", listing(others)) if others else ""


def times(count: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(count, "%d times" % count)


def duration(seconds: float) -> str:
    """``90 s``, ``10 min``, ``3 h``."""
    if seconds >= 7200:
        return "%.0f h" % (seconds / 3600)
    if seconds >= 120:
        return "%.0f min" % (seconds / 60)
    return "%g s" % seconds


def span(seconds: float) -> str:
    """``7 s``, ``4 min 12 s``, ``3 h 5 min``"""
    if seconds < 60:
        return "%g s" % round(seconds, 1 if seconds < 10 else 0)
    whole = round(seconds)
    if whole < 3600:
        return "%d min %d s" % (whole // 60, whole % 60)
    if whole < 172800:
        return "%d h %d min" % (whole // 3600, whole % 3600 // 60)
    return "%d days %d h" % (whole // 86400, whole % 86400 // 3600)


def number(value: float) -> str:
    """With one decimal, none when that is 0."""
    return "%g" % round(value, 1)


def kinds(site: Site, names: Iterable[str]) -> str:
    """Group or host names as written in `identifiers`, with the hosts they stand for."""
    written = list(names)
    hosts: List[str] = []
    for name in written:
        hosts.extend(h for h in site.groups.get(name, (name,)) if h not in hosts)
    text = listing(written)
    return text if hosts == written else "%s (%s)" % (text, listing(hosts))


def _folded(word: str) -> str:
    return _NUMBER.sub(lambda found: found[0].lstrip("0") or "0", word.lower().replace("-", "_"))


def _shape(word: str) -> str:
    return _NUMBER.sub("0", word)


def _numbers(word: str) -> List[str]:
    return _NUMBER.findall(word)
