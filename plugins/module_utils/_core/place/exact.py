# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact placement of a small batch: level by level over the reachable loads of the hosts.

A level holds every distinct load of the hosts that the instances so far can produce, each with the first assignment (in
site order) that leads to it. Two loads are one when they differ only by an exchange of interchangeable hosts. A state
holds, beside the loads, who is where in the groups of instances that are still to come.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from .loads import Fleet
from .pending import Pending, Placed

Added = Tuple[int, ...]  # load added per host
Marks = Tuple[Tuple[str, str, str], ...]  # (kind and group, node, item or amount), in order
State = Tuple[Added, Marks]
Path = Tuple[int, ...]  # host index per placed instance
MOST_STATES = 20000  # of one level; only batches with many ties have more


class TooMany(Exception):
    """The batch has too many different outcomes to look at all of them."""


class _Problem:
    """The batch and its hosts by index."""

    def __init__(self, batch: Sequence[Pending], fleet: Fleet) -> None:
        names = {host for p in batch for host in p.hosts}
        self.hosts = sorted(names, key=lambda h: fleet.loads[h].order)
        index = {host: i for i, host in enumerate(self.hosts)}
        self.batch = batch
        self.choices = [
            tuple(sorted(index[h] for h in set(p.hosts) if not fleet.forbids(h, p.ties))) for p in batch
        ]
        self.liked = [tuple(sorted(index[h] for h in set(p.prefer) if h in index)) for p in batch]
        self.free = [fleet.free(h) for h in self.hosts]
        self.nodes = [fleet.loads[h].node for h in self.hosts]
        nodes = self.nodes
        self.sharing = [tuple(j for j, node in enumerate(nodes) if node == nodes[i]) for i in range(len(nodes))]
        by_node = all(p.strategy == "less_loaded_node" for p in batch)
        self.base = [fleet.node_effective(h) if by_node else fleet.effective(h) for h in self.hosts]
        self.counted = self.sharing if by_node else [(i,) for i in range(len(nodes))]
        self.start: State = ((0,) * len(self.hosts), ())
        self._last: Dict[str, int] = {}  # group -> the last instance of the batch that asks about it
        for i, p in enumerate(batch):
            self._last.update(dict.fromkeys(_groups(p), i))
        self.left = {(node, name): left for p in batch for name, _amount in p.ties.needs for h in self.hosts
                     for node, left in (fleet.left(h, name),)}  # fmt: skip
        self.plain = not any(p.ties or p.prefer for p in batch)
        self.groups = self._alike(fleet) if self.plain else []

    def _alike(self, fleet: Fleet) -> List[List[int]]:
        """Groups of hosts that are interchangeable: each alone on its node, same figures, same instances."""
        groups: Dict[object, List[int]] = {}
        for i in range(len(self.hosts)):
            if len(self.sharing[i]) > 1:
                continue
            takes = tuple(i in choices for choices in self.choices)
            groups.setdefault((self.free[i], self.base[i], takes), []).append(i)
        return [group for group in groups.values() if len(group) > 1]

    def put(self, state: State, i: int, host: int) -> Optional[State]:
        """The state with an instance on a host; None where it does not fit."""
        added, marks = state
        p = self.batch[i]
        if sum(added[j] for j in self.sharing[host]) + p.load > self.free[host]:
            return None
        if p.ties:
            if self._kept_away(marks, p, self.nodes[host]):
                return None
            taken = self._taken(marks, p, self.nodes[host])
            if taken is None:
                return None
            own = {(group, self.nodes[host], p.ties.item) for group in _apart(p) + _together(p)}
            marks = tuple(sorted(mark for mark in own.union(taken) if self._last[mark[0]] > i))
        elif marks:
            marks = tuple(mark for mark in marks if self._last[mark[0]] > i)
        return added[:host] + (added[host] + p.load,) + added[host + 1 :], marks

    def _taken(self, marks: Marks, p: Pending, node: str) -> Optional[Marks]:
        """The marks with what it takes of resources; None where too little is left."""
        for name, amount in p.ties.needs:
            where = "" if ("", name) in self.left else node
            used = next((int(much) for key, at, much in marks if key == "needs " + name and at == where), 0)
            if used + amount > self.left[where, name]:
                return None
            kept = tuple(mark for mark in marks if mark[:2] != ("needs " + name, where))
            marks = (*kept, ("needs " + name, where, str(used + amount)))
        return marks

    @staticmethod
    def _kept_away(marks: Marks, p: Pending, node: str) -> bool:
        apart = set(_apart(p))
        together = set(_together(p))
        for group, where, item in marks:
            if item == p.ties.item:
                continue
            if (group in apart and where == node) or (group in together and where != node):
                return True
        return False

    def ways(self, states: Iterable[State], i: int, choices: Tuple[int, ...]) -> Set[State]:
        """Every state that an instance on one of these hosts leads to."""
        found = set()
        for state in states:
            for host in choices:
                after = self.put(state, i, host)
                if after is not None:
                    found.add(self.canonical(after))
        self.count(len(found))
        return found

    def count(self, states: int) -> None:
        """
        :raises TooMany: when a level has too many states. Without ties their number is limited by the loads.
        """
        if states > MOST_STATES and not self.plain:
            raise TooMany

    def canonical(self, state: State) -> State:
        if not self.groups:
            return state
        added, marks = state
        result = list(added)
        for group in self.groups:
            for i, value in zip(group, sorted((added[i] for i in group), reverse=True)):
                result[i] = value
        return tuple(result), marks

    def effective(self, added: Added, host: int) -> float:
        return self.base[host] + sum(added[j] for j in self.counted[host])

    def profile(self, added: Added) -> Tuple[float, ...]:
        """The effective loads, highest first: what a spread batch makes as small as possible."""
        return tuple(sorted((self.effective(added, i) for i in range(len(self.hosts))), reverse=True))


def _apart(p: Pending) -> List[str]:
    return ["apart " + group for group in p.ties.apart]


def _together(p: Pending) -> List[str]:
    return ["together " + group for group in p.ties.together]


def _groups(p: Pending) -> List[str]:
    return _apart(p) + _together(p) + ["needs " + name for name, _amount in p.ties.needs]


def place_exactly(batch: Sequence[Pending], fleet: Fleet, greedy: Placed) -> Placed:
    """The best placement of a batch.

    :param batch: in the order of `place.in_order`.
    :param greedy: any valid placement of the batch; its highest load bounds the search.
    :raises TooMany: when it would take too long.
    """
    problem = _Problem(batch, fleet)
    kept = list(range(len(batch))) if all(greedy[p.name] for p in batch) else _first_fitting(problem)
    bound = _bound(problem, kept, greedy)
    if any(p.prefer for p in batch):
        _prefer(problem, kept)
        bound = None
    if all(p.spreads or len(p.hosts) < 2 for p in batch):
        path: Optional[Path] = _spread(problem, kept, bound)
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
    states: Set[State] = {problem.start}
    kept: List[int] = []
    for i in range(len(problem.batch)):
        after = problem.ways(states, i, problem.choices[i])
        if after:
            states = after
            kept.append(i)
    return kept


def _prefer(problem: _Problem, kept: List[int]) -> None:
    """Leave to each instance, in order, only hosts that it prefers, where all the others still find a place then."""
    for i in kept:
        liked = tuple(host for host in problem.choices[i] if host in problem.liked[i])
        if not liked or liked == problem.choices[i]:
            continue
        states: Set[State] = {problem.start}
        for j in kept:
            states = problem.ways(states, j, liked if j == i else problem.choices[j])
        if states:
            problem.choices[i] = liked


def _bound(problem: _Problem, kept: List[int], greedy: Placed) -> Optional[Tuple[float, ...]]:
    """The profile of the greedy placement, when that places the same instances."""
    added = list(problem.start[0])
    for i, p in enumerate(problem.batch):
        host = greedy[p.name]
        if (host is not None) != (i in kept):
            return None
        if host is not None:
            added[problem.hosts.index(host)] += p.load
    return problem.profile(tuple(added))


def _spread(problem: _Problem, kept: List[int], bound: Optional[Tuple[float, ...]]) -> Optional[Path]:
    """The assignment with the smallest profile; among equals the first in site order."""
    level: Dict[State, Tuple[State, Path]] = {problem.start: (problem.start, ())}
    for i in kept:
        load = problem.batch[i].load
        after: Dict[State, Tuple[State, Path]] = {}
        for state, path in level.values():
            for host in problem.choices[i]:
                if bound is not None and problem.effective(state[0], host) + load > bound[0]:
                    continue
                then = problem.put(state, i, host)
                if then is not None:
                    after.setdefault(problem.canonical(then), (then, path + (host,)))
        problem.count(len(after))
        level = after
    best: Optional[Tuple[Tuple[float, ...], Path]] = None
    for state, path in level.values():
        candidate = (problem.profile(state[0]), path)
        if best is None or candidate < best:
            best = candidate
    return best[1] if best else None


def _by_preference(problem: _Problem, kept: List[int], fleet: Fleet) -> Optional[Path]:
    """Each instance, in order, on the host it prefers among those that leave room for all the later ones."""
    dead: Set[Tuple[int, State]] = set()

    def rank(i: int, added: Added) -> List[int]:
        p = problem.batch[i]
        hosts = list(problem.choices[i])
        if p.strategy.startswith(("less_loaded", "most_loaded")):
            sign = 1 if p.strategy.startswith("less_loaded") else -1
            hosts.sort(key=lambda h: tuple(sign * x for x in _load_key(problem, fleet, added, h, p.strategy)) + (h,))
        else:
            listed = [problem.hosts.index(name) for name in p.hosts]
            hosts.sort(key=listed.index)
        return hosts

    def search(position: int, state: State) -> Optional[Path]:
        if position == len(kept):
            return ()
        i = kept[position]
        for host in rank(i, state[0]):
            after = problem.put(state, i, host)
            if after is None or (position + 1, problem.canonical(after)) in dead:
                continue
            rest = search(position + 1, after)
            if rest is not None:
                return (host,) + rest
        dead.add((position, problem.canonical(state)))
        problem.count(len(dead))
        return None

    return search(0, problem.start)


def _load_key(problem: _Problem, fleet: Fleet, added: Added, host: int, strategy: str) -> Tuple[float, float]:
    name = problem.hosts[host]
    own = fleet.effective(name) + added[host]
    node = fleet.node_effective(name) + sum(added[j] for j in problem.sharing[host])
    return (node, own) if strategy.endswith("_node") else (own, node)
