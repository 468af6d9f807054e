# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a plan that places: every instance that needs a host, as one batch, and the actions that follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..decide.draft import Draft, Json, Move
from ..decide.drains import Turns
from ..decide.keep_running import left_there
from ..decide.relocate import stray
from ..model.plan import MOVE, RESTART, START
from ..model.sentences import kinds, listing
from ..model.words import DRAINED, FREE, MUSTER, RUNNING
from ..place.loads import Fleet, HostLoad
from ..place.pending import Pending, Placed, pending_of
from ..place.place import Candidate, explain, in_order, place
from ..place.ties import ties_of, unit_of
from .displace import Displaced, Displacement
from .figures import Figures

CANDIDATE_ROWS = 4000  # in one plan; `report.explain` answers on demand without that limit


class Batch:
    """Places the draft's moves and turns them into actions."""

    def __init__(self, draft: Draft, figures: Optional[Figures] = None) -> None:
        """:param figures: of the draft, where they are known from elsewhere."""
        self._draft, self._figures = draft, figures or Figures(draft)
        self._unfit = self._figures.unfit()
        self._fit: Dict[Tuple[str, ...], Tuple[str, ...]] = {}
        self._loads: Dict[str, HostLoad] = {}
        self._rows = 0
        self._sentences: Dict[Tuple[object, ...], Tuple[str, List[Json]]] = {}
        self.fleet = Fleet(())  # with everything of the batch placed

    def _leave(self, stuck: Collection[str]) -> None:
        """Take the loads as they are while everything that gets another place leaves its own; without what is stuck."""
        draft = self._draft
        leaving = {move.name for move in draft.moves if not (move.hosts and self._holds(move))}.difference(stuck)
        self._loads = self._figures.loads(leaving)

    def resolve(self) -> None:
        """Place everything that waits, then add its actions, in the batch's order."""
        moves = {move.name: move for move in self._draft.moves}
        in_place = {m.name: m.hosts[0] for m in moves.values() if m.hosts and self._holds(m)}
        stuck: Dict[str, None] = {}
        while True:
            placed = self._placed({name: move for name, move in moves.items() if name not in in_place}, stuck)
            # One that stays where it is binds those that it is together with, so these are placed once more.
            more = [name for name, host in placed.items() if host is None and name not in stuck and moves[name].stays
                    and ties_of(self._draft.site, name).together]  # fmt: skip
            if not more:
                break
            stuck.update(dict.fromkeys(more))
        placed.update(in_place)
        self.fleet = Fleet(self._loads.values())
        ordered = in_order([self._pending(m, ()) for m in moves.values()])
        later = self._turns(moves[p.name] for p in ordered if placed[p.name] is not None and p.name not in in_place)
        displacement = Displacement(self._draft, self._loads.values(), moves)
        for p in ordered:
            host = placed[p.name]
            if p.name in later:
                self._next_turn(moves[p.name], later[p.name])
            elif host is not None:
                self._emit(moves[p.name], p, host)
            else:
                # A person chose the host, and others may have room; or it runs where it is.
                content = moves[p.name].asked or moves[p.name].stays
                displaced = displacement.find(p) if p.displaces and not content else None
                instead = self._displace(moves[p.name], p, displaced) if displaced else ""
                self._no_room(moves[p.name], p, instead, displaced.host if displaced else "")

    def _turns(self, moves: Iterable[Move]) -> Dict[str, str]:
        """Instance -> why it waits for its turn. What is placed together goes together, or it would be parted."""
        units: Dict[str, List[Move]] = {}
        for move in moves:
            units.setdefault(unit_of(self._draft.site, move.name), []).append(move)
        turns, later = Turns(self._draft), {}  # type: Turns, Dict[str, str]
        for unit, members in units.items():
            why = turns.take(unit, {move.leaves for move in members if move.leaves})
            later.update((move.name, why) for move in members if why)
        return later

    def _placed(self, moves: Mapping[str, Move], stuck: Collection[str]) -> Placed:
        """Where everything goes that does not only go back to its own place.

        :param stuck: of these, what stays where it is.
        """
        self._leave(stuck)
        pending = {m.name: self._pending(m, m.avoid) for m in moves.values() if m.name not in stuck}
        placed = self._preferred(pending, moves)
        rest = {name: p for name, p in pending.items() if name not in placed}
        placed.update(place(rest.values(), self._loads.values()))
        self._take(pending, {name: placed[name] for name in rest})
        again = [self._pending(moves[name], ()) for name, host in placed.items() if host is None and moves[name].avoid]
        if again:
            second = place(again, self._loads.values())
            self._take(pending, second)
            placed.update(second)
        placed.update(dict.fromkeys(stuck))
        return placed

    def _preferred(self, pending: Mapping[str, Pending], moves: Mapping[str, Move]) -> Placed:
        """Those that have a place of their own, before anything else may take it; without those whose place is full."""
        own = {
            name: replace(p, hosts=(moves[name].prefer,), prefer=())  # what its item prefers comes after that
            for name, p in pending.items()
            if moves[name].prefer in p.hosts
        }
        found = place(own.values(), self._loads.values()) if own else {}
        placed: Placed = {name: host for name, host in found.items() if host is not None}
        self._take(pending, placed)
        return placed

    def _holds(self, move: Move) -> bool:
        """Whether it only goes back to where its claim reserves already."""
        claim = self._draft.claim(move.name)
        return claim.holds and move.hosts == (claim.host,)

    def _hosts(self, hosts: Tuple[str, ...]) -> Tuple[str, ...]:
        fit = self._fit.get(hosts)
        if fit is None:
            fit = self._fit[hosts] = tuple(h for h in hosts if not self._unfit.get(h, "unknown"))
        return fit

    def _pending(self, move: Move, avoid: Sequence[str]) -> Pending:
        instance = self._draft.site.instance(move.name)
        hosts = self._hosts(move.hosts or instance.application.identifiers)
        if avoid or move.exclude:
            hosts = tuple(h for h in hosts if h not in avoid and h not in move.exclude)
        p = pending_of(self._draft.site, instance, hosts, self._draft.item_order(instance))
        if p.ties.needs and self._draft.claim(move.name).holds:
            return replace(p, ties=p.ties.without(self._draft.site.resources))
        return p

    def _take(self, pending: Mapping[str, Pending], placed: Placed) -> None:
        self._loads = with_placed(self._loads, pending, placed)

    def _emit(self, move: Move, p: Pending, target: str) -> None:
        draft = self._draft
        if move.keeps:
            draft.keep(move.name, target, move.reason)
            return
        reason = move.reason + self._chosen(move, p, target)
        copy = draft.copies(move.name).get(target)
        if self._rows + len(p.hosts) <= CANDIDATE_ROWS and draft.kind in ("start", "open"):
            draft.candidates[move.name] = self.rows(move, p)
        stops = self._sweep(move, keep=target)
        if all(host == target for host in stops):
            draft.start(move.name, target, reason, RESTART if copy is not None and copy.live else START)
            return
        claim = draft.claim(move.name)
        stops.sort(key=lambda h: (h != claim.host, h == target))  # what has a claim keeps it until it is seen to end
        draft.stop(move.name, stops[0], reason, after=MOVE, target=target)
        for host in stops[1:]:
            draft.stop_copy(move.name, host, reason)
        draft.start_after_stops(move.name, target, reason)

    def _displace(self, move: Move, p: Pending, displaced: Displaced) -> str:
        """Stop what makes room; what the instance waits for until then."""
        for other in displaced.those:
            host = other.hosts[0]
            self._draft.stop(other.name, host, "%s (priority %d) gets its room on %s, and %s has priority %d" % (
                move.name, p.priority, host, other.name, other.priority), after=FREE)  # fmt: skip
        names = [*displaced.ending, *(other.name for other in displaced.those)]
        leave = "stops and leaves its room" if len(names) == 1 else "stop and leave their room"
        return "%s %s on %s to it" % (listing(names), leave, displaced.host)

    def _next_turn(self, move: Move, why: str) -> None:
        """It could leave a drained host, but enough others do in this round."""
        draft = self._draft
        claim = draft.claim(move.name)
        draft.turns.append(move.name)
        draft.hold(move.name, claim.host, "%s: %s waits for its turn" % (why, move.name))
        self._strays(move, [host for host in self._sweep(move) if host != claim.host])

    def _strays(self, move: Move, hosts: Iterable[str]) -> None:
        for host in hosts:
            self._draft.stop_copy(move.name, host, stray(self._draft, move.name, host))

    def _sweep(self, move: Move, keep: str = "") -> List[str]:
        """The hosts to stop it on. A claim file without processes is removed, and no start waits for that."""
        draft = self._draft
        copies = draft.copies(move.name)
        for host in move.stops:
            if not copies[host].live and host != keep:
                draft.stop_copy(move.name, host, "%s left a claim behind on %s" % (move.name, host))
        return [host for host in move.stops if copies[host].live]

    def _chosen(self, move: Move, p: Pending, target: str) -> str:
        if move.hosts is not None:
            return ""
        if target == move.prefer:
            claim = self._draft.claim(move.name)
            words = "it ran on %s before" if claim.back == target else "it was on its way to %s"
            return "; " + ("others made room for it on %s" if claim.room == target else words) % target
        if len(p.hosts) < 2:
            return ", and %s is the only host that may take it" % target
        if p.prefer:
            liked = "%s is one that it prefers" if target in p.prefer else "none that it prefers has room, %s has"
            return "; " + liked % target
        words = {
            "less": "%s is one of the least loaded hosts", "most": "%s is one of the most loaded hosts with room",
        }.get(p.strategy[:4], "%s is the first in its list with room")  # fmt: skip
        return "; " + words % target

    def _wide(self, move: Move) -> Tuple[str, ...]:
        hosts = move.hosts or self._draft.site.instance(move.name).application.identifiers
        return tuple(host for host in hosts if move.exclude.get(host) != "")

    def rows(self, move: Move, p: Pending) -> List[Json]:
        """Candidates as the plan shows them, with everything of the batch placed."""
        found = [c.to_json() for c in self._explained(move, p)]
        self._rows += len(found)
        return found

    def _ruled_out(self, move: Move) -> Dict[str, str]:
        """Host -> why this may not start there, even with room."""
        return {**move.exclude, **{host: why for host, why in self._unfit.items() if why}}

    def _explained(self, move: Move, p: Pending) -> List[Candidate]:
        hosts = [host for host in self._wide(move) if host in self.fleet.loads]
        return explain(p.load, hosts, self.fleet, self._ruled_out(move), p.ties)

    def _no_room(self, move: Move, p: Pending, instead: str = "", room: str = "") -> None:
        """:param instead: what it waits for, when that is known better than from the hosts.
        :param room: the host where others make room for it.
        """
        draft = self._draft
        key = (self._wide(move), p.hosts, p.load, tuple(move.exclude.values()), p.ties)
        known = self._sentences.get(key)
        if known is None:
            candidates = self._explained(move, p)
            known = self._sentences[key] = (
                self._why_not(move, candidates), [c.to_json() for c in candidates],
            )  # fmt: skip
        why, rows = instead or known[0], known[1]
        if self._rows + len(rows) <= CANDIDATE_ROWS:
            draft.candidates[move.name] = rows
            self._rows += len(rows)
        claim = draft.claim(move.name)
        if move.again:
            copy = draft.copies(move.name).get(move.again)
            verb = RESTART if copy is not None and copy.live else START
            draft.start(move.name, move.again, "%s, but %s stays there: %s" % (move.reason, move.name, why), verb)
            return
        if move.asked and draft.kind != "intents":
            verb = draft.kind if draft.kind in ("move", "restart") else "start"
            draft.refuse(move.name, p.hosts[0] if p.hosts else None, "%s cannot %s: %s" % (move.name, verb, why))
            return
        stops = sorted(self._sweep(move), key=lambda h: h != claim.host)
        if move.booked:
            draft.note("the move of %s is given up" % move.name, why, instance=move.name, who=MUSTER)
        if move.stays:
            draft.stays[move.name] = why
            drained = claim.phase == RUNNING and draft.record(str(claim.host)).state == DRAINED and not move.booked
            if drained and left_there(draft, draft.site.instance(move.name), str(claim.host)):
                return
            draft.hold(move.name, claim.host, "%s, but %s stays there for now: %s" % (move.stays, move.name, why))
            self._strays(move, [host for host in stops if host != claim.host])
        elif stops:
            draft.stop(move.name, stops[0], move.reason, after=FREE)
            for host in stops[1:]:
                draft.stop_copy(move.name, host, move.reason)
        else:
            sentence = "%s waits: %s" % (move.name, why)
            waits = replace(claim, phase=FREE, target=None, actor=None, left=(), reason=sentence, room=room)
            draft.set_claim(move.name, waits)
            draft.hold(move.name, None, sentence)

    def _why_not(self, move: Move, candidates: Sequence[Candidate]) -> str:
        if not candidates:
            application = self._draft.site.instance(move.name).application
            where = kinds(self._draft.site, application.identifiers_as_written)
            return "it may run on %s only, and there is no such host" % where
        return NoRoom(candidates, self._ruled_out(move)).why()


def with_placed(loads: Mapping[str, HostLoad], pending: Mapping[str, Pending], placed: Placed) -> Dict[str, HostLoad]:
    """The loads once that is where it was placed."""
    after, added = dict(loads), {}  # type: Dict[str, HostLoad], Dict[str, List[Pending]]
    for name, host in placed.items():
        if host is not None:
            added.setdefault(host, []).append(pending[name])
    for host, new in added.items():
        before, load = after[host], sum(p.load for p in new)
        ties = before.ties + tuple(p.ties for p in new if p.ties)
        after[host] = replace(before, reserved=before.reserved + load, used=before.used + load, ties=ties)
    return after


class NoRoom:
    """Why none of some hosts takes an instance; sorted once, however often it is asked without a few of them."""

    def __init__(self, candidates: Sequence[Candidate], ruled_out: Mapping[str, str]) -> None:
        """:param ruled_out: host -> why nothing may start there; empty or missing where only room counts."""
        self._all = candidates
        self._others = [c for c in candidates if c.unfit or ruled_out.get(c.host)]
        others = {c.host for c in self._others}
        self._roomless = {c.host: c for c in sorted(candidates, key=_lacks) if c.host not in others}  # least first

    def why(self, gone: Collection[str] = ()) -> str:
        """In a few words, however many hosts there are.

        :param gone: hosts that are left out.
        """
        others = [c.why for c in self._others if c.host not in gone]
        roomless = len(self._roomless) - sum(host in self._roomless for host in gone)
        if roomless + len(others) <= 4:
            return "; ".join(c.why for c in self._all if c.host not in gone)
        words = []
        if roomless:
            best = next(c for host, c in self._roomless.items() if host not in gone)
            words.append("%d hosts have no room, the best of them is %s: %g of %g reserved, it needs %g" % (
                roomless, best.host, best.reserved, best.limit, best.load))  # fmt: skip
        return "; ".join(words + ([listing(others, most=3)] if others else []))


def _lacks(candidate: Candidate) -> float:
    return candidate.reserved - candidate.limit
