# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``muster_environment``: the variables that every program of a host gets. A wrong one would keep all from starting."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping

from ..model.text import unreadable
from .errors import Keys, Problems, show
from .values import described

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# What muster itself sets, or the script that starts programs works with.
_OURS = re.compile(r"MUSTER_(SITE|HOST|ADDRESS|ROOT|ITEM|SLOT|INSTANCE|PROGRAM|EPOCH|ETC|PID|LEASE|BUS|GATE|WINDOW|UTF8"
                   r"|OPEN_FILES|PORT_.*|PEER_.*)\Z")
_LONGEST_NUMBER = 1024  # bits; Python refuses to write very long numbers


def read(value: Any, keys: Keys, problems: Problems) -> Dict[str, str]:
    """The variables as texts; what is wrong is added to the problems. No value is shown: it may be a secret."""
    if not isinstance(value, Mapping):
        problems.add(keys, "is %s, must be a mapping of names to texts" % described(value), None)
        return {}
    found: Dict[str, str] = {}
    for name, entry in value.items():
        place = (*keys, str(name))
        if not isinstance(name, str) or not _NAME.match(name):
            problems.add(place, "%s is not a name of an environment variable" % show(name), None,
                         "allowed: letters, digits and _, no digit first")
        elif _OURS.match(name):
            problems.add(place, "%s is reserved: muster sets it" % name, None, "choose another name")
        elif isinstance(entry, int) and not isinstance(entry, bool) and entry.bit_length() <= _LONGEST_NUMBER:
            found[name] = str(entry)
        elif not isinstance(entry, str):
            kind = "empty" if entry is None else "no text"
            problems.add(place, "%s is %s, must be a text" % (name, kind), None, "put it in quotes")
        elif unreadable(entry):
            problems.add(place, "%s holds the control character %s, must be one line of text" % (
                name, unreadable(entry)), None)
        else:
            found[name] = entry
    return found
