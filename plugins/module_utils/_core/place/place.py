# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host each instance of a batch gets.

The order within a batch is application ``start_sequence``, then larger load, then item order. First it is decided
*which* fit: the earlier one wins, a later one never displaces it. Then *where*: the spreading strategies make the
highest effective load as small as possible (then the second highest, and so on), ties by site order; the others
take, in order, the host they prefer. Small batches (`EXACT_PENDING` on `EXACT_HOSTS`) are solved exactly, larger ones
by a greedy pass and one repair pass. The same input always gives the same answer.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from .exact import place_exactly
from .loads import Fleet, HostLoad
from .pending import Pending, Placed

EXACT_PENDING = 12
EXACT_HOSTS = 4
REPAIR_STEPS = 200000  # pairs of hosts that the repair pass tries at most: on full fleets it would go on


def in_order(pending: Iterable[Pending]) -> List[Pending]:
    """The order in which instances of a batch get a host: see the description of this file."""
    return sorted(pending, key=lambda p: (p.sequence, -p.load, p.order, p.name))


def place(pending: Iterable[Pending], loads: Iterable[HostLoad]) -> Placed:
    """Decide the host of each instance.

    :param loads: of every host of the site.
    """
    batch = in_order(pending)
    all_loads = list(loads)
    greedy = _place_greedily(batch, Fleet(all_loads))
    if len(batch) > EXACT_PENDING or len({host for p in batch for host in p.hosts}) > EXACT_HOSTS:
        return greedy
    return place_exactly(batch, Fleet(all_loads), greedy)


def preferred(hosts: Sequence[str], strategy: str, fleet: Fleet) -> List[str]:
    """The hosts from the most to the least preferred, by the loads that `fleet` has now.

    :param hosts: in site order.
    :param strategy: one of `model.site.STARTING_STRATEGIES`.
    """
    if strategy.startswith("less_loaded"):
        return sorted(hosts, key=lambda h: fleet.key(h, strategy) + (fleet.loads[h].order,))
    if strategy.startswith("most_loaded"):
        return sorted(hosts, key=lambda h: tuple(-x for x in fleet.key(h, strategy)) + (fleet.loads[h].order,))
    return list(hosts)


class _Candidates:
    """The hosts of one kind of pending instance (same hosts, strategy and load), best first.

    A host without room leaves for good: during a batch reservations only grow. Heap entries may be out of date; they
    are checked against the fleet when they come up.
    """

    def __init__(self, pending: Pending, fleet: Fleet) -> None:
        self._load = pending.load
        self._strategy = pending.strategy
        self._fleet = fleet
        self._heap: List[Tuple[Tuple[float, ...], int, str]] = []
        self._in_list = not pending.strategy.startswith(("less_loaded", "most_loaded"))
        self.most_loaded = pending.strategy.startswith("most_loaded")
        self.hosts = frozenset(pending.hosts)
        for position, host in enumerate(pending.hosts):
            self._heap.append((self._key(host), position if self._in_list else fleet.loads[host].order, host))
        heapq.heapify(self._heap)

    def _key(self, host: str) -> Tuple[float, ...]:
        if self._in_list:
            return ()
        key = self._fleet.key(host, self._strategy)
        return (-key[0], -key[1]) if self.most_loaded else key

    def best(self) -> Optional[str]:
        while self._heap:
            key, order, host = self._heap[0]
            if self._fleet.free(host) < self._load:
                heapq.heappop(self._heap)
            elif key != self._key(host):
                heapq.heapreplace(self._heap, (self._key(host), order, host))
            else:
                return host
        return None

    def changed(self, host: str) -> None:
        """Note that a host became more loaded: an entry that must rise is pushed, others sink in `best`."""
        if self.most_loaded:
            heapq.heappush(self._heap, (self._key(host), self._fleet.loads[host].order, host))


def _place_greedily(batch: Sequence[Pending], fleet: Fleet) -> Placed:
    placed: Placed = {}
    groups: Dict[Tuple[Tuple[str, ...], str, int], _Candidates] = {}
    rising: List[_Candidates] = []
    for p in batch:
        key = (p.hosts, p.strategy, p.load)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Candidates(p, fleet)
            if group.most_loaded:
                rising.append(group)
        host = placed[p.name] = group.best()
        if host is None:
            continue
        fleet.take(host, p.load)
        for other in rising:
            for neighbour in fleet.node_hosts(host):
                if neighbour in other.hosts:
                    other.changed(neighbour)
    _make_room(batch, placed, fleet)
    _lower_the_peak(batch, placed, fleet)
    return placed


def _make_room(batch: Sequence[Pending], placed: Placed, fleet: Fleet) -> None:
    """For each instance without a host: move one placed instance of the batch, where that makes room."""
    waiting = [p for p in batch if placed[p.name] is None]
    if not waiting:
        return
    by_node: Dict[str, Dict[str, Pending]] = {}
    for p in batch:
        host = placed[p.name]
        if host is not None:
            by_node.setdefault(fleet.loads[host].node, {})[p.name] = p
    hopeless: Set[Tuple[Tuple[str, ...], int]] = set()
    steps = REPAIR_STEPS
    for p in waiting:
        if (p.hosts, p.load) in hopeless:
            continue
        roomy = sorted(fleet.loads, key=lambda h: (-fleet.free(h), fleet.loads[h].order))
        swap, used = _swap(p, roomy, placed, by_node, fleet)
        steps -= used
        if swap is not None:
            moved, host, aside = swap
            fleet.take(_host(placed, moved.name), -moved.load)
            fleet.take(aside, moved.load)
            fleet.take(host, p.load)
            del by_node[fleet.loads[host].node][moved.name]
            by_node.setdefault(fleet.loads[aside].node, {})[moved.name] = moved
            by_node.setdefault(fleet.loads[host].node, {})[p.name] = p
            placed[moved.name], placed[p.name] = aside, host
            hopeless.clear()
        else:
            hopeless.add((p.hosts, p.load))
        if steps <= 0:
            return


def _host(placed: Mapping[str, Optional[str]], name: str) -> str:
    host = placed[name]
    if host is None:
        raise ValueError("%s has no place" % name)
    return host


def _swap(
    p: Pending, roomy: Sequence[str], placed: Placed, by_node: Mapping[str, Mapping[str, Pending]], fleet: Fleet
) -> Tuple[Optional[Tuple[Pending, str, str]], int]:
    """(who moves, the host it frees, where it goes), and the steps spent on finding out."""
    steps = 0
    for host in sorted(p.hosts, key=lambda h: (-fleet.free(h), fleet.loads[h].order)):
        node = fleet.loads[host].node
        if fleet.free(host) >= p.load:
            continue
        tried: Set[Tuple[int, Tuple[str, ...]]] = set()
        for other in by_node.get(node, {}).values():
            if fleet.free(host) + other.load < p.load or (other.load, other.hosts) in tried:
                continue
            tried.add((other.load, other.hosts))
            for aside in roomy:
                steps += 1
                if fleet.free(aside) < other.load:
                    break
                if aside in other.hosts and fleet.loads[aside].node != node:
                    return (other, host, aside), steps
    return None, steps + len(p.hosts)


def _lower_the_peak(batch: Sequence[Pending], placed: Placed, fleet: Fleet) -> None:
    """Move single instances of a spread batch from the most loaded hosts to less loaded ones, to lower the peak."""
    movable: Dict[str, List[Pending]] = {}
    hosts: Set[str] = set()
    for p in batch:
        host = placed[p.name]
        hosts.update(p.hosts)
        if host is not None and p.spreads:
            movable.setdefault(host, []).append(p)
    heap = [(-fleet.effective(host), fleet.loads[host].order, host) for host in movable]
    heapq.heapify(heap)
    by_load = sorted(hosts, key=lambda h: (fleet.effective(h), fleet.loads[h].order))
    for _unused in range(min(len(heap), 4 * EXACT_PENDING)):
        minus, _unused, host = heapq.heappop(heap)
        for p in sorted(movable[host], key=lambda p: (p.load, p.order, p.name)):
            target = next(
                (h for h in by_load[:EXACT_PENDING] if h in p.hosts and fleet.free(h) >= p.load and h != host), None
            )
            if target is not None and fleet.effective(target) + p.load < -minus:
                fleet.take(host, -p.load)
                fleet.take(target, p.load)
                placed[p.name] = target
                by_load.sort(key=lambda h: (fleet.effective(h), fleet.loads[h].order))
                break


@dataclass(frozen=True)
class Candidate:
    """Why a host can or cannot take an instance: one row of the table that people see. Loads in percent of the node."""

    host: str
    fits: bool
    load: float  # what the instance needs
    limit: float
    reserved: float  # on the node, with everything placed so far
    effective: float
    unfit: str = ""  # why it cannot, for another reason than its load

    @property
    def why(self) -> str:
        """A sentence; made when somebody reads it, because fleets have many hosts."""
        if self.unfit:
            return self.unfit
        figures = "%g of %g reserved, it needs %g" % (self.reserved, self.limit, self.load)
        return "%s has %s: %s" % (self.host, "room" if self.fits else "no room", figures)

    def to_json(self) -> Dict[str, object]:
        return {
            "host": self.host,
            "fits": self.fits,
            "load": self.load,
            "limit": self.limit,
            "reserved": self.reserved,
            "effective": self.effective,
            "why": self.why,
        }


def explain(load: float, hosts: Sequence[str], fleet: Fleet, unfit: Mapping[str, str]) -> List[Candidate]:
    """One row per host.

    :param load: what the instance reserves, in percent.
    :param hosts: those that the site allows for it.
    :param unfit: host -> sentence, of hosts that were ruled out for another reason than their load.
    """
    rows = []
    for host in hosts:
        limit, reserved = fleet.loads[host].limit, fleet.node_reserved(host)
        why = unfit.get(host)
        fits = not why and reserved + load <= limit
        rows.append(Candidate(host, fits, load, limit, reserved, fleet.effective(host), why or ""))
    return rows
