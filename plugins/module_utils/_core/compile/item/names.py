# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of items that have the name of a key of the site: they would be accepted and do nothing."""

from __future__ import annotations

import re
from typing import Any, FrozenSet, Iterator, Mapping

from .. import keys as site_keys
from ..errors import Keys, Problems

_READ = re.compile(r"""\bitem\s*(?:\.\s*(?:get\(\s*['"])?|\[\s*['"])([A-Za-z_][A-Za-z0-9_]*)""")

COMMON = ("kind",)  # an item's own word in so many inventories that nobody means the key of a program with it


def read_in(*parts: Any) -> FrozenSet[str]:
    """The variables of items that texts anywhere in these read, such as ``{{ item.config }}``."""
    return frozenset(name for part in parts for text in _texts(part) for name in _READ.findall(text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if "item" in value:
            yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _texts(entry)


def refuse(name: str, keys: Keys, problems: Problems) -> None:
    """Add an error when a variable has the name of a key that counts elsewhere."""
    for table in site_keys.COUNTED:
        if name in table.names() and name not in COMMON:
            place = table.place + "." + name if table.place.startswith("muster_") else name
            problems.add(keys, "%s is a key of the site, and does nothing in an item" % name, None,
                         "it counts at %s; a variable of yours needs another name" % place)
            return
