# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ties an instance to others: nodes that it may not share, nodes that it must share, resources that are shared.

A group has several items. Of a group in `apart` no two items are on one node; of one in `together` all are. Only
services are apart or together: an HCI goes to the console of who asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Collection, Dict, List, Mapping, Optional, Set, Tuple

from ..model.item import MEMORY, NO_TERMS
from ..model.sentences import listing
from ..model.site import Instance, Site, instance_name


@dataclass(frozen=True)
class Ties:
    """Of one instance."""

    item: str = ""
    apart: Tuple[str, ...] = ()
    together: Tuple[str, ...] = ()  # with the application in front: each application by itself
    needs: Tuple[Tuple[str, int], ...] = ()  # resource -> amount

    def __bool__(self) -> bool:
        return bool(self.apart or self.together or self.needs)

    def without(self, shared: Collection[str]) -> Ties:
        """Of one that has what it needs of the site's resources: it takes that along wherever it goes.

        :param shared: the resources of the site.
        """
        return replace(self, needs=tuple(need for need in self.needs if need[0] not in shared))


FREE = Ties()


def ties_of(site: Site, name: str) -> Ties:
    """Of an instance by name; of one that left the site, none."""
    cache: Optional[Dict[str, Ties]] = site.__dict__.get("_ties")
    if cache is None:
        tied = {name: _ties(instance) for name, instance in site.by_name().items()} if _any(site) else {}
        cache = site.__dict__["_ties"] = {name: ties for name, ties in tied.items() if ties}
    return cache.get(name, FREE)


def _any(site: Site) -> bool:
    return any(item.terms is not None for item in site.items) or any(a.takes for a in site.applications)


def _ties(instance: Instance) -> Ties:
    terms, needs = instance.item.terms or NO_TERMS, tuple(instance.application.takes.items())
    if instance.application.on_request:
        return Ties(needs=needs)
    together = tuple("%s:%s" % (instance.application.name, group) for group in terms.together)
    return Ties(instance.item.id, terms.apart, together, needs)


def unit_of(site: Site, name: str) -> str:
    """The first of all those that an instance must be together with, also through others: they move as one unit."""
    cache: Optional[Dict[str, str]] = site.__dict__.get("_units")
    if cache is None:
        first = units({name: ties_of(site, name) for name in site.by_name()})
        cache = site.__dict__["_units"] = {name: unit for name, unit in first.items() if unit != name}
    return cache.get(name, name)


def units(tied: Mapping[str, Ties]) -> Dict[str, str]:
    """Each of these -> the first one of those among them that it is together with, also through others."""
    first, order = {name: name for name in tied}, {name: at for at, name in enumerate(tied)}

    def found(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    groups: Dict[str, str] = {}
    for name, ties in tied.items():
        for group in ties.together:
            both = (found(groups.setdefault(group, name)), found(name))
            first[max(both, key=order.__getitem__)] = min(both, key=order.__getitem__)
    return {name: found(name) for name in tied}


class Store:
    """What is left of each resource, on each node and of what the site has once. What is nowhere is not counted."""

    def __init__(self) -> None:
        self._left: Dict[Tuple[str, str], float] = {}  # (node, or "" for the site; resource) -> amount
        self._all: Dict[Tuple[str, str], float] = {}

    def has(self, node: str, rooms: Tuple[Tuple[str, str, float], ...]) -> None:
        """Take in what a host says of its node and of the site: (node, resource, amount), as in `HostLoad.rooms`."""
        for where, name, amount in rooms:
            known = self._left.get((where, name))
            self._left[where, name] = self._all[where, name] = amount if known is None else min(known, amount)

    def take(self, node: str, ties: Ties, count: int) -> None:
        for name, amount in ties.needs:
            where = self._where(node, name)
            if where in self._left:
                self._left[where] -= count * amount

    def left(self, node: str, name: str) -> Tuple[str, float]:
        """(the node, or "" for the site; how much is left there)."""
        where = self._where(node, name)
        return where[0], self._left.get(where, float("inf") if name == MEMORY else 0)

    def lacks(self, node: str, ties: Ties) -> str:
        """The first resource of which there is too little; empty when there is enough of all."""
        for name, amount in ties.needs:
            if self.left(node, name)[1] < amount:
                return name
        return ""

    def why_not(self, host: str, node: str, ties: Ties) -> str:
        """The same as a sentence."""
        name = self.lacks(node, ties)
        if not name:
            return ""
        where, amount = self._where(node, name), dict(ties.needs)[name]
        unit = " MiB" if name == MEMORY else ""
        most = self._all.get(where, 0)
        return "%s has too little %s: %g of %g%s reserved, it needs %g" % (
            host if where[0] else "the site", name, most - self._left.get(where, 0), most, unit, amount)  # fmt: skip

    def _where(self, node: str, name: str) -> Tuple[str, str]:
        return ("", name) if ("", name) in self._left else (node, name)


class Neighbours:
    """Which items of each group are on which node."""

    def __init__(self) -> None:
        self._apart: Dict[str, Dict[str, Dict[str, int]]] = {}  # group -> node -> item -> instances
        self._together: Dict[str, Dict[str, Dict[str, int]]] = {}

    def add(self, node: str, ties: Ties, count: int = 1) -> None:
        """An instance comes to a node; with -1 it leaves."""
        for groups, members in ((self._apart, ties.apart), (self._together, ties.together)):
            for group in members:
                there = groups.setdefault(group, {}).setdefault(node, {})
                there[ties.item] = there.get(ties.item, 0) + count
                if not there[ties.item]:
                    del there[ties.item]
                    if not there:
                        del groups[group][node]

    def forbids(self, node: str, ties: Ties) -> bool:
        """Whether something that is placed keeps an instance away from a node."""
        for group in ties.apart:
            there = self._apart.get(group, {}).get(node)
            if there and (len(there) > 1 or ties.item not in there):
                return True
        return bool(ties.together) and not self._may_join(node, ties)

    def nodes(self, ties: Ties) -> Optional[Set[str]]:
        """The nodes where those are that it must be together with; None while none of them is placed."""
        found: Optional[Set[str]] = None
        for group in ties.together:
            nodes = self._of_others(group, ties.item)
            if nodes:
                found = nodes if found is None else found & nodes
        return found

    def why_not(self, host: str, node: str, ties: Ties) -> str:
        """The same as `forbids`, as a sentence; empty when nothing keeps it away."""
        for group in ties.apart:
            others = sorted(set(self._apart.get(group, {}).get(node, ())) - {ties.item})
            if others:
                return "%s has item %s, and item %s must be apart from it" % (host, listing(others), ties.item)
        if ties.together and not self._may_join(node, ties):
            items = sorted({item for group in ties.together for there in self._together.get(group, {}).values()
                            for item in there} - {ties.item})
            return "%s has not got item %s, and item %s must be together with it" % (host, listing(items), ties.item)
        return ""

    def _may_join(self, node: str, ties: Ties) -> bool:
        nodes = self.nodes(ties)
        return nodes is None or node in nodes

    def _of_others(self, group: str, item: str) -> Set[str]:
        return {node for node, there in self._together.get(group, {}).items() if len(there) > 1 or item not in there}


def neighbours(site: Site, instance: Instance, groups: Tuple[str, ...]) -> List[str]:
    """The other items of these groups, in site order."""
    found = []
    for other in site.items:
        ties = ties_of(site, instance_name(instance.application.name, other.id))
        if other.id != instance.item.id and set(groups).intersection(ties.apart + ties.together):
            found.append(other.id)
    return found


def broken(site: Site, places: Mapping[str, str]) -> List[Tuple[str, str, str]]:
    """(instance, host, why) of what stands otherwise than the site says now: running instances are not moved for it.

    :param places: instance -> the host that holds it.
    """
    tied = {name: ties for name in places for ties in (ties_of(site, name),) if ties}
    around = Neighbours()
    for name, ties in tied.items():
        around.add(site.host(places[name]).node, ties)
    found = [(name, places[name], around.why_not(places[name], site.host(places[name]).node, ties))
             for name, ties in tied.items()]  # fmt: skip
    return [entry for entry in found if entry[2]]
