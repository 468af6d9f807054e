# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's record of where an instance belongs: who acts on it, what failed, what it has not taken yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

from .words import FAILED, FREE


@dataclass(frozen=True)
class Actor:
    """The run that is changing an instance; past its deadline another run may take over."""

    run: str
    deadline: float
    lost: bool = False  # the run is over, and its host has not answered: what was sent there may still arrive
    process: str = ""  # of the run, where it runs on the controller: see `controller.run_process`

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Actor:
        return cls(str(document["run"]), float(document["deadline"]), bool(document.get("lost")),
                   str(document.get("process") or ""))  # fmt: skip

    def to_json(self) -> Dict[str, Any]:
        document: Dict[str, Any] = {"run": self.run, "deadline": self.deadline}
        if self.lost:
            document["lost"] = True
        if self.process:
            document["process"] = self.process
        return document


@dataclass(frozen=True)
class Failure:
    """A charge on the budget of an instance."""

    at: float
    host: str
    why: str


@dataclass(frozen=True)
class Pending:
    """A configuration that an instance which runs has not taken yet."""

    digest: str = ""  # of that configuration
    since: float = 0.0  # when that one was deployed, or its reload tried last
    how: str = ""  # why not: a word of `model.change`
    why: str = ""  # that it could not be taken; empty where nothing was tried
    of: float = 0.0  # since when it has had the one that it runs with
    first: float = 0.0  # since when it has not had the one that is described, over several deploys; 0: `since`

    def next(self, digest: str, now: float, how: str, why: str = "") -> Pending:
        """What is pending after another configuration was deployed, or not taken again."""
        first = self.first or self.since
        return Pending(digest, now, how, why, self.of, first if first < now else 0.0)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Pending:
        return cls(
            document.get("digest") or "",
            float(document.get("since") or 0.0),
            document.get("how") or "",
            document.get("why") or "",
            float(document.get("of") or 0.0),
            float(document.get("first") or 0.0),
        )

    def to_json(self) -> Dict[str, Any]:
        document = {"digest": self.digest, "since": self.since, "how": self.how, "why": self.why, "of": self.of}
        return {**document, "first": self.first} if self.first else document


@dataclass(frozen=True)
class Ahead:
    """Numbers beyond the epoch that its host may use by itself while no monitor is there."""

    until: int  # the last one; nobody else uses them
    used: int = 0  # the last one of which the ledger knows what it was used for


@dataclass(frozen=True)
class Given:
    """What people gave to single programs, until their next stop."""

    epoch: int = 0  # under which the programs run that have it; under another one nothing of it is left
    programs: Mapping[str, str] = field(default_factory=dict)  # program -> a phrase, which holds no value

    def after(self, epoch: int, programs: Iterable[str], what: Mapping[str, str]) -> Given:
        """After these programs were stopped or started.

        :param what: program -> what it was started with.
        """
        kept = {name: how for name, how in self.programs.items() if self.epoch == epoch and name not in programs}
        kept.update(what)
        return Given(epoch, kept) if kept else Given()


@dataclass(frozen=True)
class Claim:
    """The record that an instance belongs to a host, under an epoch that only grows.

    A free claim keeps its last host and epoch. A failed one holds its host only while `left` names programs that
    still run there (starting failure strategies abort and continue).
    """

    host: Optional[str] = None
    epoch: int = 0
    phase: str = FREE
    target: Optional[str] = None  # a move: where it starts once the stop is confirmed
    actor: Optional[Actor] = None
    deferred: Tuple[str, ...] = ()  # from a deferred gate on
    failed: Mapping[str, str] = field(default_factory=dict)  # program -> why it did not start
    failures: Tuple[Failure, ...] = ()
    reason: str = ""
    since: float = 0.0
    digest: str = ""
    incarnation: str = ""
    left: Tuple[str, ...] = ()
    crashes: Tuple[Failure, ...] = ()  # in a row, see `decide.failures.in_a_row`
    until: float = 0.0  # it crashed and waits; when it is started again
    pending: Optional[Pending] = None  # another configuration than the one it runs with
    refusals: Tuple[Failure, ...] = ()  # by hosts, to start it, since it ran last; they cost nothing
    highest: int = 0  # the epoch of a start that was undone, when what runs has a lower one: no epoch is given twice
    ahead: Optional[Ahead] = None  # see `decide.alone`
    given: Given = Given()
    back: str = ""  # where it ran when the whole site was stopped: it starts there again, if there is room
    room: str = ""  # a free one: the host where others stopped for it, so it goes before all others there

    @property
    def holds(self) -> bool:
        """Whether processes may live under it: it reserves, and nothing else may start."""
        if self.phase == FREE or not self.host:
            return False
        return self.phase != FAILED or bool(self.left)

    @property
    def lasting(self) -> Mapping[str, str]:
        """What people gave to programs that run with it: program -> a phrase."""
        return self.given.programs if self.holds and self.given.epoch == self.epoch else {}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Claim:
        actor = document.get("actor")
        return cls(
            host=document.get("host") or None,
            epoch=int(document.get("epoch") or 0),
            phase=document.get("phase") or FREE,
            target=document.get("target") or None,
            actor=Actor.from_json(actor) if actor else None,
            deferred=tuple(document.get("deferred") or ()),
            failed=dict(document.get("failed") or {}),
            failures=_failures(document.get("failures")),
            reason=document.get("reason") or "",
            since=float(document.get("since") or 0.0),
            digest=document.get("digest") or "",
            incarnation=document.get("incarnation") or "",
            left=tuple(document.get("left") or ()),
            crashes=_failures(document.get("crashes")),
            until=float(document.get("until") or 0.0),
            refusals=_failures(document.get("refusals")),
            pending=Pending.from_json(document["pending"]) if document.get("pending") else None,
            highest=int(document.get("highest") or 0),
            back=document.get("back") or "",
            room=document.get("room") or "",
            given=Given(int(document["given"][0]), dict(document["given"][1])) if document.get("given") else Given(),
            ahead=Ahead(*(int(number) for number in document["ahead"])) if document.get("ahead") else None,
        )

    def to_json(self) -> Dict[str, Any]:
        document: Dict[str, Any] = {
            "host": self.host,
            "epoch": self.epoch,
            "phase": self.phase,
            "target": self.target,
            "actor": self.actor.to_json() if self.actor else None,
            "deferred": list(self.deferred),
            "failed": dict(self.failed),
            "failures": [[f.at, f.host, f.why] for f in self.failures],
            "reason": self.reason,
            "since": self.since,
            "digest": self.digest,
            "incarnation": self.incarnation,
            "left": list(self.left),
        }
        if self.crashes:
            document["crashes"] = [[f.at, f.host, f.why] for f in self.crashes]
        if self.until:
            document["until"] = self.until
        if self.pending is not None:
            document["pending"] = self.pending.to_json()
        if self.refusals:
            document["refusals"] = [[f.at, f.host, f.why] for f in self.refusals]
        if self.highest > self.epoch:
            document["highest"] = self.highest
        if self.ahead is not None:
            document["ahead"] = [self.ahead.until, self.ahead.used]
        if self.lasting:
            document["given"] = [self.given.epoch, dict(self.lasting)]
        if self.back:
            document["back"] = self.back
        if self.room:
            document["room"] = self.room
        return document


def _failures(documents: Any) -> Tuple[Failure, ...]:
    return tuple(Failure(float(f[0]), f[1], f[2]) for f in documents or ())
