# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""N-1 readiness: which items would find no place if any one server died now.

Each machine is taken away in turn, with all hosts on it, and what follows is planned as `plan.aftermath` does it. Cheap
enough for every status: where there is surely room for all that would move, or none for any of it, nothing is planned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple

from ..decide import corrections, pauses
from ..decide.draft import Draft
from ..model.observation import Observation, observed
from ..model.records import Claim, State
from ..model.sentences import listing
from ..model.shape import as_it_runs
from ..model.site import Instance, Site
from ..model.switched import switched
from ..model.words import RUNNING, UP
from ..place.loads import Fleet
from ..place.place import explain
from ..place.room import Room
from ..place.ties import ties_of
from . import assign
from .aftermath import Aftermath
from .figures import Ground

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
        and which would find no room and wait, be it that they stop for others. HCIs never move, so they are not
        counted.
    """
    view = view or State.from_json(state)
    seen = corrections.as_claimed(site, view, observations)
    site = switched(as_it_runs(site, view.claims, view.meta), view.wanted)
    views: Dict[str, Observation] = {host.name: observed(seen, host.name) for host in site.hosts}
    return _Losses(Draft(site, view, views, {"kind": "reconcile"}, now, "", {})).all()


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
        draft = _at_once(draft)
        self._draft, self._site = draft, draft.site
        self._ground = Ground(draft)
        self._fleet = Fleet(self._ground.loads.values())
        self._room = Room(self._fleet)
        self._ruled_out = {host: why for host, why in self._ground.unfit.items() if why}
        self._full: Dict[object, assign.NoRoom] = {}  # by `_kind`, with nothing of a batch placed
        self._fit: Dict[Tuple[str, ...], Tuple[str, ...]] = {}
        self._held: Dict[str, List[str]] = {}  # host -> services that would have to move from there
        self._waiting: List[str] = []  # services that hold no host now
        self._restless = self._read()
        now = Aftermath(self._ground)  # what happens anyway
        now.play(self._restless)
        self._anyway = now.changed
        self._comes = [name for name in self._anyway if now.claim(name).holds]  # and takes room
        self._fluid = any(ties_of(self._site, name) or name not in self._restless for name in self._anyway)

    def _read(self) -> List[str]:
        """Instances about which a plan may have something to decide although no host is lost."""
        allowed: Dict[Tuple[str, ...], FrozenSet[str]] = {}
        up = {host.name for host in self._site.hosts if self._draft.record(host.name).state == UP}
        known, shown = self._site.by_name(), set(self._draft.seen_instances())
        held = {name for name, claim in self._ground.claims.items() if claim.holds}
        restless = [name for name in held | shown if name not in known or not self._draft.is_started(name)]  # they stop
        for name, instance in known.items():
            if instance.application.on_request or not self._draft.is_started(name):
                continue
            claim = self._ground.claims.get(name) or Claim()
            identifiers = instance.application.identifiers
            if identifiers not in allowed:
                allowed[identifiers] = frozenset(identifiers)
            if claim.host not in up or claim.host not in allowed[identifiers] or not self._rests(name, claim):
                restless.append(name)
            if instance.application.per == "host":  # it never moves
                continue
            if not claim.holds:
                self._waiting.append(name)
            for host in {claim.host, claim.target} - {None} if claim.holds else ():
                self._held.setdefault(str(host), []).append(name)
        return restless

    def _rests(self, name: str, claim: Claim) -> bool:
        copy = self._draft.observation(str(claim.host)).instances.get(name)
        good = claim.phase == RUNNING and copy is not None and copy.live and not claim.target
        return good and self._draft.booking(name) is None

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

    def _loss(self, gone: List[str]) -> Json:
        names = list(dict.fromkeys(name for host in gone for name in self._held.get(host, ())
                                   if not pauses.holds(self._draft, name)))  # fmt: skip
        short = self._shortcut(names, gone)
        if short is not None:
            return {"moves": len(names), "without_place": short, "why": self._why(
                short[0], gone, self._fleet) if short else ""}  # fmt: skip
        after = Aftermath(self._ground, gone)
        after.play([*names, *self._restless])
        wait = self._in_order({*after.changed, *names}.difference(self._waiting), after)
        why = self._why(wait[0], gone, Fleet(after.loads().values())) if wait else ""
        return {"moves": len(names), "without_place": wait, "why": why}

    def _shortcut(self, names: List[str], gone: List[str]) -> Optional[List[str]]:
        """What surely waits; None where that takes a plan."""
        if self._fluid or any(ties_of(self._site, name) or self._ground.claims[name].target for name in names):
            return None
        if self._room.surely(self._loads_of([*names, *self._comes]), gone):
            return []
        displaces = any(terms.displace for name in names for terms in (self._site.instance(name).item.terms,) if terms)
        if not self._anyway and not displaces and self._room.surely_none(self._loads_of(names), gone):
            return self._in_order(names)
        return None

    def _in_order(self, names: Iterable[str], after: Optional[Aftermath] = None) -> List[str]:
        """:param after: without those that hold a host then."""
        waits = (name for name in names if after is None or self._waits(after, name))
        order = self._draft.item_order
        return sorted(waits, key=lambda name: (order(self._site.instance(name)), self._ground.order(name)))

    def _waits(self, after: Aftermath, name: str) -> bool:
        instance = self._site.by_name().get(name)
        return instance is not None and _counts(instance) and self._draft.is_started(name) and not after.claim(
            name).holds  # fmt: skip

    def _loads_of(self, names: Iterable[str]) -> Dict[Tuple[str, ...], List[float]]:
        """Hosts that may take some of these -> what each of those reserves."""
        alike: Dict[object, List[Instance]] = {}
        for name in names:
            instance = self._site.instance(name)
            alike.setdefault(_kind(instance), []).append(instance)
        batch: Dict[Tuple[str, ...], List[float]] = {}
        for instances in alike.values():
            hosts = self._hosts(instances[0].application.identifiers)
            batch.setdefault(hosts, []).extend(instance.application.loading for instance in instances)
        return batch

    def _hosts(self, identifiers: Tuple[str, ...]) -> Tuple[str, ...]:
        """Those where something new may start."""
        known = self._fit.get(identifiers)
        if known is None:
            known = tuple(host for host in identifiers if not self._ground.unfit[host])
            self._fit[identifiers] = known
        return known

    def _why(self, name: str, gone: List[str], fleet: Fleet) -> str:
        """:param fleet: with everything where it is then."""
        kind, shared = _kind(self._site.instance(name)), fleet is self._fleet
        known = self._full.get(kind) if shared else None
        if known is None:
            application, ties = self._site.instance(name).application, ties_of(self._site, name)
            rows = explain(application.loading, application.identifiers, fleet, self._ruled_out, ties)
            known = assign.NoRoom(rows, self._ruled_out)
            if shared:  # then it has no ties, see `_shortcut`
                self._full[kind] = known
        why = known.why(gone)
        machine = " (one machine)" if len(gone) > 1 else ""
        return "without %s%s, %s: %s" % (listing(gone), machine, name, why or "it may run on no other host")


def _at_once(draft: Draft) -> Draft:
    """The same, and nothing waits for its turn: that changes when things move, not what comes of it."""
    claims, wanted, hosts = draft.changed()
    for host in draft.state.hosts:
        record = draft.record(host)
        if record.drain is not None and record.drain.at_a_time:
            hosts[host] = replace(record, drain=replace(record.drain, at_a_time=0))
    other = draft.otherwise(claims, wanted, hosts, {})
    other.begin()
    for name in {*draft.state.moves, *draft.booked}:
        move = draft.booking(name)
        other.booked[name] = replace(move, at_a_time=0) if move is not None else None
    return other


def _kind(instance: Instance) -> object:
    """The same for those that may run on the same hosts and reserve the same. Long tuples are slow keys."""
    application = instance.application
    return application.name if instance.item.terms is None else (application.identifiers, application.loading)


def _counts(instance: Instance) -> bool:
    """Whether it would have to move."""
    return not instance.application.on_request and instance.application.per != "host"
