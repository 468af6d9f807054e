# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person evens out the load of the hosts. Pure.

The moves are chosen once and booked in the ledger; every run makes the next ones in their turn, until they are done.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, List, Tuple

from ..decide import pauses
from ..decide.draft import Draft
from ..decide.relocate import open_window
from ..model.records import Booked
from ..model.sentences import listing, number
from ..model.words import RUNNING
from ..place.loads import Fleet, host_loads
from ..place.ties import neighbours, ties_of, units
from .spread import Node, Piece, fewest, spread_of

SPREAD = 20  # percent of a machine, where the request does not say
AT_A_TIME = 1

Unfit = Callable[[Draft, str], str]


def rebalance(draft: Draft, unfit: Unfit) -> List[str]:
    """Book the moves; the instances to reconcile."""
    spread = float(draft.request.get("spread") or SPREAD)
    at_a_time = int(draft.request.get("at_a_time") or AT_A_TIME)
    fleet = Fleet(host_loads(draft.site, draft.claims(), draft.observations).values())
    fit = [host.name for host in draft.site.hosts if not unfit(draft, host.name)]
    pieces, stay = _pieces(draft, fleet, fit)
    serving = {host for piece in pieces for host in piece.hosts} | {piece.host for piece in pieces}
    node_of = {host: fleet.loads[host].node for host in fleet.loads}
    nodes = {node_of[host]: Node(fleet.node_effective(host), fleet.free(host)) for host in fit if host in serving}
    pieces = [piece for piece in pieces if node_of[piece.host] in nodes]
    before = spread_of({name: node.used for name, node in nodes.items()})
    moves = fewest(pieces, nodes, node_of, spread, fleet)
    for held in stay:
        draft.hold(*held)
    after = _after(pieces, nodes, node_of, moves)
    if not moves:
        enough = before <= spread
        why = "no more than %s" % number(spread) if enough else "and no move makes it less"
        draft.hold(None, None, "the loads differ by %s percent, %s: nothing moves" % (number(before), why))
        return []
    short = "" if after <= spread else "; less is not possible with what may move"
    known = {piece.name: piece for piece in pieces}
    booked = {name: to for first, to in moves for name in known[first].names}
    count = "1 move" if len(booked) == 1 else "%d moves" % len(booked)
    draft.hold(None, None, "the loads differ by %s percent, and after %s by %s%s" % (
        number(before), count, number(after), short))  # fmt: skip
    for name, to in booked.items():
        draft.booked[name] = Booked(
            str(draft.claim(name).host), to, draft.who, draft.why, draft.now, at_a_time=at_a_time, rebalance=True
        )
    evens = "evens" if len(booked) == 1 else "even"
    draft.note("%s %s out the load, %d at a time" % (count, evens, at_a_time), draft.why)
    return list(booked)


def _pieces(draft: Draft, fleet: Fleet, fit: List[str]) -> Tuple[List[Piece], List[Tuple[str, str, str]]]:
    """What may move, and what stays and why: (instance, host, sentence)."""
    alone: Dict[str, Piece] = {}
    stay, held = [], {}  # type: List[Tuple[str, str, str]], Dict[str, str]
    for name, instance in draft.site.by_name().items():
        claim = draft.claim(name)
        if instance.application.on_request or not claim.holds:
            continue
        host = held[name] = str(claim.host)
        if claim.phase != RUNNING or not draft.is_started(name):
            continue
        copy = draft.copies(name).get(host)
        window = open_window(draft, instance)
        why = pauses.paused(draft, name) or (window and "%s shows item %s" % (window, instance.item.id))
        if why:
            stay.append((name, host, "%s stays on %s: %s" % (name, host, why)))
        elif copy is not None and copy.live and host in fleet.loads and not draft.busy(name):
            load = instance.application.loading
            hosts = tuple(h for h in instance.application.identifiers if h in fit)
            ties = ties_of(draft.site, name).without(draft.site.resources)
            alone[name] = Piece(name, host, max(load, round(copy.cpu)), load, hosts, (ties,) if ties else ())
    together: Dict[str, List[str]] = {}
    for name, first in units({name: ties_of(draft.site, name) for name in held}).items():
        together.setdefault(first, []).append(name)
    pieces = []
    for names in together.values():
        may_move = [alone[name] for name in names if name in alone]
        if len({fleet.loads[piece.host].node for piece in may_move}) == 1 and len(may_move) == len(names):
            pieces.append(_as_one(may_move))
        else:
            stay += [(piece.name, piece.host, _bound(draft, piece)) for piece in may_move]
    order = {name: at for at, name in enumerate(held)}
    return pieces, sorted(stay, key=lambda entry: order[entry[0]])


def _as_one(members: List[Piece]) -> Piece:
    """Instances that must be together, on one machine: with each other they find each other wherever they go."""
    first = members[0]
    if len(members) == 1:
        return first
    hosts = tuple(host for host in first.hosts if all(host in piece.hosts for piece in members))
    ties = tuple(replace(ties, together=()) for piece in members for ties in piece.ties)
    used, load = sum(piece.used for piece in members), sum(piece.load for piece in members)
    return Piece(first.name, first.host, used, load, hosts, ties, tuple(piece.name for piece in members[1:]))


def _bound(draft: Draft, piece: Piece) -> str:
    instance = draft.site.instance(piece.name)
    others = listing(neighbours(draft.site, instance, ties_of(draft.site, piece.name).together))
    return "%s stays on %s: item %s must be together with item %s" % (
        piece.name, piece.host, instance.item.id, others)  # fmt: skip


def _after(
    pieces: List[Piece], nodes: Dict[str, Node], node_of: Dict[str, str], moves: List[Tuple[str, str]]
) -> float:
    used = {name: node.used for name, node in nodes.items()}
    known = {piece.name: piece for piece in pieces}
    for name, to in moves:
        used[node_of[known[name].host]] -= known[name].used
        used[node_of[to]] += known[name].used
    return spread_of(used)
