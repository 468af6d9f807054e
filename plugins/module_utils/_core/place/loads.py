# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load of each host, as placement counts it: reserved and effective.

Admission counts reservations only, per node: ``reserved + new <= limit``. Ranking counts the effective load:
the foreign load of the node (steps of 10 points, counted above 10) plus, per instance, the larger of what it
reserves and what it was measured to use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..model.item import MEMORY
from ..model.observation import Observation
from ..model.records import Claim
from ..model.sequence import application_of
from ..model.site import Host, Site
from .pending import Pending
from .ties import FREE, Neighbours, Store, Ties, ties_of

FOREIGN_STEP = 10  # percent of the node


@dataclass(frozen=True)
class HostLoad:
    """One host as placement sees it; all figures in percent of the node's capacity."""

    host: str
    node: str
    order: int
    limit: float = 100  # of the node: the smallest of its hosts' limits
    reserved: float = 0  # on this host alone; admission sums the hosts of a node
    used: float = 0  # sum of max(reserved, measured) of this host's instances
    foreign: float = 0  # other work on the node
    ties: Tuple[Ties, ...] = ()  # of what it holds
    rooms: Tuple[Tuple[str, str, float], ...] = ()  # (its node, or "" for the site; resource; how much there is)


def foreign_load(measured: float, ours: float, extra: float) -> float:
    """The load of a node that is not muster's, in percent, rounded down to steps of `FOREIGN_STEP`.

    It is coarse so that noise does not decide a ranking.

    :param measured: load of the whole node.
    :param ours: what instances of muster use of it.
    :param extra: ``extra_load`` of its hosts, as the site says.
    """
    foreign = measured - ours + extra
    return FOREIGN_STEP * (foreign // FOREIGN_STEP) if foreign > FOREIGN_STEP else 0.0


def reservations(site: Site, claims: Mapping[str, Claim]) -> Dict[str, Dict[str, int]]:
    """What every claim that is not free reserves; a move reserves on both hosts.

    :return: host -> instance -> percent of the node.
    """
    held: Dict[str, Dict[str, int]] = {}
    for name, claim in claims.items():
        if not claim.holds:
            continue
        application = application_of(site, name)
        load = application.loading if application else 0
        for host in dict.fromkeys((claim.host, claim.target)):
            if host:
                held.setdefault(host, {})[name] = load
    return held


def host_loads(
    site: Site, claims: Mapping[str, Claim], observations: Mapping[str, Observation], leaving: Collection[str] = (),
    hosts: Optional[Sequence[Host]] = None,
) -> Dict[str, HostLoad]:  # fmt: skip
    """The load of every host of the site. Claims reserve, and so does a live copy that no claim covers.

    :param claims: by name of the instance.
    :param observations: by name of the host; a host without one counts as measured 0.
    :param leaving: instances that get another place: what must be together with them does not follow where they are.
        One that has a claim keeps what it has of the site's resources, for it may find no other place.
    :param hosts: only of these, with all that shares a node with them; `claims` has all that is there.
    """
    held, hosts = reservations(site, claims), site.hosts if hosts is None else hosts
    measured: Dict[str, float] = {}
    ours: Dict[str, float] = {}
    extra: Dict[str, float] = {}
    loads: List[HostLoad] = []
    # Those whose part of the site's resources is counted already, or is free.
    counted = {name for name in leaving if name not in claims or not claims[name].holds}
    limits: Dict[str, float] = {}
    for host in hosts:
        limits[host.node] = min(host.load_limit, limits.get(host.node, host.load_limit))
    for host in hosts:
        here = held.get(host.name, {})
        seen = observations[host.name].instances if host.name in observations else {}
        for name, copy in seen.items():
            if copy.live and name not in here:
                application = application_of(site, name)
                here[name] = application.loading if application else 0
        used = sum(max(load, round(seen[name].cpu) if name in seen else 0) for name, load in here.items())
        loads.append(HostLoad(
            host.name, host.node, host.order, limits[host.node], sum(here.values()), used,
            ties=_ties(site, here, leaving, counted), rooms=_rooms(site, host, observations.get(host.name)),
        ))  # fmt: skip
        extra[host.node] = extra.get(host.node, 0) + host.extra_load
        ours[host.node] = ours.get(host.node, 0) + sum(copy.cpu for copy in seen.values())
        measured[host.node] = max(measured.get(host.node, 0), _measured(host, observations.get(host.name)))
    return {
        load.host: replace(load, foreign=foreign_load(measured[load.node], ours[load.node], extra[load.node]))
        for load in loads
    }


def _ties(site: Site, names: Iterable[str], leaving: Collection[str], counted: Set[str]) -> Tuple[Ties, ...]:
    """:param counted: of these, what they have of the site's resources does not count here."""
    found = []
    for name in names:
        ties = ties_of(site, name)
        if ties:
            if name in leaving:
                ties = replace(ties, together=())
            if name in counted:
                ties = ties.without(site.resources)
            counted.add(name)
            found.append(ties)
    return tuple(found)


def _rooms(site: Site, host: Host, observation: Optional[Observation]) -> Tuple[Tuple[str, str, float], ...]:
    """The memory of a host is what it shows: of one that never did, it is not counted."""
    found: List[Tuple[str, str, float]] = [(host.node, name, amount) for name, amount in host.resources.items()]
    found += [("", name, amount) for name, amount in site.resources.items()]
    memory = observation.load.get("total_memory") if observation is not None else None
    return tuple(found + [(host.node, MEMORY, float(memory))] if memory else found)


def _measured(host: Host, observation: Optional[Observation]) -> float:
    """The node's measured load; a host that measures only its own processes reports no foreign load."""
    if observation is None or host.measure == "processes":
        return 0.0
    return float(observation.load.get("cpu") or 0.0)


class Fleet:
    """Host loads while a batch is placed: reservations and effective loads grow with each `take`."""

    def __init__(self, loads: Iterable[HostLoad]) -> None:
        self.loads: Dict[str, HostLoad] = {load.host: load for load in loads}
        self._node_reserved: Dict[str, float] = {}
        self._node_used: Dict[str, float] = {}
        self._used: Dict[str, float] = {}
        self._node_hosts: Dict[str, List[str]] = {}
        self._around = Neighbours()
        self._store = Store()
        for load in self.loads.values():
            self._node_hosts.setdefault(load.node, []).append(load.host)
            self._node_reserved[load.node] = self._node_reserved.get(load.node, 0) + load.reserved
            self._node_used[load.node] = self._node_used.get(load.node, 0) + load.used
            self._used[load.host] = load.used
            self._store.has(load.node, load.rooms)
        for load in self.loads.values():
            for ties in load.ties:
                self._around.add(load.node, ties)
                self._store.take(load.node, ties, 1)

    def free(self, host: str) -> float:
        """What new instances may still reserve on its node, in percent."""
        load = self.loads[host]
        return load.limit - self._node_reserved[load.node]

    def node_reserved(self, host: str) -> float:
        """What all instances on its node reserve, in percent."""
        return self._node_reserved[self.loads[host].node]

    def node_hosts(self, host: str) -> List[str]:
        """The hosts that share its node, itself included."""
        return self._node_hosts[self.loads[host].node]

    def effective(self, host: str) -> float:
        """The foreign load of its node and what the instances of this host use, in percent."""
        return self.loads[host].foreign + self._used[host]

    def node_effective(self, host: str) -> float:
        """The foreign load of its node and what all instances on the node use, in percent."""
        load = self.loads[host]
        return load.foreign + self._node_used[load.node]

    def key(self, host: str, strategy: str) -> Tuple[float, float]:
        """What the strategies by load compare: the host's load, then the node's; for ``*_node`` the node's first."""
        pair = (self.effective(host), self.node_effective(host))
        return pair if not strategy.endswith("_node") else (pair[1], pair[0])

    def take(self, host: str, load: float, ties: Ties = FREE) -> None:
        """Reserve and use this much more on a host."""
        self._add(host, load, ties, 1)

    def give_back(self, host: str, load: float, ties: Ties = FREE) -> None:
        """The inverse of `take`."""
        self._add(host, -load, ties, -1)

    def _add(self, host: str, load: float, ties: Ties, count: int) -> None:
        node = self.loads[host].node
        self._node_reserved[node] += load
        self._node_used[node] += load
        self._used[host] += load
        if ties:
            self._around.add(node, ties, count)
            self._store.take(node, ties, count)

    def fits(self, host: str, pending: Pending) -> bool:
        """Whether a host has room for an instance, and nothing there keeps it away."""
        return self.free(host) >= pending.load and not self.forbids(host, pending.ties)

    def lacks(self, host: str, ties: Ties) -> str:
        """The first resource of which too little is left on a host for an instance with these ties; or nothing."""
        return self._store.lacks(self.loads[host].node, ties) if ties.needs else ""

    def left(self, host: str, resource: str) -> Tuple[str, float]:
        """(its node, or "" for the site; how much of a resource is left there)."""
        return self._store.left(self.loads[host].node, resource)

    def forbids(self, host: str, ties: Ties) -> bool:
        """Whether something that is placed keeps an instance with these ties away from a host."""
        node = self.loads[host].node
        return bool(ties) and (self._around.forbids(node, ties) or bool(self._store.lacks(node, ties)))

    def mates(self, ties: Ties) -> Optional[List[str]]:
        """The hosts where it is together with those it must be; None while none of them is placed."""
        nodes = self._around.nodes(ties) if ties.together else None
        if nodes is None:
            return None
        return [host for node in sorted(nodes) for host in self._node_hosts.get(node, ())]

    def why_not(self, host: str, ties: Ties) -> str:
        """What keeps an instance with these ties away from a host, as a sentence; empty when nothing does."""
        node = self.loads[host].node
        return self._around.why_not(host, node, ties) or self._store.why_not(host, node, ties)
