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

from . import claim as model_claim
from .rollout import Rollout
from .sentences import clock
from .words import RECORD_KINDS, STOPPED, UP

Record = TypeVar("Record")

Actor = model_claim.Actor
Claim = model_claim.Claim
Failure = model_claim.Failure
Pending = model_claim.Pending


@dataclass(frozen=True)
class Wanted:
    """What people or rules ask for. `host` is the console of an HCI, else None."""

    state: str
    host: Optional[str] = None
    by: str = ""
    why: str = ""
    at: float = 0.0
    cause: str = ""  # HOST_DOWN: muster gave it up with its host, so it may be what it was when that was only cut off
    without: Mapping[str, str] = field(default_factory=dict)  # programs that a person stopped -> a phrase

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Wanted:
        return cls(
            document["state"],
            document.get("host"),
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("at") or 0.0),
            document.get("cause") or "",
            dict(document.get("without") or {}),
        )

    def to_json(self) -> Dict[str, Any]:
        document: Dict[str, Any] = {
            "state": self.state, "host": self.host, "by": self.by, "why": self.why, "at": self.at,
        }  # fmt: skip
        if self.cause:
            document["cause"] = self.cause
        if self.without:
            document["without"] = dict(self.without)
        return document


@dataclass(frozen=True)
class Drain:
    """A person wants a host empty. It outlasts the host's being suspect or down."""

    by: str = ""
    why: str = ""
    since: float = 0.0
    until: Optional[float] = None  # the host is used again by itself from then on
    at_a_time: int = 0  # units that leave in one round, an instance or all that are together; 0: all at once

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
class Booked:
    """A move that a person asked for and that is still to be done: later, or in its turn."""

    host: str  # from where
    to: str
    by: str = ""
    why: str = ""
    at: float = 0.0
    due: float = 0.0  # not before
    at_a_time: int = 0  # of those that are booked, and what is together counts once; 0: all
    rebalance: bool = False  # it is one of several that only even out the load

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Booked:
        return cls(
            str(document["host"]),
            str(document["to"]),
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("at") or 0.0),
            float(document.get("due") or 0.0),
            int(document.get("at_a_time") or 0),
            bool(document.get("rebalance")),
        )

    def to_json(self) -> Dict[str, Any]:
        return {
            "host": self.host, "to": self.to, "by": self.by, "why": self.why, "at": self.at, "due": self.due,
            "at_a_time": self.at_a_time, "rebalance": self.rebalance,
        }  # fmt: skip


@dataclass(frozen=True)
class SiteStop:
    """A person wants everything down, whatever else is wanted: the record ``stopped`` of ``meta``."""

    by: str = ""
    why: str = ""
    at: float = 0.0

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Optional[SiteStop]:
        """None while the site is not stopped."""
        document = meta.get(STOPPED)
        if not document:
            return None
        return cls(document.get("by") or "", document.get("why") or "", float(document.get("at") or 0.0))

    def to_json(self) -> Dict[str, Any]:
        return {"by": self.by, "why": self.why, "at": self.at}

    def wanted(self, now: float) -> Wanted:
        """What is wanted of every instance meanwhile."""
        return Wanted(STOPPED, None, self.by, self.sentence(now), self.at)

    def sentence(self, now: float) -> str:
        """``the site is stopped by eve since 12:03 (power works)``"""
        why = " (%s)" % self.why if self.why else ""
        return "the site is stopped by %s since %s%s" % (self.by or "somebody", clock(self.at, now), why)


@dataclass(frozen=True)
class HostRecord:
    """What is believed of a host. Only `down` frees claims for a move."""

    state: str = UP
    incarnation: str = ""
    since: float = 0.0
    evidence: str = ""
    by: str = ""
    drain: Optional[Drain] = None
    planned: Optional[Drain] = None  # it is to be drained from `since` on
    left: Tuple[str, ...] = ()  # what was claimed there when it was believed down: it may live on, if that was a cut

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> HostRecord:
        drain, planned = document.get("drain"), document.get("planned")
        return cls(
            document.get("state") or UP,
            document.get("incarnation") or "",
            float(document.get("since") or 0.0),
            document.get("evidence") or "",
            document.get("by") or "",
            Drain.from_json(drain) if drain else None,
            Drain.from_json(planned) if planned else None,
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
        if self.planned is not None:
            document["planned"] = self.planned.to_json()
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
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)  # CURRENT
    moves: Mapping[str, Booked] = field(default_factory=dict)  # by instance

    @property
    def stop(self) -> Optional[SiteStop]:
        """That the whole site is stopped."""
        return SiteStop.of(self.meta)

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
            Records(dict(document.get("rollouts") or {}), Rollout.from_json),
            Records(dict(document.get("moves") or {}), Booked.from_json),
        )

    def to_json(self) -> Dict[str, Any]:
        return {
            "meta": dict(self.meta),
            "wanted": {name: w.to_json() for name, w in self.wanted.items()},
            "claims": {name: c.to_json() for name, c in self.claims.items()},
            "hosts": {name: h.to_json() for name, h in self.hosts.items()},
            "pauses": {name: p.to_json() for name, p in self.pauses.items()},
            "notices": dict(self.notices),
            "rollouts": {name: r.to_json() for name, r in self.rollouts.items()},
            "moves": {name: m.to_json() for name, m in self.moves.items()},
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
