# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two status documents: a client that has the one needs no more to have the other."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
LISTS = {"items": "item", "hosts": "host"}  # lists of entries, by the field that names them
PARTS = ("instances",)  # entries by name


def difference(before: Json, after: Json) -> Json:
    """{of, at, set, items, hosts, instances, gone}: ``of`` is the ``at`` of the document that it is about.

    ``set``: other fields that are new or differ, whole. The rest holds the entries that differ; ``gone`` the names of
    instances that are no longer there. A list whose order or names differ is in ``set``.
    """
    found: Json = {"of": before["at"], "at": after["at"], "set": {}, "gone": []}
    for key, value in after.items():
        if key in LISTS:
            name = LISTS[key]
            if [entry[name] for entry in value] != [entry[name] for entry in before.get(key) or ()]:
                found["set"][key] = value
            else:
                found[key] = [new for old, new in zip(before[key], value, strict=True) if old != new]
        elif key in PARTS:
            old = before.get(key) or {}
            found[key] = {name: entry for name, entry in value.items() if old.get(name) != entry}
            found["gone"] = [name for name in old if name not in value]
        elif key != "at" and before.get(key) != value:
            found["set"][key] = value
    return found


def applied(before: Json, change: Json) -> Json:
    """The document after a change; what a client does."""
    after = {**before, **change["set"], "at": change["at"]}
    for key, name in LISTS.items():
        new = {entry[name]: entry for entry in change.get(key) or ()}
        after[key] = [new.get(entry[name], entry) for entry in after[key]]
    kept = {name: entry for name, entry in before["instances"].items() if name not in change["gone"]}
    after["instances"] = {**kept, **change["instances"]}
    return after
