# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which items have which application: ``items`` of an application and ``applications`` of an item, which must agree."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from ...model.item import SITE, Item
from ...model.sentences import listing
from ...model.site import Application, Host
from ..errors import Keys, Problems, show, suggest
from ..reader import Values

RANGE = ".."  # between two ids: these and those between them, in the order written
_PATTERN = "*?["
Written = Mapping[str, Tuple[Keys, Values]]


def chosen(
    applications: Tuple[Application, ...], items: Tuple[Item, ...], said: Mapping[str, Any], written: Written,
    problems: Problems,
) -> Tuple[Application, ...]:
    """The applications with the items that have them.

    :param said: application -> its key ``items`` as written.
    :param written: item id -> where it is, and what it says for itself.
    """
    names = [a.name for a in applications if a.per == "item"]
    without: Dict[str, Set[str]] = {name: set() for name in names}  # application -> items that do not want it
    for item, (keys, values) in written.items():
        if "applications" in values:
            wanted = _matching(values["applications"], names, keys + ("applications",), "application", problems)
            for name in names:
                if name not in wanted:
                    without[name].add(item)
    found = []
    for application in applications:
        keys = ("muster_applications", application.name, "items")
        ids: Optional[List[str]] = None
        if application.name in said and application.per != "item":
            problems.add(keys, "items is about applications with one instance per item, but %s has one per %s"
                         % (application.name, application.per), said[application.name], "take items or per away")
        elif application.name in said:
            ids = _of(said[application.name], items, keys, problems)
        if application.per == "item" and (ids is not None or without[application.name]):
            own = None if ids is None else set(ids)
            left = [item.id for item in items if (own is None or item.id in own)
                    and item.id not in without[application.name]]  # fmt: skip
            if not left and ids != []:
                problems.add(keys, "no item has %s: what its items and the applications of the items say leaves none"
                             % application.name, said.get(application.name))
            application = replace(application, items=tuple(left))
        found.append(application)
    return tuple(found)


def _of(written: Any, items: Tuple[Item, ...], keys: Keys, problems: Problems) -> List[str]:
    """The items of an application; nothing, with an error, when something in it is wrong or fits none."""
    if isinstance(written, Mapping):
        return _with(written, items, keys, problems)
    return _matching(written, [item.id for item in items], keys, "item", problems)


def _with(written: Mapping[Any, Any], items: Tuple[Item, ...], keys: Keys, problems: Problems) -> List[str]:
    """Those whose variables have these values."""
    known = sorted({name for item in items for name in item.variables})
    for name in written:
        if name not in known:
            problems.add(keys + (name,), "no item has a variable %s" % show(name), written[name], suggest(name, known))
            return []
    wanted = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in written.items()}
    found = [item.id for item in items
             if all(name in item.variables and item.variables[name] in values for name, values in wanted.items())]
    if not found:
        problems.add(keys, "no item has these values", dict(written))
    return found


def _matching(written: Tuple[str, ...], known: List[str], keys: Keys, what: str, problems: Problems) -> List[str]:
    found: Dict[str, None] = {}
    for name in written:
        first, between, last = name.partition(RANGE)
        if name in known:
            fitting = [name]
        elif between and first in known and last in known:
            start, end = sorted((known.index(first), known.index(last)))
            fitting = known[start : end + 1]
        else:
            fitting = fnmatch.filter(known, name) if any(sign in name for sign in _PATTERN) else []
        if not fitting:
            problems.add(keys, "%s is no %s, and no pattern or range of some" % (show(name), what), name,
                         suggest(name, known))
            return []
        found.update(dict.fromkeys(fitting))
    return list(found)


def check(
    applications: Tuple[Application, ...], items: Tuple[Item, ...], hosts: Tuple[Host, ...], written: Written,
    problems: Problems,
) -> None:
    """Add what does not fit together: rows of one name, items without any application, peers that are not there."""
    if problems.errors:
        return
    of_items = [a for a in applications if a.per == "item"]
    ids = {item.id for item in items}
    once = [a.name for a in applications if a.per == "site"]
    if once and SITE in ids:
        problems.add(("muster_items",), "an item has the id %s, which stands for what the site has once: %s"
                     % (show(SITE), listing(once)), SITE, "give the item another id")
    for application in applications:
        for host in sorted(ids.intersection(application.identifiers)) if application.per == "host" else ():
            problems.add(("muster_items",), "an item has the id %s, which is a host with an instance of %s"
                         % (show(host), application.name), host, "give the item another id")
    for item in items:
        if of_items and not any(a.items is None or item.id in a.items for a in of_items):
            keys = written[item.id][0] if item.id in written else ("muster_items",)
            problems.add(keys, "item %s has no application: none of them has it among its items" % show(item.id),
                         item.id)
    _check_peers({a.name: a for a in applications}, items, problems)


def _check_peers(applications: Mapping[str, Application], items: Tuple[Item, ...], problems: Problems) -> None:
    for application in applications.values():
        peer = applications.get(application.peer)
        keys = ("muster_applications", application.name, "peer")
        if peer is None or peer.per == "site":
            continue
        if peer.per != application.per:
            problems.add(keys, "%s has one instance per %s and its peer %s one per %s: which one would it talk to?"
                         % (application.name, application.per, peer.name, peer.per), peer.name,
                         "a peer has one instance per site, or is per %s too" % application.per)
        elif peer.per == "host":
            missing = [host for host in application.identifiers if host not in peer.identifiers]
            if missing:
                problems.add(keys, "%s runs on %s, where its peer %s does not" % (
                    application.name, listing(missing), peer.name), peer.name)
        else:
            own = [i.id for i in items if application.items is None or i.id in application.items]
            alone = [item for item in own if peer.items is not None and item not in peer.items]
            if alone:
                problems.add(keys, "items %s have %s, but not its peer %s" % (
                    listing(alone), application.name, peer.name), peer.name)
