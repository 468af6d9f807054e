# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fewest moves after which the loads of the nodes differ by no more than a spread. Pure.

Some move of any solution leaves the fullest node or goes to the emptiest: as long as none does, the spread stays. So
the search tries only those first, with one move, then two, and so on. Beyond `STEPS` it goes on greedily.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..place.loads import Fleet
from ..place.ties import Ties

STEPS = 200000  # pairs of instance and host that the exact search looks at
MOST_EXACT = 6  # moves that it tries to do with


class Node(NamedTuple):
    """A machine."""

    used: float  # effective load, in percent
    free: float  # what new instances may still reserve, in percent


class Piece(NamedTuple):
    """An instance that may move, or several that must be together and move as one."""

    name: str
    host: str
    used: float  # what it counts for the load
    load: float  # what it reserves
    hosts: Tuple[str, ...]  # those that may take it, in site order
    ties: Tuple[Ties, ...] = ()  # of those that have any
    others: Tuple[str, ...] = ()  # the instances that move with it

    @property
    def names(self) -> Tuple[str, ...]:
        """All of it."""
        return (self.name, *self.others)


Moves = List[Tuple[str, str]]  # piece, host


def spread_of(used: Mapping[str, float]) -> float:
    """The difference between the fullest and the emptiest node."""
    return max(used.values()) - min(used.values()) if used else 0.0


def fewest(
    pieces: Sequence[Piece], nodes: Mapping[str, Node], node_of: Mapping[str, str], spread: float,
    fleet: Optional[Fleet] = None,
) -> Moves:
    """Which piece goes where; as even as moves can make it where `spread` cannot be reached.

    Fewest are the instances that move: a piece of several counts as many.

    :param node_of: host -> its node.
    :param fleet: says what the ties of pieces keep them from, and has the ties of all moves afterwards.
    """
    search = _Search(pieces, nodes, node_of, spread, fleet or Fleet(()))
    if spread_of(search.used) <= spread:
        return []
    for depth in range(1, MOST_EXACT + 1):
        found = search.exact(depth)
        if found is not None:
            return found
        if search.steps > STEPS:
            break
    return search.greedy()


class _Search:
    """The loads while moves are tried."""

    def __init__(
        self, pieces: Sequence[Piece], nodes: Mapping[str, Node], node_of: Mapping[str, str], spread: float,
        fleet: Fleet,
    ) -> None:  # fmt: skip
        self._node_of, self._spread, self._fleet = node_of, spread, fleet
        kinds: Dict[Tuple[object, ...], List[Piece]] = {}
        for piece in pieces:
            kinds.setdefault(piece[1:], []).append(piece)
        self._kinds = list(kinds.values())
        self.used = {name: node.used for name, node in nodes.items()}
        self._free = {name: node.free for name, node in nodes.items()}
        self._moved: Set[str] = set()
        self.steps = 0

    def exact(self, depth: int) -> Optional[Moves]:
        """A solution in which `depth` instances move; None when there is none, or the search has become too long."""
        if spread_of(self.used) <= self._spread:
            return []
        if depth == 0 or self.steps > STEPS:
            return None
        for piece, host in self._useful():
            if len(piece.names) > depth:
                continue
            self._move(piece, host)
            rest = self.exact(depth - len(piece.names))
            self._move(piece, host, back=True)
            if rest is not None:
                return [(piece.name, host), *rest]
        return None

    def greedy(self) -> Moves:
        """One move after the other, each the one that evens out most."""
        moves: Moves = []
        while spread_of(self.used) > self._spread:
            before = self._unevenness()
            best: Optional[Tuple[Tuple[float, float, int], Piece, str]] = None
            for piece, host in self._useful():
                self._move(piece, host)
                after = self._unevenness()
                self._move(piece, host, back=True)
                cost = (*after, len(piece.names))
                if after < before and (best is None or cost < best[0]):
                    best = (cost, piece, host)
            if best is None:
                break
            self._move(best[1], best[2])
            moves.append((best[1].name, best[2]))
        return moves

    def _unevenness(self) -> Tuple[float, float]:
        return (round(spread_of(self.used), 6), round(sum(used * used for used in self.used.values()), 6))

    def _useful(self) -> List[Tuple[Piece, str]]:
        """Moves from the fullest node, or to the emptiest; of instances that are alike only the first one's."""
        fullest, emptiest = max(self.used.values()), min(self.used.values())
        found: List[Tuple[Piece, str]] = []
        for alike in self._kinds:
            piece = next((piece for piece in alike if piece.name not in self._moved), None)
            if piece is None:
                continue
            source = self._node_of[piece.host]
            self.steps += len(piece.hosts)
            for host in piece.hosts:
                node = self._node_of[host]
                if node == source or piece.load > self._free[node]:
                    continue
                if piece.ties and self._forbidden(piece, host):
                    continue
                if self.used[source] == fullest or self.used[node] == emptiest:
                    found.append((piece, host))
        return found

    def _forbidden(self, piece: Piece, host: str) -> bool:
        """Whether anything keeps it away; what several need they need together."""
        taken = []
        for ties in piece.ties:
            if self._fleet.forbids(host, ties):
                break
            self._fleet.take(host, 0, ties)
            taken.append(ties)
        for ties in taken:
            self._fleet.give_back(host, 0, ties)
        return len(taken) < len(piece.ties)

    def _move(self, piece: Piece, host: str, back: bool = False) -> None:
        """A move reserves on both hosts until it is done, so what it leaves counts as room of no other one."""
        sign = -1 if back else 1
        source, target = self._node_of[piece.host], self._node_of[host]
        self.used[source] -= sign * piece.used
        self.used[target] += sign * piece.used
        self._free[target] -= sign * piece.load
        for ties in piece.ties:
            (self._fleet.give_back if back else self._fleet.take)(host, 0, ties)
        (self._moved.discard if back else self._moved.add)(piece.name)
