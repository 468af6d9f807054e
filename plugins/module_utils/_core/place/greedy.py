# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of any number of instances: one after the other, then one pass that repairs and one that lowers the peak.

Where an instance must be together with others that are not placed yet, a host is looked for that has room for all.
"""

from __future__ import annotations

import heapq
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from .loads import Fleet
from .pending import Pending, Placed
from .ties import FREE, Ties

REPAIR_STEPS = 200000  # pairs of hosts that the repair pass tries at most: on full fleets it would go on
TIED_STEPS = 20  # of these that it costs to look at ties
PEAK_MOVES = 48  # of the last pass
PEAK_HOSTS = 12  # least loaded ones that it tries


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

    def __init__(self, hosts: Sequence[str], strategy: str, load: int, needs: Ties, fleet: Fleet) -> None:
        self._load, self._needs = load, needs
        self._strategy = strategy
        self._fleet = fleet
        self._heap: List[Tuple[Tuple[float, ...], int, str]] = []
        self._in_list = not strategy.startswith(("less_loaded", "most_loaded"))
        self.most_loaded = strategy.startswith("most_loaded")
        self.hosts: FrozenSet[str] = frozenset(hosts)
        for position, host in enumerate(hosts):
            self._heap.append((self._key(host), position if self._in_list else fleet.loads[host].order, host))
        heapq.heapify(self._heap)

    def _key(self, host: str) -> Tuple[float, ...]:
        if self._in_list:
            return ()
        key = self._fleet.key(host, self._strategy)
        return (-key[0], -key[1]) if self.most_loaded else key

    def best(self, p: Pending) -> Optional[str]:
        """The first host with room that nothing keeps this one from."""
        found = None
        aside = []
        while self._heap:
            key, order, host = self._heap[0]
            if self._fleet.free(host) < self._load or self._fleet.lacks(host, self._needs):
                heapq.heappop(self._heap)
            elif key != self._key(host):
                heapq.heapreplace(self._heap, (self._key(host), order, host))
            elif self._fleet.forbids(host, p.ties):
                aside.append(heapq.heappop(self._heap))
            else:
                found = host
                break
        for entry in aside:
            heapq.heappush(self._heap, entry)
        return found

    def changed(self, host: str) -> None:
        """Note that a host became more loaded: an entry that must rise is pushed, others sink in `best`."""
        if self.most_loaded:
            heapq.heappush(self._heap, (self._key(host), self._fleet.loads[host].order, host))


class _Choice:
    """Chooses hosts one after the other; kinds of instances share their candidates."""

    def __init__(self, batch: Sequence[Pending], fleet: Fleet) -> None:
        self._fleet = fleet
        self._kinds: Dict[Tuple[Tuple[str, ...], str, int, Ties], _Candidates] = {}
        self._rising: List[_Candidates] = []
        self._waiting: Dict[str, int] = {}  # group -> load of its instances without a host
        for p in batch:
            for group in p.ties.together:
                self._waiting[group] = self._waiting.get(group, 0) + p.load

    def best(self, p: Pending) -> Optional[str]:
        for hosts in ((p.prefer, p.hosts) if p.prefer else (p.hosts,)):
            host = self._among(hosts, p)
            if host is not None:
                return host
        return None

    def _among(self, hosts: Tuple[str, ...], p: Pending) -> Optional[str]:
        if p.ties.together:
            mates = self._fleet.mates(p.ties)
            if mates is not None:
                near = [h for h in mates if self._fleet.fits(h, p)]
                near = [h for h in hosts if h in near] if near else []
                return preferred(near, p.strategy, self._fleet)[0] if near else None
            total = max(self._waiting[group] for group in p.ties.together)
            host = self._candidates(hosts, p, total).best(p) if total > p.load else None
            if host is not None:
                return host
        return self._candidates(hosts, p, p.load).best(p)

    def _candidates(self, hosts: Tuple[str, ...], p: Pending, load: int) -> _Candidates:
        needs = Ties(needs=p.ties.needs) if p.ties.needs else FREE
        kind = self._kinds.get((hosts, p.strategy, load, needs))
        if kind is None:
            kind = _Candidates(hosts, p.strategy, load, needs, self._fleet)
            self._kinds[hosts, p.strategy, load, needs] = kind
            if kind.most_loaded:
                self._rising.append(kind)
        return kind

    def take(self, p: Pending, host: str) -> None:
        self._fleet.take(host, p.load, p.ties)
        for kind in self._rising:
            for neighbour in self._fleet.node_hosts(host):
                if neighbour in kind.hosts:
                    kind.changed(neighbour)

    def done(self, p: Pending) -> None:
        """It waits no longer, whether it got a host or not."""
        for group in p.ties.together:
            self._waiting[group] -= p.load


def place_greedily(batch: Sequence[Pending], fleet: Fleet) -> Placed:
    """A good placement of a batch; the fleet has it afterwards.

    :param batch: in the order of `place.in_order`.
    """
    placed: Placed = {}
    choice = _Choice(batch, fleet)
    for p in batch:
        host = placed[p.name] = choice.best(p)
        choice.done(p)
        if host is not None:
            choice.take(p, host)
    _make_room(batch, placed, fleet)
    if any(p.ties for p in batch):
        _fill(batch, placed, fleet)
    _lower_the_peak(batch, placed, fleet)
    return placed


def _fill(batch: Sequence[Pending], placed: Placed, fleet: Fleet) -> None:
    """What was moved may have made room for one that is tied to it."""
    hopeless: Set[object] = set()
    for p in batch:
        kind = (p.hosts, p.load, p.ties)
        if placed[p.name] is not None or kind in hopeless:
            continue
        host = next((h for h in preferred(p.hosts, p.strategy, fleet) if fleet.fits(h, p)), None)
        if host is None:
            hopeless.add(kind)
        else:
            placed[p.name] = host
            fleet.take(host, p.load, p.ties)


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
    hopeless: Set[object] = set()
    steps = REPAIR_STEPS
    for p in waiting:
        if (p.hosts, p.load, p.ties) in hopeless:
            continue
        roomy = sorted(fleet.loads, key=lambda h: (-fleet.free(h), fleet.loads[h].order))
        swap, used = _swap(p, roomy, placed, by_node, fleet)
        steps -= used
        if swap is not None:
            moved, host, aside = swap
            fleet.give_back(_host(placed, moved.name), moved.load, moved.ties)
            fleet.take(aside, moved.load, moved.ties)
            fleet.take(host, p.load, p.ties)
            del by_node[fleet.loads[host].node][moved.name]
            by_node.setdefault(fleet.loads[aside].node, {})[moved.name] = moved
            by_node.setdefault(fleet.loads[host].node, {})[p.name] = p
            placed[moved.name], placed[p.name] = aside, host
            hopeless.clear()
        else:
            hopeless.add((p.hosts, p.load, p.ties))
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
        if fleet.free(host) >= p.load and not p.ties:
            continue
        tried: Set[object] = set()
        for other in by_node.get(node, {}).values():
            kind = (other.load, other.hosts, other.ties)
            if fleet.free(host) + other.load < p.load or kind in tried:
                continue
            tried.add(kind)
            if other.prefer and _host(placed, other.name) in other.prefer:
                continue
            for aside in roomy:
                steps += 1
                if fleet.free(aside) < other.load:
                    break
                if aside not in other.hosts or fleet.loads[aside].node == node:
                    continue
                if not (p.ties or other.ties):
                    return (other, host, aside), steps
                steps += TIED_STEPS
                if _may_swap(p, other, _host(placed, other.name), host, aside, fleet):
                    return (other, host, aside), steps
                if steps > REPAIR_STEPS:
                    return None, steps
    return None, steps + len(p.hosts)


def _may_swap(p: Pending, other: Pending, leaves: str, host: str, aside: str, fleet: Fleet) -> bool:
    """Whether nothing that is placed keeps either of them away, when both have changed their places."""
    fleet.give_back(leaves, other.load, other.ties)
    good = fleet.fits(aside, other)
    if good:
        fleet.take(aside, other.load, other.ties)
        good = fleet.fits(host, p)
        fleet.give_back(aside, other.load, other.ties)
    fleet.take(leaves, other.load, other.ties)
    return good


def _lower_the_peak(batch: Sequence[Pending], placed: Placed, fleet: Fleet) -> None:
    """Move single instances of a spread batch from the most loaded hosts to less loaded ones, to lower the peak."""
    movable: Dict[str, List[Pending]] = {}
    hosts: Set[str] = set()
    for p in batch:
        host = placed[p.name]
        hosts.update(p.hosts)
        if host is not None and p.spreads and not p.ties and not p.prefer:
            movable.setdefault(host, []).append(p)
    heap = [(-fleet.effective(host), fleet.loads[host].order, host) for host in movable]
    heapq.heapify(heap)
    by_load = sorted(hosts, key=lambda h: (fleet.effective(h), fleet.loads[h].order))
    for _unused in range(min(len(heap), PEAK_MOVES)):
        minus, _unused, host = heapq.heappop(heap)
        for p in sorted(movable[host], key=lambda p: (p.load, p.order, p.name)):
            target = next(
                (h for h in by_load[:PEAK_HOSTS] if h in p.hosts and fleet.free(h) >= p.load and h != host), None
            )
            if target is not None and fleet.effective(target) + p.load < -minus:
                fleet.give_back(host, p.load)
                fleet.take(target, p.load)
                placed[p.name] = target
                by_load.sort(key=lambda h: (fleet.effective(h), fleet.loads[h].order))
                break
