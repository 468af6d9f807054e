# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running services that stop for one of a higher priority, where the site says so and there is no other room.

They stop in this plan; the next one places both, the higher priority first.
"""

from __future__ import annotations

from functools import cached_property
from typing import Collection, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..decide import pauses
from ..decide.draft import Draft
from ..model.words import RUNNING, STOPPING
from ..place.loads import Fleet, HostLoad
from ..place.pending import Pending, pending_of


class Displaced(NamedTuple):
    """What has to stop on a node so that an instance finds room on one of its hosts."""

    host: str
    those: Tuple[Pending, ...]
    ending: Tuple[str, ...] = ()  # what stops there anyway, and leaves enough room


class Displacement:
    """Looks for what may stop; what it finds counts as stopped for the next question."""

    def __init__(self, draft: Draft, loads: Iterable[HostLoad], moving: Collection[str]) -> None:
        """:param moving: instances that have been placed in this plan: they are no one's room."""
        self._draft, self._loads, self._moving = draft, loads, moving
        self._running: Dict[str, List[Tuple[str, Pending]]] = {}  # node -> (host, instance)
        self._ending: Dict[str, List[Tuple[str, Pending]]] = {}  # the same, of what stops already

    @cached_property
    def _fleet(self) -> Fleet:
        """Made for the first question, with what runs and ends: most plans have none."""
        draft, fleet = self._draft, Fleet(self._loads)
        for name, claim in draft.claims().items():
            instance = draft.site.by_name().get(name)
            if instance is None or name in self._moving or instance.application.on_request:
                continue
            if claim.phase == STOPPING and not claim.target and claim.host in fleet.loads:
                p = pending_of(draft.site, instance, (str(claim.host),), draft.item_order(instance))
                self._ending.setdefault(fleet.loads[str(claim.host)].node, []).append((str(claim.host), p))
            if claim.phase != RUNNING:
                continue
            if claim.host in fleet.loads and _may_stop(draft, name, str(claim.host)):
                p = pending_of(draft.site, instance, (str(claim.host),), draft.item_order(instance))
                self._running.setdefault(fleet.loads[str(claim.host)].node, []).append((str(claim.host), p))
        return fleet

    def find(self, p: Pending) -> Optional[Displaced]:
        """The least that has to stop for an instance: of the lowest priority, then as few as possible; nothing where
        enough of it stops already, such as for it by a run that is under way."""
        ends = self._ends(p)
        if ends is not None:
            return ends
        best: Optional[Tuple[Tuple[int, int], Displaced]] = None
        seen = set()
        for host in p.hosts:
            node = self._fleet.loads[host].node
            if node in seen:
                continue
            seen.add(node)
            those = self._on(host, node, p)
            if those:
                cost = (max(other.priority for other in those), len(those))
                if best is None or cost < best[0]:
                    best = cost, Displaced(host, tuple(those))
        if best is None:
            return None
        found = best[1]
        node = self._fleet.loads[found.host].node
        for other in found.those:
            self._fleet.give_back(other.hosts[0], other.load, other.ties)
        self._running[node] = [entry for entry in self._running[node] if entry[1] not in found.those]
        self._fleet.take(found.host, p.load, p.ties)
        return found

    def _ends(self, p: Pending) -> Optional[Displaced]:
        for host in p.hosts:
            node = self._fleet.loads[host].node
            gone: List[Tuple[str, Pending]] = []
            for entry in self._ending.get(node, ()):
                if self._fleet.fits(host, p):
                    break
                self._fleet.give_back(entry[0], entry[1].load, entry[1].ties)
                gone.append(entry)
            if gone and self._fleet.fits(host, p):
                self._ending[node] = [entry for entry in self._ending[node] if entry not in gone]
                self._fleet.take(host, p.load, p.ties)
                return Displaced(host, (), tuple(other.name for _host, other in gone))
            for at, other in gone:
                self._fleet.take(at, other.load, other.ties)
        return None

    def _on(self, host: str, node: str, p: Pending) -> List[Pending]:
        lower = [other for _host, other in self._running.get(node, ()) if other.priority < p.priority]
        lower.sort(key=lambda other: (other.priority, -other.order, other.name))
        gone: List[Pending] = []
        for other in lower:
            if self._fleet.fits(host, p):
                break
            self._fleet.give_back(other.hosts[0], other.load, other.ties)
            gone.append(other)
        enough = self._fleet.fits(host, p)
        for other in reversed(list(gone)):  # the highest priority first: it may stay where it turns out not to matter
            self._fleet.take(other.hosts[0], other.load, other.ties)
            if enough and self._fleet.fits(host, p):
                gone.remove(other)
            elif enough:
                self._fleet.give_back(other.hosts[0], other.load, other.ties)
        for other in gone if enough else ():
            self._fleet.take(other.hosts[0], other.load, other.ties)
        return gone if enough else []


def _may_stop(draft: Draft, name: str, host: str) -> bool:
    """Not what is stopped anyway, what another run is at work on, what is paused, or what nobody could see stop."""
    observation = draft.observation(host)
    if not draft.is_started(name) or draft.busy(name) or pauses.paused(draft, name):
        return False
    return observation.seen and observation.service_manager == "running"
