# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data that variables of an inventory may hold and a site cannot: what would arrive at a program as something else."""

from __future__ import annotations

import datetime
from typing import Any, List, Mapping, Tuple

from .errors import Keys, Problems, show

DEEPEST = 64  # mappings and lists within each other
_MOST = 2000000  # values; a few anchors within each other may stand for billions
_KINDS = (
    ((set, frozenset), "a set, which has no order", "write a list"),
    ((bytes, bytearray), "binary data", "write text"),
    ((datetime.datetime, datetime.time), "a moment, which YAML writes in its own way", "put it in quotes"),
)


def refuse(value: Any, keys: Keys, problems: Problems) -> bool:
    """Add what is odd anywhere in a value, each with its place. Nothing of it is followed by recursion.

    :return: whether there is something, so that the value must not be used.
    """
    before = len(problems.errors)
    left: List[Tuple[Any, Keys]] = [(value, keys)]
    seen = 0
    while left:
        entry, place = left.pop()
        seen += 1
        if len(place) - len(keys) > DEEPEST or seen > _MOST:
            what = "of more than %d values" % _MOST if seen > _MOST else "nested more than %d times" % DEEPEST
            problems.add(place[: len(keys) + 2], "is %s: perhaps an anchor (&) stands within itself" % what)
            break
        if isinstance(entry, Mapping):
            _keys(entry, place, problems)
            left += [(below, (*place, str(key))) for key, below in reversed(list(entry.items()))]
        elif isinstance(entry, (list, tuple)):
            left += [(entry[number], (*place, number)) for number in range(len(entry) - 1, -1, -1)]
        else:
            for kinds, what, hint in _KINDS:
                if isinstance(entry, kinds):
                    problems.add(place, "is %s" % what, str(entry), hint)
    return len(problems.errors) > before


def _keys(entry: Mapping[Any, Any], place: Keys, problems: Problems) -> None:
    """Whole numbers are taken as text in decimal; what stands for true, false or nothing was meant as text."""
    texts = set()
    for key in entry:
        if key is None or isinstance(key, (bool, float, datetime.datetime)):
            problems.add(place, "has the key %s, which is no text" % show(key), str(key),
                         "put it in quotes: YAML reads no as false, and 1.10 as 1.1")
        elif str(key) in texts:
            problems.add((*place, str(key)), "written twice, as a number and as text", str(key))
        texts.add(str(key))
