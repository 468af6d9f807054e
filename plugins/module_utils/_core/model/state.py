# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger remembers and what hosts report, as frozen views.

``from_json`` reads the ledger's and the agents' documents leniently (missing keys get defaults, unknown keys are
ignored), ``to_json`` writes exactly the documented shape. Times are seconds since 1970, as floats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple, TypeVar, Union

from .records import Drain, Pause

STARTED = "started"
STOPPED = "stopped"

FREE = "free"
STARTING = "starting"
RUNNING = "running"
STOPPING = "stopping"
FAILED = "failed"

UP = "up"
SUSPECT = "suspect"
DOWN = "down"
DRAINED = "drained"

SEEN = "seen"
NOT_ASKED = "not asked"
UNREACHABLE = "unreachable"

KINDS = ("meta", "wanted", "claims", "hosts", "pauses", "notices")  # of the ledger's records

MONITOR = "monitor"  # the `by` of a host record that the monitor wrote


Record = TypeVar("Record")


@dataclass(frozen=True)
class Wanted:
    """What people or rules ask for. `host` is the console of an HCI, else None."""

    state: str
    host: Optional[str] = None
    by: str = ""
    why: str = ""
    at: float = 0.0

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Wanted:
        return cls(
            document["state"],
            document.get("host"),
            document.get("by") or "",
            document.get("why") or "",
            float(document.get("at") or 0.0),
        )

    def to_json(self) -> Dict[str, Any]:
        return {"state": self.state, "host": self.host, "by": self.by, "why": self.why, "at": self.at}


@dataclass(frozen=True)
class Actor:
    """The run that is changing an instance; past its deadline another run may take over."""

    run: str
    deadline: float


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
            actor=Actor(str(actor["run"]), float(actor["deadline"])) if actor else None,
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
        )

    def to_json(self) -> Dict[str, Any]:
        document = {
            "host": self.host,
            "epoch": self.epoch,
            "phase": self.phase,
            "target": self.target,
            "actor": {"run": self.actor.run, "deadline": self.actor.deadline} if self.actor else None,
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
        return document


def _failures(documents: Any) -> Tuple[Failure, ...]:
    return tuple(Failure(float(f[0]), f[1], f[2]) for f in documents or ())


@dataclass(frozen=True)
class HostRecord:
    """What is believed of a host. Only `down` frees claims for a move."""

    state: str = UP
    incarnation: str = ""
    since: float = 0.0
    evidence: str = ""
    by: str = ""
    drain: Optional[Drain] = None

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
        return document


class Records(Mapping[str, Record]):
    """The ledger's records of one kind; each becomes a view when somebody looks at it."""

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
    for kind in KINDS:
        records = dict(state.get(kind) or {})
        for name, record in (changes.get(kind) or {}).items():
            if record is None:
                records.pop(name, None)
            else:
                records[name] = record
        after[kind] = records
    return after


@dataclass(frozen=True)
class Seen:
    """One instance as a host shows it: live processes, or what they left behind."""

    epochs: Tuple[int, ...] = ()  # of the live processes; 0 stands for a process without one
    claim: Optional[int] = None  # the claim file's epoch
    digest: str = ""
    last_epoch: int = 0
    programs: Tuple[str, ...] = ()  # live long-running processes
    deferred: Tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    cpu: float = 0.0  # percent of the node
    memory: float = 0.0
    ended: str = ""  # the program whose end made the host stop all the rest of it

    @property
    def live(self) -> bool:
        return bool(self.programs or self.epochs)

    @property
    def highest(self) -> int:
        return max((self.last_epoch, self.claim or 0) + self.epochs)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Seen:
        programs = tuple(sorted(document.get("programs") or {}))
        epochs = document.get("epochs")
        if epochs is None:
            epochs = [document.get("epoch")] if programs else []
        return cls(
            epochs=tuple(sorted({int(e or 0) for e in epochs})),
            claim=document.get("claim"),
            digest=document.get("digest") or "",
            last_epoch=int(document.get("last_epoch") or 0),
            programs=programs,
            deferred=tuple(document.get("deferred") or ()),
            failed=dict(document.get("failed") or {}),
            cpu=float(document.get("cpu") or 0.0),
            memory=float(document.get("memory") or 0.0),
            ended=str((document.get("ended") or {}).get("program") or ""),
        )


@dataclass(frozen=True)
class Observation:
    """What one host answered, or why it did not."""

    host: str
    answer: str = NOT_ASKED
    why: str = ""
    prepared: bool = False
    site_id: str = ""
    controller: str = ""
    incarnation: str = ""  # empty while the service manager does not run
    service_manager: str = "absent"
    config: str = ""
    drift: Tuple[str, ...] = ()
    foreign: Tuple[str, ...] = ()
    instances: Mapping[str, Seen] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        return self.answer == SEEN

    @classmethod
    def from_json(cls, document: Union[Observation, Mapping[str, Any]]) -> Observation:
        if isinstance(document, Observation):
            return document
        return cls(
            host=document["host"],
            answer=document.get("answer") or NOT_ASKED,
            why=document.get("why") or "",
            prepared=bool(document.get("prepared")),
            site_id=document.get("site_id") or "",
            controller=document.get("controller") or "",
            incarnation=document.get("incarnation") or "",
            service_manager=document.get("service_manager") or "absent",
            config=document.get("config") or "",
            drift=tuple(document.get("drift") or ()),
            foreign=tuple(document.get("foreign") or ()),
            instances={n: Seen.from_json(s) for n, s in (document.get("instances") or {}).items()},
            services=dict(document.get("services") or {}),
            load=dict(document.get("load") or {}),
        )


def observed(documents: Mapping[str, Any], host: str) -> Observation:
    """The observation of a host; one that is missing was not asked."""
    document = documents.get(host)
    if document is None:
        return Observation(host, NOT_ASKED, "%s was not asked in this run" % host)
    return Observation.from_json(document)
