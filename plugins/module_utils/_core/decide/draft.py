# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan while it is being made: the inputs, and what has been decided so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from ..model.observation import Observation, Seen
from ..model.records import Actor, Claim, Failure, HostRecord, State, Wanted
from ..model.sentences import clock
from ..model.site import Host, Instance, Site
from ..model.words import DOWN, FREE, MONITOR, MUSTER, STARTED, STARTING, STOPPED, STOPPING
from .failures import charges
from .upkeep import Upkeep

Json = Dict[str, Any]
WHOLE = ("deploy", "reconcile")  # kinds of requests that look at every instance


class PlanError(Exception):
    """No plan can be made; the text is the sentence for a person."""


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
    asked: bool = False  # a person waits for the answer: no room is a refusal


class Mark(NamedTuple):
    """How far a plan was before one instance was looked at."""

    actions: int
    moves: int
    trail: int
    wanted: Tuple[Any, ...]  # its own entry, when there was one
    claim: Tuple[Any, ...]


class Draft:
    """The inputs of a plan as views, and its actions, ledger changes and trail as they grow."""

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
        self.site, self.state, self.observations = site, state, observations
        self.request, self.now, self.run, self.digests = request, now, run, digests
        self.kind: str = request["kind"]
        self.who: str = request.get("who") or "somebody"
        self.why: str = request.get("why") or ""
        self.upkeep = Upkeep(state.pauses, state.notices)
        self.actor = Actor(run, now + site.settings.run_timeout)
        self.actions: List[Json] = []
        self.trail: List[Json] = []
        self.moves: List[Move] = []
        self.asked: Dict[str, str] = {}  # instance -> what a person asked for, as a reason
        self.restarts: Dict[str, str] = {}  # the same, of those to be restarted
        self.candidates: Dict[str, List[Json]] = {}
        self.waits: Dict[str, float] = {}  # instance -> when its actor's deadline is over
        self.resolved: Set[str] = set()  # conflicts that a person decides in this run
        self.stays: Dict[str, str] = {}  # instance -> why it cannot leave a host that is drained
        self.drifting: Set[str] = set()  # ids of the drift that was seen in this run
        self.turns: List[str] = []  # instances that leave a drained host in a later round
        self._item_order: Optional[Dict[str, int]] = None
        self._wanted: Dict[str, Optional[Wanted]] = {}
        self._claims: Dict[str, Optional[Claim]] = {}
        self._hosts: Dict[str, HostRecord] = {}
        self._dropped: List[str] = []
        self._copies: Dict[str, Dict[str, Seen]] = {}
        self._highest: Dict[str, int] = {}
        for host, observation in observations.items():
            for name, seen in observation.instances.items():
                self._copies.setdefault(name, {})[host] = seen
                self._highest[name] = max(seen.highest, self._highest.get(name, 0))

    # --- what is known

    def wanted(self, name: str) -> Wanted:
        """With this plan's changes; what nobody asked for is stopped."""
        if name in self._wanted:
            return self._wanted[name] or Wanted(STOPPED)
        return self.state.wanted.get(name) or Wanted(STOPPED)

    def claim(self, name: str) -> Claim:
        """With this plan's changes; an instance never claimed has a free claim of epoch 0."""
        if name in self._claims:
            return self._claims[name] or Claim()
        return self.state.claims.get(name) or Claim()

    def claims(self) -> Dict[str, Claim]:
        after = dict(self.state.claims)
        for name, claim in self._claims.items():
            if claim is None:
                after.pop(name, None)
            else:
                after[name] = claim
        return after

    def record(self, host: str) -> HostRecord:
        return self._hosts.get(host) or self.state.hosts.get(host) or HostRecord()

    def observation(self, host: str) -> Observation:
        known = self.observations.get(host)
        if known is not None:
            return known
        why = "%s was not asked in this run" % host
        if self.site_host(host) is None:
            why = "%s is not in the inventory any more: put it back, or confirm that it is down" % host
        return Observation(host, why=why)

    def copies(self, name: str) -> Dict[str, Seen]:
        """What seen hosts show of an instance: live processes, or a claim file left behind."""
        return {
            host: seen for host, seen in self._copies.get(name, {}).items() if seen.live or seen.claim is not None
        }

    def seen_instances(self) -> List[str]:
        return sorted(self._copies)

    def next_epoch(self, name: str) -> int:
        """Higher than every epoch the ledger or any seen host knows of."""
        return 1 + self.known_epoch(name)

    def known_epoch(self, name: str) -> int:
        return max(self.claim(name).epoch, self._highest.get(name, 0))

    def busy(self, name: str) -> str:
        """Why another run must be waited for; empty when nobody is at work on the instance.

        A run at work on a host that is down has nothing left to do there, and what it finds out does not count."""
        claim = self.claim(name)
        if claim.host and self.record(claim.host).state == DOWN:
            return ""
        if claim.actor is None or claim.actor.run == self.run or claim.actor.deadline <= self.now:
            return ""
        doing = {STARTING: "starting it", STOPPING: "moving it" if claim.target else "stopping it"}
        until = clock(claim.actor.deadline, self.now, seconds=True)
        return "run %s is %s until %s" % (claim.actor.run, doing.get(claim.phase, "changing it"), until)

    def confirmed_down(self, host: str) -> bool:
        """By a person, not by the monitor's signals alone."""
        record = self.record(host)
        return record.state == DOWN and record.by != MONITOR

    def label(self, instance: Instance) -> str:
        return "item %s" % instance.item.id

    def held_since(self, name: str) -> str:
        """`` (opened by eve at 12:03)`` for a sentence, or nothing when nobody is known."""
        wanted = self.wanted(name)
        return " (opened by %s at %s)" % (wanted.by, clock(wanted.at, self.now)) if wanted.by else ""

    # --- what is decided

    def want(self, name: str, state: str, why: str, host: Optional[str] = None, by: Optional[str] = None) -> None:
        """Change what is wanted; ``by`` defaults to who asked. The same wish again keeps the first one's name."""
        before = self._wanted.get(name) or self.state.wanted.get(name)
        if before is not None and (before.state, before.host) == (state, host):
            return
        self._wanted[name] = Wanted(state, host, by or self.who, why, self.now)
        self.note("%s is wanted %s%s" % (name, state, " on %s" % host if host else ""), why, instance=name, who=by)

    def first_seen(self, name: str) -> None:
        """A service that nobody asked for yet is wanted started."""
        self._wanted[name] = Wanted(STARTED, None, MUSTER, "first seen", self.now)

    def forget_wanted(self, name: str) -> None:
        if name in self.state.wanted:
            self._wanted[name] = None

    def set_claim(self, name: str, claim: Optional[Claim]) -> None:
        if claim != self.state.claims.get(name):
            self._claims[name] = claim
        else:
            self._claims.pop(name, None)

    def set_host(self, host: str, record: HostRecord) -> None:
        self._hosts[host] = record

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
            since=self.now if claim.phase != FREE else claim.since,
        )  # fmt: skip
        self.set_claim(name, freed)

    def add(
        self,
        action: str,
        name: Optional[str],
        host: Optional[str],
        reason: str,
        epoch: int = 0,
        phase: int = 1,
        target: Optional[str] = None,
        urgent: bool = False,
        programs: Optional[List[str]] = None,
        after: str = "",
    ) -> None:
        self.actions.append(
            {
                "action": action,
                "instance": name,
                "host": host,
                "target": target,
                "epoch": epoch,
                "phase": phase,
                "reason": reason,
                "urgent": urgent,
                "programs": programs,
                "after": after,
                "digest": self.digests.get(name or "", ""),
            }
        )

    def hold(self, name: Optional[str], host: Optional[str], reason: str) -> None:
        self.add("hold", name, host, reason, self.claim(name).epoch if name else 0)

    def refuse(self, name: Optional[str], host: Optional[str], reason: str) -> None:
        self.add("refuse", name, host, reason)

    @property
    def refused(self) -> bool:
        return any(action["action"] == "refuse" for action in self.actions)

    def stop(
        self, name: str, host: str, reason: str, after: str = FREE, urgent: bool = False, target: Optional[str] = None
    ) -> None:
        """Stop what the claim holds (or would hold) on `host`; `after` is the phase a confirmed stop leads to."""
        claim = self.claim(name)
        self.set_claim(
            name,
            replace(
                claim, host=host, phase=STOPPING, target=target, actor=self.actor, reason=reason, since=self.now,
                left=(),
            ),
        )  # fmt: skip
        self.add("stop", name, host, reason, self.known_epoch(name), target=target, urgent=urgent, after=after)

    def stop_copy(self, name: str, host: str, reason: str) -> None:
        """Stop a copy that no claim allows; the claim itself is not touched."""
        self.add("stop", name, host, reason, self.known_epoch(name), after="nothing")

    def start(self, name: str, host: str, reason: str, action: str = "start", urgent: bool = False) -> None:
        """Start, or restart in place, under a new epoch; what was charged before is carried along."""
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
                reason=reason,
                since=self.now,
                digest=self.digests.get(name, ""),
                incarnation=self.observation(host).incarnation or (claim.incarnation if claim.host == host else ""),
            ),
        )
        self.add(action, name, host, reason, epoch, urgent=urgent)

    def charges(self, name: str) -> Tuple[Failure, ...]:
        """The failures that count against an instance's budget, with those of this plan."""
        before = self.state.claims.get(name) or Claim()
        now = self.claim(name).failures
        return now if now != before.failures else charges(before, self.now, self.site.settings)

    def troubles(self, name: str) -> Tuple[Failure, ...]:
        """The same, and the crashes in a row: what speaks for another host."""
        charged = self.charges(name)
        return charged + tuple(crash for crash in self.claim(name).crashes if crash not in charged)

    def note(
        self, what: str, why: str = "", result: str = "", instance: str = "", host: str = "", who: Optional[str] = None
    ) -> None:
        """A line of the trail."""
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
        changes: Dict[str, Dict[str, Any]] = {}
        if self._wanted:
            changes["wanted"] = {n: w.to_json() if w else None for n, w in sorted(self._wanted.items())}
        if self._claims:
            changes["claims"] = {n: c.to_json() if c else None for n, c in sorted(self._claims.items())}
        if self._hosts or self._dropped:
            changes["hosts"] = {n: h.to_json() for n, h in sorted(self._hosts.items())}
            changes["hosts"].update(dict.fromkeys(self._dropped))
        changes.update(self.upkeep.changes())
        return changes

    def site_host(self, name: str) -> Optional[Host]:
        try:
            return self.site.host(name)
        except KeyError:
            return None

    def item_order(self, instance: Instance) -> int:
        """The position of its item in the site: earlier items are placed first."""
        if self._item_order is None:
            self._item_order = {item.id: i for i, item in enumerate(self.site.items)}
        return self._item_order[instance.item.id]

    def is_started(self, name: str) -> bool:
        return self.wanted(name).state == STARTED
