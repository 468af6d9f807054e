# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact placement of a small batch: level by level over the reachable loads of the hosts.

A level holds every distinct load of the hosts that the instances so far can produce, each with the first assignment (in
site order) that leads to it. Two loads are one when they differ only by an exchange of interchangeable hosts.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Set, Tuple

from .loads import Fleet
from .pending import Pending, Placed

Added = Tuple[int, ...]  # load added per host
Path = Tuple[int, ...]  # host index per placed instance


class _Problem:
    """The batch and its hosts by index."""

    def __init__(self, batch: Sequence[Pending], fleet: Fleet) -> None:
        names = {host for p in batch for host in p.hosts}
        self.hosts = sorted(names, key=lambda h: fleet.loads[h].order)
        index = {host: i for i, host in enumerate(self.hosts)}
        self.batch = batch
        self.choices = [tuple(sorted(index[h] for h in set(p.hosts))) for p in batch]
        self.free = [fleet.free(h) for h in self.hosts]
        nodes = [fleet.loads[h].node for h in self.hosts]
        self.sharing = [tuple(j for j, node in enumerate(nodes) if node == nodes[i]) for i in range(len(nodes))]
        by_node = all(p.strategy == "less_loaded_node" for p in batch)
        self.base = [fleet.node_effective(h) if by_node else fleet.effective(h) for h in self.hosts]
        self.counted = self.sharing if by_node else [(i,) for i in range(len(nodes))]
        self.groups = self._alike(fleet)

    def _alike(self, fleet: Fleet) -> List[List[int]]:
        """Groups of hosts that are interchangeable: each alone on its node, same figures, same instances."""
        groups: Dict[object, List[int]] = {}
        for i in range(len(self.hosts)):
            if len(self.sharing[i]) > 1:
                continue
            takes = tuple(i in choices for choices in self.choices)
            groups.setdefault((self.free[i], self.base[i], takes), []).append(i)
        return [group for group in groups.values() if len(group) > 1]

    def fits(self, added: Added, host: int, load: int) -> bool:
        return sum(added[j] for j in self.sharing[host]) + load <= self.free[host]

    def canonical(self, added: Added) -> Added:
        if not self.groups:
            return added
        result = list(added)
        for group in self.groups:
            for i, value in zip(group, sorted((added[i] for i in group), reverse=True)):
                result[i] = value
        return tuple(result)

    def effective(self, added: Added, host: int) -> float:
        return self.base[host] + sum(added[j] for j in self.counted[host])

    def profile(self, added: Added) -> Tuple[float, ...]:
        """The effective loads, highest first: what a spread batch makes as small as possible."""
        return tuple(sorted((self.effective(added, i) for i in range(len(self.hosts))), reverse=True))


def _plus(added: Added, host: int, load: int) -> Added:
    return added[:host] + (added[host] + load,) + added[host + 1 :]


def place_exactly(batch: Sequence[Pending], fleet: Fleet, greedy: Placed) -> Placed:
    """The best placement of a batch.

    :param batch: in the order of `place.in_order`.
    :param greedy: any valid placement of the batch; its highest load bounds the search.
    """
    problem = _Problem(batch, fleet)
    kept = list(range(len(batch))) if all(greedy[p.name] for p in batch) else _first_fitting(problem)
    if all(p.spreads or len(p.hosts) < 2 for p in batch):
        path: Optional[Path] = _spread(problem, kept, _bound(problem, kept, greedy))
    else:
        path = _by_preference(problem, kept, fleet)
    if path is None:
        raise ValueError("what was shown to fit does not fit")
    placed: Placed = {p.name: None for p in batch}
    for i, host in zip(kept, path):
        placed[batch[i].name] = problem.hosts[host]
    return placed


def _first_fitting(problem: _Problem) -> List[int]:
    """Indices of the instances that can all be placed, the earlier one always preferred."""
    states: Set[Added] = {(0,) * len(problem.hosts)}
    kept: List[int] = []
    for i, p in enumerate(problem.batch):
        after = {
            problem.canonical(_plus(added, host, p.load))
            for added in states
            for host in problem.choices[i]
            if problem.fits(added, host, p.load)
        }
        if after:
            states = after
            kept.append(i)
    return kept


def _bound(problem: _Problem, kept: List[int], greedy: Placed) -> Optional[Tuple[float, ...]]:
    """The profile of the greedy placement, when that places the same instances."""
    added: Added = (0,) * len(problem.hosts)
    for i, p in enumerate(problem.batch):
        host = greedy[p.name]
        if (host is not None) != (i in kept):
            return None
        if host is not None:
            added = _plus(added, problem.hosts.index(host), p.load)
    return problem.profile(added)


def _spread(problem: _Problem, kept: List[int], bound: Optional[Tuple[float, ...]]) -> Optional[Path]:
    """The assignment with the smallest profile; among equals the first in site order."""
    start: Added = (0,) * len(problem.hosts)
    level: Dict[Added, Tuple[Added, Path]] = {start: (start, ())}
    for i in kept:
        load = problem.batch[i].load
        after: Dict[Added, Tuple[Added, Path]] = {}
        for added, path in level.values():
            for host in problem.choices[i]:
                if not problem.fits(added, host, load):
                    continue
                if bound is not None and problem.effective(added, host) + load > bound[0]:
                    continue
                state = _plus(added, host, load)
                after.setdefault(problem.canonical(state), (state, path + (host,)))
        level = after
    best: Optional[Tuple[Tuple[float, ...], Path]] = None
    for added, path in level.values():
        candidate = (problem.profile(added), path)
        if best is None or candidate < best:
            best = candidate
    return best[1] if best else None


def _by_preference(problem: _Problem, kept: List[int], fleet: Fleet) -> Optional[Path]:
    """Each instance, in order, on the host it prefers among those that leave room for all the later ones."""
    dead: Set[Tuple[int, Added]] = set()

    def rank(i: int, added: Added) -> List[int]:
        p = problem.batch[i]
        fitting = [h for h in problem.choices[i] if problem.fits(added, h, p.load)]
        if p.strategy.startswith(("less_loaded", "most_loaded")):
            sign = 1 if p.strategy.startswith("less_loaded") else -1
            fitting.sort(key=lambda h: tuple(sign * x for x in _load_key(problem, fleet, added, h, p.strategy)) + (h,))
        else:
            listed = [problem.hosts.index(name) for name in p.hosts]
            fitting.sort(key=listed.index)
        return fitting

    def search(position: int, added: Added) -> Optional[Path]:
        if position == len(kept):
            return ()
        i = kept[position]
        for host in rank(i, added):
            after = _plus(added, host, problem.batch[i].load)
            if (position + 1, problem.canonical(after)) in dead:
                continue
            rest = search(position + 1, after)
            if rest is not None:
                return (host,) + rest
        dead.add((position, problem.canonical(added)))
        return None

    return search(0, (0,) * len(problem.hosts))


def _load_key(problem: _Problem, fleet: Fleet, added: Added, host: int, strategy: str) -> Tuple[float, float]:
    name = problem.hosts[host]
    own = fleet.effective(name) + added[host]
    node = fleet.node_effective(name) + sum(added[j] for j in problem.sharing[host])
    return (node, own) if strategy.endswith("_node") else (own, node)
