# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""N-1 readiness: which items would find no place if any one server died now.

Each machine is taken away in turn, with all hosts on it, and what its hosts hold is placed by the code that makes the
real decision. Cheap enough for every status: only what would move is placed, over loads that are counted once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Tuple

from ..decide import corrections
from ..decide.draft import Draft
from ..decide.failures import given_up
from ..model.observation import Observation, observed
from ..model.records import Claim, State
from ..model.sentences import listing
from ..model.site import Instance, Site
from ..model.words import FAILED, FREE
from ..place.loads import Fleet, HostLoad, host_loads
from ..place.pending import Pending, Placed, pending_of
from ..place.place import Candidate, explain, in_order, place
from ..place.room import Room
from ..place.ties import ties_of
from . import assign
from .displace import Displacement

Json = Dict[str, Any]
NAMED = 3  # hosts in the sentence; beyond, they are counted


def readiness(
    site: Site, state: Mapping[str, Any], observations: Mapping[str, Any], now: float, view: Optional[State] = None
) -> Json:
    """What the loss of each server would mean.

    :param state: the ledger's state, JSON.
    :param observations: by host; a host that was not asked is taken for what the ledger says of it, one that does not
        answer takes nothing.
    :param view: of `state`, where the caller has read it already.
    :returns: {ready, hosts}; hosts that may run services -> {moves, without_place, why}: how many services would move,
        and which of them would find no room and wait. HCIs never move, so they are not counted.
    """
    seen = corrections.as_claimed(site, state, observations)
    views: Dict[str, Observation] = {host.name: observed(seen, host.name) for host in site.hosts}
    return _Losses(Draft(site, view or State.from_json(state), views, {"kind": "reconcile"}, now, "", {})).all()


def lost(draft: Draft) -> str:
    """`sentence` about what a run sees."""
    return sentence(_Losses(draft).all())


def sentence(document: Mapping[str, Any]) -> str:
    """``without server_2 there is no room for scen2_srv_04``; empty when every loss could be made up for."""
    losses: Dict[Tuple[str, ...], List[str]] = {}
    for host, entry in document["hosts"].items():
        if entry["without_place"]:
            losses.setdefault(tuple(entry["without_place"]), []).append(host)
    parts = [
        "without %s there is no room for %s" % (" or ".join(hosts), listing(names))
        for names, hosts in list(losses.items())[:NAMED]
    ]
    rest = sum(len(hosts) for hosts in list(losses.values())[NAMED:])
    if rest:
        parts.append("likewise %d more hosts" % rest)
    return "; ".join(parts)


class _Losses:
    """What the loss of each machine would do, over one reading of ledger and observations."""

    def __init__(self, draft: Draft) -> None:
        self._draft, self._site = draft, draft.site
        self._ruled_out = {host.name: assign.unfit(draft, host.name) for host in draft.site.hosts}
        self._claims = draft.claims()
        self._fleet = Fleet(host_loads(draft.site, self._claims, draft.observations).values())
        self._room = Room(self._fleet)
        self._rows: Dict[Tuple[Tuple[str, ...], float], List[Candidate]] = {}  # with nothing of a batch placed
        self._fit: Dict[Tuple[str, ...], Tuple[str, ...]] = {}
        self._held: Dict[str, List[str]] = {}  # host -> services that would have to move from there
        self._waiting: List[str] = []  # services that find no place now: they may get what a loss leaves
        competes = bool(draft.site.resources) or any(i.terms and i.terms.displace for i in draft.site.items)
        for name, instance in self._site.by_name().items():
            claim = self._claims.get(name)
            if competes and (claim is None or claim.phase == FREE) and self._moves(instance, None):
                self._waiting.append(name)
            if claim is not None and claim.holds and self._moves(instance, claim):
                for host in {claim.host, claim.target} - {None}:
                    self._held.setdefault(str(host), []).append(name)

    def all(self) -> Json:
        serves = {host for a in self._site.applications if not a.on_request for host in a.identifiers}
        machines: Dict[str, List[str]] = {}
        for host in self._site.hosts:
            machines.setdefault(host.node, []).append(host.name)
        hosts: Json = {}
        for together in machines.values():
            loss = self._loss(together)
            hosts.update({host: dict(loss) for host in together if host in serves})
        return {"ready": not any(loss["without_place"] for loss in hosts.values()), "hosts": hosts}

    def _moves(self, instance: Instance, claim: Optional[Claim]) -> bool:
        bound = instance.application.on_request or instance.application.per == "host"  # it never moves
        if bound or not self._draft.is_started(instance.name):
            return False
        return claim is None or claim.phase != FAILED or bool(claim.until) or not given_up(claim, self._site.settings)

    def _loss(self, gone: List[str]) -> Json:
        names = dict.fromkeys(name for host in gone for name in self._held.get(host, ()))
        loads_of = self._loads_of(names)
        tied = any(ties_of(self._site, name) for name in names)
        if not tied and self._room.surely(loads_of, gone):
            return {"moves": len(names), "without_place": [], "why": ""}
        left: Dict[Tuple[str, ...], Tuple[str, ...]] = {}
        batch = {name: self._pending(name, gone, left) for name in names}
        fleet, placed = self._fleet, dict.fromkeys(names)  # type: Fleet, Placed
        moves = len(batch)
        if tied or any(p.displaces or self._claims[name].target for name, p in batch.items()):
            batch.update((name, self._pending(name, gone, left)) for name in self._waiting)
            placed, fleet = self._in_turn(batch, gone, left)
        elif not self._room.surely_none(loads_of, gone):
            placed = place(batch.values(), fleet.loads.values())
        lost = sorted((name for name, host in placed.items() if host is None and name not in self._waiting),
                      key=lambda n: batch[n].order)  # fmt: skip
        return {
            "moves": moves,
            "without_place": lost,
            "why": self._why(batch[lost[0]], gone, placed, batch, fleet) if lost else "",
        }

    def _in_turn(
        self, batch: Dict[str, Pending], gone: List[str], left: Dict[Tuple[str, ...], Tuple[str, ...]]
    ) -> Tuple[Placed, Fleet]:
        """As the plans do it that follow one another, where some services may stop for others.

        :param batch: has what is displaced, too, afterwards.
        :returns: where all of the batch goes, and the fleet without it.
        """
        placed: Placed = {}
        while True:
            free = self._without(batch)
            loads = assign.with_placed(free, batch, placed)
            placed.update(place([p for name, p in batch.items() if not placed.get(name)], loads.values()))
            fleet = Fleet(assign.with_placed(free, batch, placed).values())
            displacement, those = Displacement(self._draft, fleet, batch), []  # type: Displacement, List[Pending]
            for p in in_order(p for name, p in batch.items() if p.displaces and placed[name] is None):
                found = displacement.find(p)
                if found is not None and found.those:  # it gets that room, before all others
                    those += found.those
                    placed[p.name] = found.host
            if not those:
                return placed, Fleet(free.values())
            batch.update((other.name, self._pending(other.name, gone, left)) for other in those)

    def _without(self, names: Collection[str]) -> Dict[str, HostLoad]:
        """The loads when all that these hold is free."""
        claims = {name: claim for name, claim in self._claims.items() if name not in names}
        views = {
            host: replace(view, instances={n: copy for n, copy in view.instances.items() if n not in names})
            for host, view in self._draft.observations.items()
        }  # fmt: skip
        return host_loads(self._site, claims, views)

    def _loads_of(self, names: Iterable[str]) -> Dict[Tuple[str, ...], List[float]]:
        """Hosts that may take some of these -> what each of those reserves."""
        batch: Dict[Tuple[str, ...], List[float]] = {}
        for name in names:
            application = self._site.instance(name).application
            batch.setdefault(self._hosts(application.identifiers), []).append(application.loading)
        return batch

    def _hosts(self, identifiers: Tuple[str, ...]) -> Tuple[str, ...]:
        """Those where something new may start."""
        known = self._fit.get(identifiers)
        if known is None:
            known = self._fit[identifiers] = tuple(host for host in identifiers if not self._ruled_out[host])
        return known

    def _pending(self, name: str, gone: List[str], left: Dict[Tuple[str, ...], Tuple[str, ...]]) -> Pending:
        instance = self._site.instance(name)
        identifiers = instance.application.identifiers
        hosts = left.get(identifiers)
        if hosts is None:
            fit = self._hosts(identifiers)
            hosts = left[identifiers] = tuple(host for host in fit if host not in gone)
        return pending_of(self._site, instance, hosts, self._draft.item_order(instance))

    def _why(
        self, p: Pending, gone: List[str], placed: Placed, batch: Mapping[str, Pending], fleet: Fleet
    ) -> str:  # fmt: skip
        identifiers = self._site.instance(p.name).application.identifiers
        ruled_out = {host: why for host, why in self._ruled_out.items() if why}
        if fleet is self._fleet and not any(placed.values()):
            rows = self._rows.get((identifiers, p.load))
            if rows is None:
                rows = self._rows[identifiers, p.load] = explain(p.load, identifiers, fleet, ruled_out)
        else:
            fleet = Fleet(fleet.loads.values())
            for name, host in placed.items():
                if host is not None:
                    fleet.take(host, batch[name].load, batch[name].ties)
            rows = explain(p.load, identifiers, fleet, ruled_out, p.ties)
        why = assign.no_room([row for row in rows if row.host not in gone], ruled_out)
        machine = " (one machine)" if len(gone) > 1 else ""
        return "without %s%s, %s: %s" % (
            listing(gone), machine, p.name, why or "it may run on no other host",
        )  # fmt: skip
