# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan while it is being made: the inputs, and what has been decided so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from ..model.asked import asked
from ..model.observation import Observation
from ..model.plan import (
    CONFIGURE,
    CONTINUE,
    FREE_CLAIM,
    GRANT,
    HOLD,
    NOTHING,
    REFUSE,
    RELOAD,
    REPAIR,
    REVIVE,
    START,
    STOP,
    Action,
)
from ..model.records import Actor, Booked, Claim, HostRecord, State, Wanted
from ..model.rollout import Rollout
from ..model.site import Site
from ..model.words import CURRENT, FREE, MONITOR, MUSTER, RUNNING, STARTED, STARTING, STOPPED, STOPPING
from .ahead import ahead
from .failures import refused_lately
from .known import Known
from .upkeep import Upkeep

Json = Dict[str, Any]
WHOLE = ("deploy", "reconcile")  # kinds of requests that look at every instance


class PlanError(Exception):
    """No plan can be made; the text is the sentence for a person."""

    unknown = False  # whether it is because the site has nothing of a name that was given


@dataclass(frozen=True)
class Move:
    """An instance that waits for placement, and what has to be stopped before it may start."""

    name: str
    reason: str
    stops: Tuple[str, ...] = ()  # hosts with something of it
    hosts: Optional[Tuple[str, ...]] = None  # None: all its application may run on
    avoid: Tuple[str, ...] = ()  # there only if there is no room elsewhere
    exclude: Mapping[str, str] = field(default_factory=dict)  # never there, and why; "" where `reason` says it
    stays: str = ""  # it runs, and why it should not where it does: without room elsewhere it is left alone
    leaves: str = ""  # the drained host that it leaves, in its turn
    prefer: str = ""  # there, if there is room
    booked: bool = False  # a person booked it
    asked: bool = False  # a person waits for the answer: no room is a refusal
    keeps: bool = False  # it runs there, and only its claim was lost
    again: str = ""  # the drained host that it cannot leave without room elsewhere: it starts there again


class Mark(NamedTuple):
    """How far a plan was before one instance was looked at."""

    actions: int
    moves: int
    trail: int
    wanted: Tuple[Any, ...]  # its own entry, when there was one
    claim: Tuple[Any, ...]


class Draft(Known):
    """The inputs of a plan as views, and its actions, ledger changes and trail as they grow.

    :param request: {kind, who, from, why, ...}: what is asked for.
    :param digests: instance -> digest of its configuration as it should be.
    """

    def __init__(
        self,
        site: Site,
        state: State,
        observations: Mapping[str, Observation],
        request: Mapping[str, Any],
        now: float,
        run: str,
        digests: Mapping[str, str],
    ) -> None:
        super().__init__(site, state, observations, now, run)
        self.request, self.described = asked(request), digests
        self.digests = digests  # `described`, but for what a rollout has not reached
        self.kind = self.request["kind"]
        self.who, self.why = self.request.get("who") or "somebody", self.request.get("why") or ""
        self.actor = Actor(run, now + site.settings.run_timeout)
        self.begin()

    def begin(self) -> None:
        """Nothing is decided yet."""
        self.upkeep = Upkeep(self.state.pauses, self.state.notices)
        self.rollout: Optional[Rollout] = self.state.rollouts.get(CURRENT)
        self.actions: List[Action] = []
        self.trail: List[Json] = []
        self.moves: List[Move] = []
        self.asked: Dict[str, str] = {}  # instance -> what a person asked for, as a reason
        self.restarts: Dict[str, str] = {}  # the same, of those to be restarted
        self.candidates: Dict[str, List[Json]] = {}
        self.waits: Dict[str, float] = {}  # instance -> when its actor's deadline is over
        self.resolved: Set[str] = set()  # conflicts that a person decides in this run
        self.stays: Dict[str, str] = {}  # instance -> why it cannot leave a host that is drained
        self.drifting: Set[str] = set()  # ids of the drift that was seen in this run
        self.turns: List[str] = []  # instances that are placed in a later round of the same run
        self.booked: Dict[str, Optional[Booked]] = {}  # changes of the moves that are still to be done
        self.meta: Dict[str, Any] = {}  # changes of the ledger's records about the whole site
        self._dropped: List[str] = []

    def want(
        self, name: str, state: str, why: str, host: Optional[str] = None, by: Optional[str] = None, cause: str = ""
    ) -> None:
        """Change what is wanted; the same again keeps the first one's record, but for a person's stop after muster's.

        :param state: STARTED or STOPPED.
        :param host: the console of an HCI.
        :param by: defaults to who asked.
        :param cause: see `Wanted`.
        """
        before = self._wanted.get(name) or self.state.wanted.get(name)
        same = before is not None and (before.state, before.host) == (state, host)
        person = state == STOPPED and (by or self.who) not in (MUSTER, MONITOR)
        if same and before is not None and not (person and before.by == MUSTER):
            return
        off = before.without if before is not None else {}
        self._wanted[name] = Wanted(state, host, by or self.who, why, self.now, cause, off)
        what = "is to run" if state == STARTED else "is to stay stopped"
        self.note("%s %s%s" % (name, what, " on %s" % host if host else ""), why, instance=name, who=by)

    def set_wanted(self, name: str, wanted: Wanted) -> None:
        self._wanted[name] = wanted

    def first_seen(self, name: str) -> None:
        """Want a service started that has no record yet."""
        self._wanted[name] = Wanted(STARTED, None, MUSTER, "first seen", self.now)

    def forget_wanted(self, name: str) -> None:
        """Delete the record of what is wanted."""
        if name in self.state.wanted:
            self._wanted[name] = None

    def set_claim(self, name: str, claim: Optional[Claim]) -> None:
        """None deletes it; one that equals the ledger's is no change."""
        if claim != self.state.claims.get(name):
            self._claims[name] = claim
        else:
            self._claims.pop(name, None)

    def booking(self, name: str) -> Optional[Booked]:
        """The move that is still to be done, with this plan's changes."""
        return self.booked[name] if name in self.booked else self.state.moves.get(name)

    def unbook(self, name: str, why: str = "") -> None:
        """Forget a booked move.

        :param why: why it is not done; empty when it is done now.
        """
        booked = self.booking(name)
        if booked is None:
            return
        self.booked[name] = None
        if why:
            self.note("the move of %s to %s is given up" % (name, booked.to), why, instance=name, who=MUSTER)

    def set_host(self, host: str, record: HostRecord) -> None:
        """Change what is believed of a host."""
        self._hosts[host] = record

    def set_rollout(self, record: Rollout) -> None:
        """Change the record of the rollout."""
        self.rollout = record

    def leave_behind(self, name: str, host: str) -> None:
        """Nobody can see whether an instance lives on, on a host that is believed down."""
        record = self.record(host)
        if name not in record.left:
            self.set_host(host, replace(record, left=(*record.left, name)))

    def drop_host(self, host: str) -> None:
        """The ledger forgets the host."""
        self._dropped.append(host)

    def mark(self, name: str) -> Mark:
        """For `undo`, before anything is decided about an instance."""
        return Mark(
            len(self.actions),
            len(self.moves),
            len(self.trail),
            (self._wanted[name],) if name in self._wanted else (),
            (self._claims[name],) if name in self._claims else (),
        )

    def undo(self, name: str, mark: Mark) -> None:
        """Forget what was decided about one instance since its mark; there was nothing about others."""
        del self.actions[mark.actions :], self.moves[mark.moves :], self.trail[mark.trail :]
        for records, before in ((self._wanted, mark.wanted), (self._claims, mark.claim)):
            records.pop(name, None)
            if before:
                records[name] = before[0]

    def free(self, name: str, reason: str = "") -> None:
        """The claim holds nothing any more: nothing of it lives on its host."""
        claim = self.claim(name)
        freed = replace(
            claim, phase=FREE, target=None, actor=None, deferred=(), failed={}, left=(), reason=reason, until=0.0,
            pending=None, since=self.now if claim.phase != FREE else claim.since,
        )  # fmt: skip
        self.set_claim(name, freed)

    def _add(self, kind: str, name: Optional[str], host: Optional[str], reason: str, **more: Any) -> None:
        """:param more: the other fields of `Action`."""
        name, host = name or "", host or ""
        self.actions.append(Action(kind, name, host, reason, digest=self.digests.get(name, ""), **more))

    def hold(self, name: Optional[str], host: Optional[str], reason: str) -> None:
        """Do nothing, and say why.

        :param name: the instance; None where it is about a host or about the whole request.
        """
        self._add(HOLD, name, host, reason, epoch=self.claim(name).epoch if name else 0)

    def refuse(self, name: Optional[str], host: Optional[str], reason: str) -> None:
        """Refuse the whole request: nothing else of this plan is done."""
        self._add(REFUSE, name, host, reason)

    @property
    def refused(self) -> bool:
        """Whether the request is refused so far."""
        return any(action.kind == REFUSE for action in self.actions)

    def stop(
        self, name: str, host: str, reason: str, after: str = FREE, urgent: bool = False, target: Optional[str] = None
    ) -> None:
        """Stop what the claim holds (or would hold) on a host.

        :param after: the phase that a confirmed stop leads to, or MOVE.
        :param target: the host where it starts afterwards.
        """
        claim = self.claim(name)
        self.set_claim(
            name,
            replace(
                claim, host=host, phase=STOPPING, target=target, actor=self.actor, reason=reason, since=self.now,
                left=(),
            ),
        )  # fmt: skip
        epoch = self.known_epoch(name)
        self._add(STOP, name, host, reason, epoch=epoch, target=target or "", urgent=urgent, after=after)

    def undo_start(self, name: str, host: str, reason: str) -> None:
        """Take back a start whose request may still arrive: from now on its host refuses the epoch of that start."""
        self.set_claim(name, replace(self.claim(name), epoch=self.next_epoch(name), highest=0))
        self.stop(name, host, reason)
        self.turns.append(name)

    def stop_copy(self, name: str, host: str, reason: str) -> None:
        """Stop a copy that no claim allows; the claim itself is not touched."""
        self._add(STOP, name, host, reason, epoch=self.known_epoch(name), after=NOTHING)

    def start(self, name: str, host: str, reason: str, kind: str = START, urgent: bool = False) -> None:
        """Start, or restart in place, under a new epoch; what was charged before is carried along.

        :param kind: START or RESTART.
        """
        epoch = self.next_epoch(name)
        claim = self.claim(name)
        self.set_claim(
            name,
            Claim(
                host=host,
                epoch=epoch,
                phase=STARTING,
                actor=self.actor,
                failures=self.charges(name),
                crashes=claim.crashes,
                refusals=refused_lately(claim, self.now),
                reason=reason,
                since=self.now,
                digest=self.digests.get(name, ""),
                incarnation=self.observation(host).incarnation or (claim.incarnation if claim.host == host else ""),
                ahead=ahead(self.site, name, epoch, claim),
            ),
        )
        self._add(kind, name, host, reason, epoch=epoch, urgent=urgent)

    def keep(self, name: str, host: str, reason: str) -> None:
        """Claim again what runs on a host, under the epoch that it has."""
        claim, copy = self.claim(name), self.copies(name)[host]
        kept = replace(
            claim, host=host, epoch=max(copy.epochs), highest=self.known_epoch(name), phase=RUNNING, target=None,
            actor=None, deferred=copy.deferred, failed=dict(copy.failed), left=(), reason="", since=self.now,
            incarnation=self.observation(host).incarnation, until=0.0, room="",
        )  # fmt: skip
        self.set_claim(name, kept)
        self.hold(name, host, "%s, so it is kept" % reason)
        self.note("%s is kept on %s" % (name, host), reason, "running", name, host)

    def start_after_stops(self, name: str, host: str, reason: str) -> None:
        """Start in the second phase; the claim follows when the stops of the first one are confirmed."""
        self._add(START, name, host, reason, epoch=self.next_epoch(name), phase=2)

    def repair(self, name: str, host: str, reason: str, programs: Iterable[str]) -> None:
        """Start these programs of an instance that runs."""
        self.join(REPAIR, name, host, reason, programs)

    def reload(self, name: str, host: str, reason: str, programs: Iterable[str]) -> None:
        """Have an instance that runs take its files; these programs get their signal or command."""
        self.join(RELOAD, name, host, reason, programs)

    def continue_deferred(self, name: str, host: str, reason: str) -> None:
        """Start what was deferred of an instance that runs."""
        self.join(CONTINUE, name, host, reason, self.claim(name).deferred)

    def join(
        self, kind: str, name: str, host: str, reason: str, programs: Iterable[str], **more: Any
    ) -> None:
        """Do something to programs under the epoch of what runs.

        :param more: other fields of `Action`.
        """
        claim = self.claim(name)
        self.set_claim(name, replace(claim, actor=self.actor))
        self._add(kind, name, host, reason, epoch=claim.epoch, programs=tuple(programs), **more)

    def allow(self, name: str, host: str, reason: str) -> None:
        """Tell the host of what runs what it may do about it by itself."""
        self._add(GRANT, name, host, reason, epoch=self.claim(name).epoch)

    def release(self, name: str, why: str, reason: str) -> None:
        """Free a claim whose host shows nothing of it, and say so.

        :param why: the reason that the free claim keeps.
        """
        self.free(name, why)
        claim = self.claim(name)
        self._add(FREE_CLAIM, name, claim.host, reason, epoch=claim.epoch)

    def configure(self, host: str, reason: str) -> None:
        """Send the host its configuration folder."""
        self._add(CONFIGURE, None, host, reason)

    def revive(self, host: str, reason: str) -> None:
        """Start the host's service manager."""
        self._add(REVIVE, None, host, reason)

    def note(
        self, what: str, why: str = "", result: str = "", instance: str = "", host: str = "", who: Optional[str] = None
    ) -> None:
        """Add a line to the trail.

        :param who: defaults to who asked.
        """
        entry: Json = {
            "at": self.now,
            "who": who or self.who,
            "from": self.request.get("from") or "",
            "what": what,
            "why": why,
            "result": result,
            "run": self.run,
        }
        if instance:
            entry["instance"] = instance
        if host:
            entry["host"] = host
        self.trail.append(entry)

    def changes(self) -> Dict[str, Dict[str, Any]]:
        """The changes of the ledger, as `Ledger.commit` takes them."""
        changes: Dict[str, Dict[str, Any]] = {"meta": dict(self.meta)} if self.meta else {}
        if self._wanted:
            changes["wanted"] = {n: w.to_json() if w else None for n, w in sorted(self._wanted.items())}
        if self._claims:
            changes["claims"] = {n: c.to_json() if c else None for n, c in sorted(self._claims.items())}
        if self._hosts or self._dropped:
            changes["hosts"] = {n: h.to_json() for n, h in sorted(self._hosts.items())}
            changes["hosts"].update(dict.fromkeys(self._dropped))
        if self.rollout is not None and self.rollout != self.state.rollouts.get(CURRENT):
            changes["rollouts"] = {CURRENT: self.rollout.to_json()}
        if self.booked:
            changes["moves"] = {n: b.to_json() if b else None for n, b in sorted(self.booked.items())}
        changes.update(self.upkeep.changes())
        return changes
