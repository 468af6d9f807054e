# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts report, as frozen views, and the documents they are read from.

``from_json`` reads the agents' documents leniently: missing keys get defaults, unknown keys are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

from .text import printable
from .words import NOT_ASKED, SEEN, UNREACHABLE

LEASE = "*lease"  # in place of a program: the lease of the host ended, so it stopped all of it


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
    ended: str = ""  # the program whose end made the host stop all the rest of it; or `LEASE`
    endings: Mapping[str, str] = field(default_factory=dict)  # program -> how it ended, of what does not live any more
    done: Mapping[str, int] = field(default_factory=dict)  # program -> exit code, of what ended as it may
    busy: bool = False  # its host is at work on it

    @property
    def live(self) -> bool:
        """Whether any process of it lives."""
        return bool(self.programs or self.epochs)

    @property
    def present(self) -> Tuple[str, ...]:
        """The programs that nobody misses: those that live, and those that ended as they may."""
        return (*self.programs, *self.done)

    @property
    def highest(self) -> int:
        """The highest epoch that the host knows of it."""
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
            done={str(name): int(code) for name, code in (document.get("done") or {}).items()},
            endings={str(name): printable(how) for name, how in (document.get("endings") or {}).items()},
            busy=bool(document.get("busy")),
        )


@dataclass(frozen=True)
class Attempt:
    """One start that a host made by itself."""

    number: int  # of those granted to it; that of a restart is its epoch
    did: str  # "restart" | "repair"
    at: float  # by the host's clock
    why: str
    result: str = ""  # as of an act; empty where it is not known
    took: float = 0.0

    @property
    def epoch(self) -> int:
        """Its epoch; 0 where it kept that of what ran."""
        return self.number if self.did == "restart" else 0


@dataclass(frozen=True)
class Alone:
    """What a host may do about an instance by itself while no monitor is there, and what it did."""

    until: int  # the last number granted to it
    stands: bool = False  # the lease under which that was granted goes on
    busy: bool = False  # it is starting it now
    attempts: Tuple[Attempt, ...] = ()
    rules: str = ""  # by which rules of a site, see `decide.ahead`; empty where its agent does not say

    @property
    def number(self) -> int:
        """The last one that it used; 0 where it used none."""
        return max([attempt.number for attempt in self.attempts] or [0])

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Alone:
        return cls(
            int(document.get("until") or 0),
            bool(document.get("stands")),
            bool(document.get("busy")),
            tuple(
                Attempt(
                    int(one.get("number") or 0), str(one.get("did") or ""), float(one.get("at") or 0.0),
                    printable(one.get("why") or ""), str(one.get("result") or ""), float(one.get("took") or 0.0),
                )
                for one in document.get("attempts") or ()
            ),
            str(document.get("rules") or ""),
        )  # fmt: skip


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
    lease_held: bool = False
    alone: Optional[Mapping[str, Alone]] = None  # None: it never helps itself
    at: float = 0.0  # when the host said so; 0: in this run
    lease_lost: bool = False  # it held a lease and holds none now, so nothing can start there

    @property
    def seen(self) -> bool:
        """Whether the host answered."""
        return self.answer == SEEN

    @property
    def disk_full(self) -> bool:
        """Whether nothing can be written below its folder, so that nothing can start."""
        return is_full(self.load)

    @property
    def boot(self) -> str:
        """The kernel's boot id; empty when the document has none."""
        return str(self.load.get("boot") or self.incarnation.partition("/")[0])

    @classmethod
    def from_json(cls, document: Union[Observation, Mapping[str, Any]]) -> Observation:
        """Read a document. One that does not fit is read as that of a host that did not answer, with what is wrong: the
        documents of other versions and of other programs come here without the check of `answers`."""
        if isinstance(document, Observation):
            return document
        try:
            return cls._read(document)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            host = document.get("host") if isinstance(document, Mapping) else ""
            return cls(printable(host or ""), UNREACHABLE, "answers nonsense: %s" % printable(error))

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> Observation:
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
            lease_held=bool((document.get("lease") or {}).get("held")),
            alone={str(n): Alone.from_json(a) for n, a in document["alone"].items()}
            if document.get("alone") is not None
            else None,
            at=float(document.get("at") or 0.0),
            lease_lost=bool((document.get("lease") or {}).get("lost")),
        )


def is_full(load: Mapping[str, Any]) -> bool:
    """:param load: of an observation; ``free_disk`` is in whole MiB."""
    free = load.get("free_disk")
    return isinstance(free, (int, float)) and free < 1


def unseen(host: str, answer: str, why: str) -> Dict[str, Any]:
    """The observation document of a host that said nothing.

    :param answer: NOT_ASKED or UNREACHABLE.
    :param why: a sentence.
    """
    return {"host": host, "answer": answer, "why": why}


def seen_running(host: str, incarnation: str, instances: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """The observation document of a prepared host whose service manager runs.

    :param incarnation: of the service manager; empty when it is not known.
    :param instances: name -> `instance_seen`.
    """
    return {
        "host": host,
        "answer": SEEN,
        "prepared": True,
        "incarnation": incarnation,
        "service_manager": "running",
        "instances": dict(instances or {}),
        "load": {},
    }


def instance_seen(
    epoch: int,
    programs: Iterable[str],
    digest: str = "",
    deferred: Iterable[str] = (),
    failed: Optional[Mapping[str, str]] = None,
) -> Dict[str, Any]:
    """The part of an observation document about one instance all of whose processes run under one epoch.

    :param programs: names of those that live.
    :param failed: program -> why it did not start.
    """
    return {
        "epoch": epoch,
        "epochs": [epoch],
        "claim": epoch,
        "last_epoch": epoch,
        "digest": digest,
        "programs": {program: {} for program in programs},
        "deferred": list(deferred),
        "failed": dict(failed or {}),
    }


def observed(documents: Mapping[str, Any], host: str) -> Observation:
    """The observation of a host; one that is missing was not asked."""
    document = documents.get(host)
    if document is None:
        return Observation(host, NOT_ASKED, "%s was not asked in this run" % host)
    return Observation.from_json(document)
