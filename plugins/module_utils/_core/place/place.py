# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host each instance of a batch gets.

The order within a batch is higher priority, then application ``start_sequence``, then larger load, then item order;
those that must be together follow the first of them. First it is decided *which* fit: the earlier one wins, a later one
never displaces it. Then, in order, who gets a host that it prefers. Then *where*: the spreading strategies make the
highest effective load as small as possible (then the second highest, and so on), ties by site order; the others take,
in order, the host that their strategy names. Small batches (`EXACT_PENDING` on `EXACT_HOSTS`) are solved exactly,
larger ones by a greedy pass and one repair pass. The same input always gives the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Sequence

from .exact import TooMany, place_exactly
from .greedy import place_greedily
from .loads import Fleet, HostLoad
from .pending import Pending, Placed
from .ties import FREE, Ties

EXACT_PENDING = 12
EXACT_HOSTS = 4


def in_order(pending: Iterable[Pending]) -> List[Pending]:
    """The order in which instances of a batch get a host: see the description of this file."""
    found = sorted(pending, key=lambda p: (-p.priority, p.sequence, -p.load, p.order, p.name))
    members: Dict[str, List[Pending]] = {}
    for p in found:
        for group in p.ties.together:
            members.setdefault(group, []).append(p)
    if not members:
        return found
    ordered: Dict[str, Pending] = {}
    for p in found:
        following = [p]
        while following:  # those that are together with it, and with them
            near = following.pop(0)
            if near.name not in ordered:
                ordered[near.name] = near
                following += [other for group in near.ties.together for other in members.pop(group, ())]
    return list(ordered.values())


def place(pending: Iterable[Pending], loads: Iterable[HostLoad]) -> Placed:
    """Decide the host of each instance.

    :param loads: of every host of the site.
    """
    batch = in_order(pending)
    all_loads = list(loads)
    greedy = place_greedily(batch, Fleet(all_loads))
    if len(batch) > EXACT_PENDING or len({host for p in batch for host in p.hosts}) > EXACT_HOSTS:
        return greedy
    try:
        return place_exactly(batch, Fleet(all_loads), greedy)
    except TooMany:
        return greedy


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


def explain(
    load: float, hosts: Sequence[str], fleet: Fleet, unfit: Mapping[str, str], ties: Ties = FREE
) -> List[Candidate]:
    """One row per host.

    :param load: what the instance reserves, in percent.
    :param hosts: those that the site allows for it.
    :param unfit: host -> sentence, of hosts that were ruled out for another reason than their load.
    """
    rows = []
    for host in hosts:
        limit, reserved = fleet.loads[host].limit, fleet.node_reserved(host)
        why = unfit.get(host) or fleet.why_not(host, ties)
        fits = not why and reserved + load <= limit
        rows.append(Candidate(host, fits, load, limit, reserved, fleet.effective(host), why or ""))
    return rows
