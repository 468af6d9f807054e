# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a batch surely finds room, or surely none, without placing it.

An instance finds no host only when every node that could take it has less than its load left. For that the rest of the
batch must have put at least one instance on each of these nodes, and more than the node's spare room. Where the rest is
too few, or too small in sum, the instance gets a host in whatever order and by whatever strategy the batch is placed.
"""

from __future__ import annotations

from typing import Collection, Dict, Iterable, List, Mapping, Set, Tuple

from .loads import Fleet


class Room:
    """The room of a fleet, counted once for many batches."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._nodes: Dict[Tuple[str, ...], List[Tuple[float, str]]] = {}  # hosts -> (free, node), most first

    def surely(self, batch: Mapping[Tuple[str, ...], Collection[float]], gone: Collection[str] = ()) -> bool:
        """Whether `place.place` gives every instance of the batch a host. False says nothing.

        :param batch: the hosts that may take some instances -> what each of these reserves, in percent.
        :param gone: hosts; what shares a node with them is gone, too.
        """
        away = {self._fleet.loads[host].node for host in gone if host in self._fleet.loads}
        total, count = sum(sum(loads) for loads in batch.values()), sum(len(loads) for loads in batch.values())
        return all(
            self._holds(load, total - load, count - 1, hosts, away)
            for hosts, loads in batch.items() for load in set(loads)
        )  # fmt: skip

    def surely_none(self, batch: Mapping[Tuple[str, ...], Collection[float]], gone: Collection[str] = ()) -> bool:
        """Whether `place.place` gives no instance of the batch a host. False says nothing.

        :param batch: as in `surely`.
        """
        away = {self._fleet.loads[host].node for host in gone if host in self._fleet.loads}
        for hosts, loads in batch.items():
            most = next((free for free, node in self._ranked(hosts) if node not in away), None)
            if most is not None and most >= min(loads):
                return False
        return True

    def _holds(self, load: float, others: float, other_count: int, hosts: Tuple[str, ...], away: Set[str]) -> bool:
        """:param others: what the rest of the batch reserves in sum; `other_count` instances."""
        spare, nodes = 0.0, 0
        for free, node in self._ranked(hosts):
            if node in away:
                continue
            if free < load:
                return False
            nodes += 1
            spare += free - load
            if spare >= others or nodes > other_count:
                return True
        return False

    def _ranked(self, hosts: Tuple[str, ...]) -> Iterable[Tuple[float, str]]:
        known = self._nodes.get(hosts)
        if known is None:
            nodes = {self._fleet.loads[host].node: self._fleet.free(host) for host in hosts}
            known = self._nodes[hosts] = sorted(((free, node) for node, free in nodes.items()), reverse=True)
        return known
