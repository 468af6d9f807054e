# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ``muster_alarms``."""

from __future__ import annotations

import fnmatch
import re
from typing import Any, Iterable, List, Tuple

from ..model.alarm import KINDS, Rule
from .errors import show, suggest
from .keys_alarms import RULE
from .reader import Reader

_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_BETWEEN = re.compile("^%s-%s$" % (_TIME, _TIME))
_SAYS = ("priority", "do", "after", "off")


def read_alarms(reader: Reader, written: Any, items: Iterable[str], hosts: Iterable[str]) -> Tuple[Rule, ...]:
    """The rules of a site; errors are added to the reader's problems.

    :param items: ids of all items. :param hosts: names of all hosts.
    """
    rules: List[Rule] = []
    names = {"items": list(items), "hosts": list(hosts)}
    for position, entry in enumerate(written):
        keys = ("muster_alarms", position)
        values = reader.table(RULE, entry, keys, "this rule")
        sound = not values.broken
        for kind in values.get("kinds", ()):
            if kind not in KINDS:
                sound = False
                what = "%s is no kind of alarm" % show(kind)
                reader.problems.add(keys + ("kinds",), what, kind, suggest(kind, KINDS))
        for name, known in names.items():
            for pattern in values.get(name, ()):
                if not fnmatch.filter(known, pattern):
                    sound = False
                    what = "%s fits no %s of this site" % (show(pattern), name[:-1])
                    reader.problems.add(keys + (name,), what, pattern, suggest(pattern, known))
        between = values.get("between", "")
        if between and not _BETWEEN.match(between):
            sound = False
            what = "%s is no time of day" % show(between)
            reader.problems.add(keys + ("between",), what, between, "write it as 22:00-06:00")
        if sound and not any(name in values for name in _SAYS):
            sound = False
            reader.problems.add(keys, "this rule says nothing", None, "give it one of %s" % ", ".join(_SAYS))
        if sound:
            rules.append(Rule(**values))
    return tuple(rules)
