# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan and what it sends to hosts. ``to_json`` writes what is on the wire, ``from_json`` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

Json = Dict[str, Any]

# Kinds of actions.
START = "start"
STOP = "stop"
RESTART = "restart"  # in place, under a new epoch
CONTINUE = "continue"  # the deferred part of a start
REPAIR = "repair"  # programs of an instance that runs
RELOAD = "reload"  # an instance that runs takes changed files
END = "end"  # programs of an instance that runs on without them
RENEW = "renew"  # programs of an instance that runs: stopped where they run, then started
ADD = "add"  # programs of an instance that runs: started where they do not run
SIGNAL = "signal"  # to programs of an instance that runs
GRANT = "grant"  # what the host may do about it by itself from now on
CONFIGURE = "configure"  # a host's configuration folder
REVIVE = "revive"  # a host's service manager
FREE_CLAIM = "free"  # only the ledger changes
HOLD = "hold"  # nothing is done, and why
REFUSE = "refuse"  # nothing of the whole request is done, and why

ALONE = (END, RENEW, ADD)  # single programs are stopped or started

# What a host does to one instance.
ACTS = (START, STOP, RESTART, CONTINUE, REPAIR, RELOAD, END, RENEW, ADD, SIGNAL, GRANT)

# What a confirmed stop leads to, when that is no phase of the claim.
MOVE = "move"  # the claim goes with the start on another host
NOTHING = "nothing"  # it stopped a copy without a claim


@dataclass(frozen=True)
class Action:
    """One thing that a plan does or leaves as it is, and why."""

    kind: str
    instance: str  # "": it is about a host, or about the whole request
    host: str
    reason: str
    epoch: int = 0  # of the claim; of a stop the greatest that is known
    phase: int = 1  # actions of a later phase wait for those of earlier ones
    target: str = ""  # of a stop: where it starts afterwards
    urgent: bool = False
    programs: Optional[Tuple[str, ...]] = None  # of those that are about a part of it: only these
    after: str = ""  # of a stop: the phase of the claim once it is confirmed, MOVE or NOTHING
    digest: str = ""  # of the instance's configuration
    tell: str = ""  # of a signal: its name
    given: Mapping[str, str] = field(default_factory=dict)  # program -> what it is started with, a phrase
    values: Mapping[str, Any] = field(default_factory=dict)  # the same for the host; never part of the document

    @property
    def acts(self) -> bool:
        """Whether a host does something to an instance."""
        return self.kind in ACTS

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Action:
        """:raises KeyError: without one of the fields that every action has."""
        programs = document.get("programs")
        return cls(
            kind=document["action"],
            instance=document["instance"] or "",
            host=document["host"] or "",
            reason=document["reason"],
            epoch=document["epoch"],
            phase=document["phase"],
            target=document.get("target") or "",
            urgent=bool(document.get("urgent")),
            programs=None if programs is None else tuple(programs),
            after=document.get("after") or "",
            digest=document.get("digest") or "",
            tell=document.get("tell") or "",
            given=dict(document.get("given") or {}),
        )

    def to_json(self) -> Json:
        return {
            "action": self.kind,
            "instance": self.instance or None,
            "host": self.host or None,
            "target": self.target or None,
            "epoch": self.epoch,
            "phase": self.phase,
            "reason": self.reason,
            "urgent": self.urgent,
            "programs": None if self.programs is None else list(self.programs),
            "after": self.after,
            "digest": self.digest,
            **({"tell": self.tell} if self.tell else {}),
            **({"given": dict(self.given)} if self.given else {}),
        }


@dataclass(frozen=True)
class Plan:
    """What one run does. With a REFUSE among the actions there are no others, and no changes."""

    run: str
    revision: int  # of the ledger that it was made over
    expires: float  # s since 1970: when every host must be done
    fingerprint: str  # equal ones mean that nothing the plan touches has changed
    request: Mapping[str, Any]  # {kind, who, from, why, host}
    actions: Tuple[Action, ...]  # by phase
    changes: Mapping[str, Any]  # of the ledger: kind of record -> name -> record, None deletes
    trail: List[Json]
    candidates: Mapping[str, List[Json]]  # instance -> its candidate hosts, as `place.Candidate.to_json`
    intents: List[Json]  # what became of each: {id, instance, outcome, why}
    waits: Mapping[str, float]  # instance -> when the deadline of the run at work on it is over
    turns: List[str]  # instances that are placed in a later round of the same run
    again_after: float = 0.0  # s until this run may go on with the rollout; 0: it has nothing more to do
    boots: Mapping[str, str] = field(default_factory=dict)  # host that acts -> the boot id that it was seen with
    facts: Mapping[str, Any] = field(default_factory=dict)  # of a plan that is saved or was: see `plan.facts`

    @property
    def kind(self) -> str:
        """Of its request."""
        return str(self.request["kind"])

    @property
    def acts(self) -> List[Action]:
        """The actions of hosts on instances."""
        return [action for action in self.actions if action.acts]

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: no host acts, and no claim is freed."""
        return all(action.kind == HOLD for action in self.actions)

    @property
    def phases(self) -> int:
        """How many there are, at least 1."""
        return max([action.phase for action in self.actions] or [1])

    @property
    def refusals(self) -> List[str]:
        """Why nothing is done; empty unless the request is refused."""
        return [action.reason for action in self.actions if action.kind == REFUSE]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Plan:
        """:raises KeyError: without one of its fields."""
        return cls(
            run=str(document["run"]),
            revision=document["revision"],
            expires=document["expires"],
            fingerprint=document["fingerprint"],
            request=document["request"],
            actions=tuple(Action.from_json(action) for action in document["actions"]),
            changes=document["changes"],
            trail=document["trail"],
            candidates=document["candidates"],
            intents=document["intents"],
            waits=document["waits"],
            turns=document["turns"],
            boots=document.get("boots") or {},
            again_after=float(document.get("again_after") or 0.0),
        )

    def to_json(self) -> Json:
        return {
            "run": self.run,
            "revision": self.revision,
            "expires": self.expires,
            "fingerprint": self.fingerprint,
            "request": self.request,
            "actions": [action.to_json() for action in self.actions],
            "changes": self.changes,
            "trail": self.trail,
            "candidates": self.candidates,
            "intents": self.intents,
            "waits": self.waits,
            "turns": self.turns,
            "boots": dict(self.boots),
            "again_after": self.again_after,
        }


@dataclass(frozen=True)
class Order:
    """What a host does to one instance, with all that it has to know about it."""

    instance: str
    do: str  # of ACTS
    epoch: int
    urgent: bool
    reason: str
    digest: str
    environment: Mapping[str, str]
    starting_failure_strategy: str
    start_timeout: float  # s
    only: Optional[Tuple[str, ...]]  # programs; None: all
    ports: Tuple[Json, ...]  # {name, port, program}
    programs: Tuple[Json, ...]  # what `act_requests` says of each program of the application
    otherwise: Optional[Json] = None  # {ports, programs} for a host that has only the newest configuration
    tell: str = ""  # of a signal: its name
    given: Mapping[str, Any] = field(default_factory=dict)  # program -> {args, env} until its next stop
    alone: Optional[Json] = None  # what the host may do about it by itself, see `decide.alone.terms`

    def to_json(self) -> Json:
        return {
            **({"otherwise": dict(self.otherwise)} if self.otherwise is not None else {}),
            **({} if self.alone is None else {"alone": self.alone}),
            "instance": self.instance,
            "do": self.do,
            "epoch": self.epoch,
            "urgent": self.urgent,
            "reason": self.reason,
            "digest": self.digest,
            "environment": dict(self.environment),
            "starting_failure_strategy": self.starting_failure_strategy,
            "start_timeout": self.start_timeout,
            "only": None if self.only is None else list(self.only),
            "ports": list(self.ports),
            "programs": list(self.programs),
            **({"tell": self.tell} if self.tell else {}),
            **({"given": dict(self.given)} if self.given else {}),
        }


@dataclass(frozen=True)
class ActRequest:
    """What one host is sent in one phase of a plan."""

    run: str
    deadline: float  # s that the host may take
    expires: float  # s since 1970 on the controller's clock: it is not sent later
    start_service_manager: bool
    config: Optional[str] = None  # the digest of the configuration folder that it takes; None: it keeps its own
    instances: Tuple[Order, ...] = ()
    revive: bool = False  # its service manager, also where nothing is started
    boot: str = ""  # boot id that the plan was made over; under another one the host starts nothing; empty: not known

    def to_json(self) -> Json:
        document: Json = {
            "run": self.run,
            "deadline": self.deadline,
            "expires": self.expires,
            "start_service_manager": self.start_service_manager,
            "config": None if self.config is None else {"digest": self.config},
            "instances": [order.to_json() for order in self.instances],
        }
        if self.revive:
            document["revive"] = True
        if self.boot:
            document["boot"] = self.boot
        return document


def lost(actions: Sequence[Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]) -> List[str]:
    """The instances of which what was asked for did not succeed.

    What a host may do by itself is no part of that: an instance that has just crashed is allowed nothing.
    """
    allowed = {action.get("instance") for action in actions if action["action"] == GRANT}
    bad = [name for name, came in results.items() if came.get("result") in ("failed", "refused")]
    return [name for name in bad if name not in allowed]
