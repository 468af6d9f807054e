# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch is placed over: which hosts take nothing, and the load of each. Counted once for many futures."""

from __future__ import annotations

from typing import Collection, Dict, Iterable, Mapping, Set, Tuple

from ..decide.draft import WHOLE, Draft
from ..decide.relocate import without_lease
from ..model.records import Claim
from ..model.sentences import number
from ..model.words import DOWN, DRAINED, SUSPECT
from ..place.loads import HostLoad, host_loads

FREE = Claim()


def unfit(draft: Draft, host: str) -> str:
    """Why nothing new may start on a host, even with room; empty when it may."""
    record = draft.record(host)
    if record.state == DRAINED:
        return "%s is drained" % host
    if record.state in (DOWN, SUSPECT):
        word = "believed down" if record.state == DOWN else "suspect"
        return "%s is %s%s" % (host, word, ": " + record.evidence if record.evidence else "")
    observation = draft.observation(host)
    if not observation.seen:
        if host in observation.why:
            return observation.why
        return "%s does not answer%s" % (host, ": " + observation.why if observation.why else "")
    if not observation.prepared and draft.kind != "deploy":
        return "%s is not prepared: deploy to it first" % host
    if observation.service_manager != "running" and draft.kind not in WHOLE:
        return "the service manager of %s does not run: reconcile starts it" % host
    if observation.lease_lost:
        return without_lease(host)
    if observation.disk_full:
        return "the disk of %s is full" % host
    known = draft.site.host(host)
    for floor, figure, word in (
        (known.min_free_memory, observation.load.get("free_memory"), "memory"),
        (known.min_free_disk, observation.load.get("free_disk"), "disk"),
    ):
        if floor and figure is not None and figure < floor:
            return "%s has %s MiB of %s free, less than the %d it must keep" % (host, number(figure), word, floor)
    return ""


class Figures:
    """Of one draft."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def unfit(self) -> Dict[str, str]:
        """Host -> why nothing new may start there; empty when it may."""
        return {host.name: unfit(self._draft, host.name) for host in self._draft.site.hosts}

    def loads(self, leaving: Collection[str]) -> Dict[str, HostLoad]:
        """:param leaving: instances that get another place, as in `host_loads`."""
        return host_loads(self._draft.site, self._draft.claims(), self._draft.observations, leaving)


class Ground:
    """The figures of a draft in which nothing is decided, for all futures that begin there."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.unfit = Figures(draft).unfit()
        self.claims = draft.claims()
        self.loads = host_loads(draft.site, self.claims, draft.observations)
        self._order = {name: at for at, name in enumerate(draft.site.by_name())}
        self._nodes: Dict[str, Set[str]] = {}
        self._on: Dict[str, Set[str]] = {}
        for host in draft.site.hosts:
            self._nodes.setdefault(host.node, set()).add(host.name)
            self._on[host.name] = set(draft.observation(host.name).instances)
        for name, claim in self.claims.items():
            for at in _hosts(claim):
                self._on.setdefault(at, set()).add(name)

    def order(self, name: str) -> Tuple[int, str]:
        """Site order, and at last what left the site."""
        return self._order.get(name, len(self._order)), name

    def concerned(
        self, names: Collection[str], hosts: Iterable[str], claims: Mapping[str, Claim]
    ) -> Tuple[Set[str], Dict[str, Claim]]:
        """The hosts that these hosts and instances are about, with all that shares a node with them, and all claims
        there.

        :param claims: as they are in one future.
        """
        left, known, found = set(hosts), set(), {}  # type: Set[str], Set[str], Dict[str, Claim]
        for name in names:
            left.update(_hosts(self.claims.get(name, FREE)), _hosts(claims.get(name, FREE)))
        while left:  # a move reserves on two hosts
            new = {other for host in left if host in self.loads for other in self._nodes[self.loads[host].node]} - known
            known |= new
            there = {name for host in new for name in self._on[host]}.union(names).difference(found)
            found.update((name, claims.get(name, FREE)) for name in there)
            left = {host for name in there for host in _hosts(found[name])} - known
        return known, found


class Future(Figures):
    """Of a draft that differs from the ground by a few instances and hosts."""

    def __init__(self, ground: Ground, draft: Draft, claims: Collection[str], seen: Collection[str]) -> None:
        """:param claims: instances whose claims differ. :param seen: hosts whose observations differ."""
        super().__init__(draft)
        self._ground, self._claims, self._seen = ground, claims, seen

    def unfit(self) -> Dict[str, str]:
        return {**self._ground.unfit, **{host: unfit(self._draft, host) for host in self._seen}}

    def loads(self, leaving: Collection[str]) -> Dict[str, HostLoad]:
        left = {host for name in leaving for host in self._draft.copies(name)}
        names = {*self._claims, *leaving}
        known, claims = self._ground.concerned(names, left.union(self._seen), self._draft.claims())
        hosts = [host for host in self._draft.site.hosts if host.name in known]
        fresh = host_loads(self._draft.site, claims, self._draft.observations, leaving, hosts)
        return {**self._ground.loads, **fresh}


def _hosts(claim: Claim) -> Set[str]:
    """Where it reserves."""
    return {host for host in (claim.host, claim.target) if host} if claim.holds else set()
