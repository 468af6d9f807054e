# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for one item only: its loads, its hosts, its neighbours, its priority."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ...model.item import Item, Terms
from ...model.sentences import listing
from ...model.site import Application
from ..applications import Known
from ..errors import Keys, Problems, show, suggest
from ..reader import Reader, Values
from ..table import Field

Written = Mapping[str, Tuple[Keys, Values]]
_FACTOR = Field("expected_loading", "number", "", minimum=0, maximum=100)
_PERCENT = Field("expected_loading", "integer", "", minimum=0, maximum=1000)
_NAMES = Field("identifiers", "names", "")
_NEIGHBOURS = {"apart_from": "apart", "together_with": "together"}


def with_terms(
    items: Tuple[Item, ...], written: Written, applications: Tuple[Application, ...], known: Known, reader: Reader
) -> Tuple[Item, ...]:
    """The items with their terms; errors are added to the reader's problems.

    :param written: item id -> where it is, and what it says for itself.
    """
    groups = _Neighbours({item.id for item in items}, reader.problems).read(written)
    found = []
    for item in items:
        keys, values = written.get(item.id, ((), Values()))
        own = _Own(item.id, keys, applications, known, reader)
        near = groups.get(item.id, {})
        terms = Terms(
            loading=own.loading(values["expected_loading"]) if "expected_loading" in values else {},
            apart=tuple(near.get("apart", ())),
            together=tuple(near.get("together", ())),
            priority=values.get("priority", 0),
            displace=values.get("displace", False),
            **own.hosts(values),
        )
        found.append(item if terms == Terms() else replace(item, terms=terms))
    return tuple(found)


class _Own:
    """Reads the keys of one item that are by application: about those that it has."""

    def __init__(
        self, item: str, keys: Keys, applications: Tuple[Application, ...], known: Known, reader: Reader
    ) -> None:
        self._item, self._keys, self._known, self._reader = item, keys, known, reader
        self._others = {a.name: a for a in applications if not _has(item, a)}
        self._applications = {a.name: a for a in applications if a.name not in self._others}

    def loading(self, written: Any) -> Dict[str, int]:
        """Application -> percent of a host."""
        keys = self._keys + ("expected_loading",)
        if isinstance(written, Mapping):
            loads = {}
            for name, value in self._by_application(written, keys):
                good, load = self._reader.value(_PERCENT, value, keys + (name,))
                if good:
                    loads[name] = load
            return loads
        good, factor = self._reader.value(_FACTOR, written, keys)
        if not good:
            return {}
        return {a.name: math.ceil(round(factor * a.loading, 6)) for a in self._applications.values()}

    def hosts(self, values: Values) -> Dict[str, Dict[str, Tuple[str, ...]]]:
        """``identifiers``, ``written`` and ``prefer`` of `Terms`."""
        allowed, as_written, prefer = {}, {}, {}
        for name, names, named, keys in self._named(values, "identifiers"):
            application = self._applications[name]
            hosts = tuple(host for host in named if host in application.identifiers)
            if not hosts and application.identifiers:
                self._reader.problems.add(keys, "%s may run on none of these hosts: its application names %s"
                                          % (name, listing(application.identifiers_as_written)), list(names),
                                          "name hosts that are among them")
            elif hosts != application.identifiers:
                allowed[name], as_written[name] = hosts, names
        for name, names, named, keys in self._named(values, "prefer"):
            among = allowed.get(name, self._applications[name].identifiers)
            liked = tuple(host for host in named if host in among)
            if liked:
                prefer[name] = liked
            elif among:
                self._reader.problems.add(keys, "%s may run on none of these hosts, so none of them can be preferred"
                                          % name, list(names), "it may run on %s" % listing(among))
        return {"identifiers": allowed, "written": as_written, "prefer": prefer}

    def _named(self, values: Values, key: str) -> List[Tuple[str, Tuple[str, ...], Tuple[str, ...], Keys]]:
        """(application, names as written, their hosts, where they are) for each application that a key is about."""
        if key not in values:
            return []
        keys = self._keys + (key,)
        if isinstance(values[key], Mapping):
            return [(name, *found, keys + (name,)) for name, value in self._by_application(values[key], keys)
                    for found in self._resolved(value, keys + (name,))]
        services = [a.name for a in self._applications.values() if not a.on_request]
        if not services:
            self._reader.problems.add(keys, "%s is about services, and item %s has none" % (key, show(self._item)),
                                      values[key], "write it by application: {<application>: <hosts>}")
        return [(name, *found, keys) for found in self._resolved(values[key], keys) for name in services]

    def _resolved(self, written: Any, keys: Keys) -> List[Tuple[Tuple[str, ...], Tuple[str, ...]]]:
        """[(names, their hosts)], or nothing when one of them is wrong."""
        good, names = self._reader.value(_NAMES, written, keys)
        before = len(self._reader.problems.errors)
        hosts = self._known.resolve(names, keys, self._reader.problems) if good else ()
        return [(names, hosts)] if good and len(self._reader.problems.errors) == before else []

    def _by_application(self, written: Mapping[Any, Any], keys: Keys) -> Iterable[Tuple[str, Any]]:
        for name, value in written.items():
            if name in self._applications:
                yield str(name), value
            elif name in self._others:
                per = self._others[name].per
                why = "" if per == "item" else ": there is one per %s" % per
                self._reader.problems.add(keys + (name,), "item %s has no %s%s" % (show(self._item), name, why), value,
                                          suggest(name, self._applications))
            else:
                self._reader.problems.add(keys + (name,), "%s is not an application" % show(name), value,
                                          suggest(name, self._applications))


def _has(item: str, application: Application) -> bool:
    """Whether an item has an instance of it; also where its `items` were refused, and nobody knows."""
    return application.per == "item" and (not application.items or item in application.items)


class _Neighbours:
    """Items that must, or must not, share a node: as groups, so that what one of them says holds for all."""

    def __init__(self, ids: Any, problems: Problems) -> None:
        self._ids, self._problems = ids, problems

    def read(self, written: Written) -> Dict[str, Dict[str, Dict[str, None]]]:
        """Item -> "apart" and "together" -> its groups."""
        groups: Dict[str, Dict[str, Dict[str, None]]] = {}
        labels: Dict[Tuple[str, str], List[str]] = {}
        for item, (_keys, values) in written.items():
            for key, kind in _NEIGHBOURS.items():
                for name in values.get(key, ()):
                    labels.setdefault((kind, name), []).append(item)
        for item, (keys, values) in written.items():
            for key, kind in _NEIGHBOURS.items():
                for name in values.get(key, ()):
                    if name == item:
                        self._problems.add(keys + (key,), "item %s names itself" % show(item), name)
                    elif name in self._ids:
                        for other in (item, name):
                            group = "|".join(sorted((item, name)))
                            groups.setdefault(other, {}).setdefault(kind, {})[group] = None
                    elif len(labels[kind, name]) < 2:
                        self._problems.add(keys + (key,), "%s is no item, and no other item names it as a label"
                                           % show(name), name, suggest(name, sorted(self._ids)))
                    else:
                        groups.setdefault(item, {}).setdefault(kind, {})[name] = None
        self._contradictions(written, groups)
        return groups

    def _contradictions(self, written: Written, groups: Mapping[str, Mapping[str, Mapping[str, None]]]) -> None:
        """Two items that are together, if only through others, cannot be apart."""
        leader: Dict[str, str] = {}

        def top(name: str) -> str:
            while leader.get(name, name) != name:
                name = leader[name]
            return name

        for item, near in groups.items():
            for group in near.get("together", ()):
                leader[top(item)] = top("group " + group)
        held: Dict[Tuple[str, str], str] = {}
        for item, near in groups.items():
            for group in near.get("apart", ()):
                other: Optional[str] = held.setdefault((group, top(item)), item)
                if other != item:
                    keys = written[item][0] if item in written else written[str(other)][0]
                    self._problems.add(keys, "items %s and %s must be apart and together at once"
                                       % (show(other), show(item)), None,
                                       "take one of apart_from and together_with away")
