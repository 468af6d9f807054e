# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's records, as frozen views.

``from_json`` reads the ledger's documents leniently (missing keys get defaults, unknown keys are ignored), ``to_json``
writes exactly the documented shape. Times are seconds since 1970, as floats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple, TypeVar, Union

from .words import FAILED, FREE, RECORD_KINDS, UP

Record = TypeVar("Record")


@dataclass(frozen=True)
class Wanted:
    """What people or rules ask for. `host` is the console of an HCI, else None."""

    state: str
    host: Optional[str] = None
    by: str = ""
    why: str = ""
    at: float = 0.0
    cause: str = ""  # HOST_DOWN: muster gave it up with its host, so it may be what it was when that was only cut off

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Wanted:
        return cls(
            document["state"],
            document.get("host"),
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("at") or 0.0),
            document.get("cause") or "",
        )

    def to_json(self) -> Dict[str, Any]:
        document = {"state": self.state, "host": self.host, "by": self.by, "why": self.why, "at": self.at}
        if self.cause:
            document["cause"] = self.cause
        return document


@dataclass(frozen=True)
class Actor:
    """The run that is changing an instance; past its deadline another run may take over."""

    run: str
    deadline: float
    lost: bool = False  # the run is over, and its host has not answered: what was sent there may still arrive

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Actor:
        return cls(str(document["run"]), float(document["deadline"]), bool(document.get("lost")))

    def to_json(self) -> Dict[str, Any]:
        document: Dict[str, Any] = {"run": self.run, "deadline": self.deadline}
        if self.lost:
            document["lost"] = True
        return document


@dataclass(frozen=True)
class Failure:
    """A charge on the budget of an instance."""

    at: float
    host: str
    why: str


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
    refusals: Tuple[Failure, ...] = ()  # by hosts, to start it, since it ran last; they cost nothing
    highest: int = 0  # the epoch of a start that was undone, when what runs has a lower one: no epoch is given twice

    @property
    def holds(self) -> bool:
        """Whether processes may live under it: it reserves, and nothing else may start."""
        if self.phase == FREE or not self.host:
            return False
        return self.phase != FAILED or bool(self.left)

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
            highest=int(document.get("highest") or 0),
        )

    def to_json(self) -> Dict[str, Any]:
        document = {
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
        if self.refusals:
            document["refusals"] = [[f.at, f.host, f.why] for f in self.refusals]
        if self.highest > self.epoch:
            document["highest"] = self.highest
        return document


def _failures(documents: Any) -> Tuple[Failure, ...]:
    return tuple(Failure(float(f[0]), f[1], f[2]) for f in documents or ())


@dataclass(frozen=True)
class Drain:
    """A person wants a host empty. It outlasts the host's being suspect or down."""

    by: str = ""
    why: str = ""
    since: float = 0.0
    until: Optional[float] = None  # the host is used again by itself from then on
    at_a_time: int = 0  # instances that leave in one round; 0: all at once

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Drain:
        until = document.get("until")
        return cls(
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("since") or 0.0),
            None if until is None else float(until),
            int(document.get("at_a_time") or 0),
        )

    def to_json(self) -> Dict[str, Any]:
        return {
            "by": self.by,
            "why": self.why,
            "since": self.since,
            "until": self.until,
            "at_a_time": self.at_a_time,
        }


@dataclass(frozen=True)
class Pause:
    """Nothing automatic acts on an item, or on the whole site."""

    by: str = ""
    why: str = ""
    at: float = 0.0
    until: Optional[float] = None  # it ends by itself then

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Pause:
        until = document.get("until")
        return cls(
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("at") or 0.0),
            None if until is None else float(until),
        )

    def to_json(self) -> Dict[str, Any]:
        return {"by": self.by, "why": self.why, "at": self.at, "until": self.until}


@dataclass(frozen=True)
class HostRecord:
    """What is believed of a host. Only `down` frees claims for a move."""

    state: str = UP
    incarnation: str = ""
    since: float = 0.0
    evidence: str = ""
    by: str = ""
    drain: Optional[Drain] = None
    left: Tuple[str, ...] = ()  # what was claimed there when it was believed down: it may live on, if that was a cut

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> HostRecord:
        drain = document.get("drain")
        return cls(
            document.get("state") or UP,
            document.get("incarnation") or "",
            float(document.get("since") or 0.0),
            document.get("evidence") or "",
            document.get("by") or "",
            Drain.from_json(drain) if drain else None,
            tuple(document.get("left") or ()),
        )

    def to_json(self) -> Dict[str, Any]:
        document = {
            "state": self.state,
            "incarnation": self.incarnation,
            "since": self.since,
            "evidence": self.evidence,
            "by": self.by,
        }
        if self.drain is not None:
            document["drain"] = self.drain.to_json()
        if self.left:
            document["left"] = list(self.left)
        return document


class Records(Mapping[str, Record]):
    """The ledger's records of one kind; each becomes a view at the first access."""

    def __init__(self, documents: Mapping[str, Any], view: Callable[[Mapping[str, Any]], Record]) -> None:
        self._documents = documents
        self._view = view
        self._views: Dict[str, Record] = {}

    def __getitem__(self, name: str) -> Record:
        known = self._views.get(name)
        if known is None:
            known = self._views[name] = self._view(self._documents[name])
        return known

    def __contains__(self, name: object) -> bool:
        return name in self._documents

    def __iter__(self) -> Iterator[str]:
        return iter(self._documents)

    def __len__(self) -> int:
        return len(self._documents)


@dataclass(frozen=True)
class State:
    """The ledger's state at one revision."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    hosts: Mapping[str, HostRecord] = field(default_factory=dict)
    pauses: Mapping[str, Pause] = field(default_factory=dict)  # SITE, or "item/<id>"
    notices: Mapping[str, Any] = field(default_factory=dict)  # see `decide.notices`

    @classmethod
    def from_json(cls, document: Union[State, Mapping[str, Any]]) -> State:
        if isinstance(document, State):
            return document
        return cls(
            dict(document.get("meta") or {}),
            Records(dict(document.get("wanted") or {}), Wanted.from_json),
            Records(dict(document.get("claims") or {}), Claim.from_json),
            Records(dict(document.get("hosts") or {}), HostRecord.from_json),
            Records(dict(document.get("pauses") or {}), Pause.from_json),
            dict(document.get("notices") or {}),
        )

    def to_json(self) -> Dict[str, Any]:
        return {
            "meta": dict(self.meta),
            "wanted": {name: w.to_json() for name, w in self.wanted.items()},
            "claims": {name: c.to_json() for name, c in self.claims.items()},
            "hosts": {name: h.to_json() for name, h in self.hosts.items()},
            "pauses": {name: p.to_json() for name, p in self.pauses.items()},
            "notices": dict(self.notices),
        }


def apply_changes(state: Mapping[str, Any], changes: Mapping[str, Any]) -> Dict[str, Any]:
    """The ledger document after a commit of `changes`; a null record deletes."""
    after: Dict[str, Any] = {}
    for kind in RECORD_KINDS:
        records = dict(state.get(kind) or {})
        for name, record in (changes.get(kind) or {}).items():
            if record is None:
                records.pop(name, None)
            else:
                records[name] = record
        after[kind] = records
    return after
