# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the conditions of alarms are read from: a status document, and what is remembered of the one before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Collection, Dict, List, Mapping, NamedTuple, Sequence, Set, Tuple

from ..model.words import DEGRADED, DOWN, OPERATIONAL, RUNNING, STOPPED, SUSPECT

Json = Dict[str, Any]
WELL = (OPERATIONAL, STOPPED)
HOLD_KEY = "hold:storm"
GONE = (DOWN, SUSPECT)  # states of a host under which what it holds is not known
SETTLES = 2.0  # s until a failure counts: where its host lost power or shuts down, that shows a moment later
NOTED = 5.0  # s until what failed is in the ledger
ROUNDED = 0.5  # s by which one moment may differ between two documents
BACK = 60.0  # s after which a host that came back is like any other


class Absence(NamedTuple):
    """That a host was gone, and came back."""

    key: str  # of the alarm about that
    began: float  # s since 1970
    ended: float
    told: bool  # somebody heard of it
    fell: Sequence[str] = ()  # items that failed in it, and its alarm tells of them, see `Picture.fallen`
    own: Sequence[str] = ()  # other items that have had alarms of their own since

    def took(self, at: float, ran: Sequence[float]) -> bool:
        """Whether it explains a failure on the host. A run that was on its way notes it a moment after the host is
        back; an absence of which nobody heard explains nothing that was before it.

        :param ran: when the item began to run: what fails once it runs again is another matter.
        """
        since = self.began - (SETTLES if self.told else 0.0)
        return since <= at < self.ended + NOTED and not any(self.ended <= one < at for one in ran)


@dataclass(frozen=True)
class Condition:
    """Something that is so, and of which a person should know."""

    key: str  # what it is about
    kind: str
    priority: str
    says: str  # one sentence, the decisive word first
    since: float = 0.0  # seconds since 1970; 0: when it is seen
    over: bool = False  # it happened at `since`, and is over
    ended: float = 0.0  # when that was; 0: when it is seen
    past: str = ""  # what is said of it once it is over
    after: float = -1.0  # s that it lasts until it is an alarm; -1: as its kind says
    items: Tuple[str, ...] = ()
    hosts: Tuple[str, ...] = ()
    below: Tuple[Tuple[str, str], ...] = ()  # what follows from it
    detail: str = ""
    ill: Tuple[str, ...] = ()  # items that are not well because of it
    doubled: bool = False  # copies ran where they must not: no reason keeps that quiet
    by_design: str = ""  # why it is none
    reason: str = ""  # the same in a word
    drill: str = ""  # the drill that it belongs to


@dataclass(frozen=True)
class Memory:
    """What is remembered from one document to the next, beside the alarms themselves."""

    begun: bool = False  # a document was looked at before
    charged: Mapping[str, Any] = field(default_factory=dict)  # item, service: -> [when it is known to have failed]
    under: Mapping[str, str] = field(default_factory=dict)  # item that is not well -> key of the alarm of its cause
    members: Mapping[str, List[str]] = field(default_factory=dict)  # key of that alarm -> items it ever had
    held: Mapping[str, List[str]] = field(default_factory=dict)  # item -> hosts of its services when it was well last
    ready: bool = False  # any one server could be lost, at some time since N-1 was lost last
    ill: Mapping[str, float] = field(default_factory=dict)  # item that is not well -> since when
    explained: Mapping[str, List[Any]] = field(default_factory=dict)  # conflict -> key of its host's alarm, since when
    gone: Mapping[str, str] = field(default_factory=dict)  # host that was gone -> the key of the alarm about that
    back: Mapping[str, Absence] = field(default_factory=dict)  # host that came back lately
    ran: Mapping[str, List[float]] = field(default_factory=dict)  # item -> when it began to run, lately
    absent: Mapping[str, List[str]] = field(default_factory=dict)  # key of an alarm -> hosts it was ever about

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Memory:
        return cls(
            bool(document.get("begun")),
            dict(document.get("charged") or {}),
            dict(document.get("under") or {}),
            dict(document.get("members") or {}),
            dict(document.get("held") or {}),
            bool(document.get("ready")),
            {str(item): float(at) for item, at in (document.get("ill") or {}).items()},
            dict(document.get("explained") or {}),
            dict(document.get("gone") or {}),
            {str(host): Absence(str(key), float(began), float(ended), bool(told), *items)
             for host, (key, began, ended, told, *items) in (document.get("back") or {}).items()},
            {str(item): [float(at) for at in times] for item, times in (document.get("ran") or {}).items()},
            {str(key): [str(host) for host in hosts] for key, hosts in (document.get("absent") or {}).items()},
        )  # fmt: skip

    def knows(self, key: str, at: float) -> bool:
        """Whether a failure is known. Its time alone does not tell that it is new: the clock may have been set back."""
        times = self.charged.get(key, [])
        return at in times if isinstance(times, list) else at <= float(times)  # the latest one only, once

    def set_back(self, now: float) -> Memory:
        """The clock was set back: what was so before was so before now."""
        back = {host: one._replace(began=min(one.began, now), ended=min(one.ended, now))
                for host, one in self.back.items()}  # fmt: skip
        ill = {item: min(at, now) for item, at in self.ill.items()}
        return replace(self, ill=ill, back=back, ran={item: [min(at, now) for at in times]
                                                      for item, times in self.ran.items()})  # fmt: skip

    def to_json(self) -> Json:
        return {
            "begun": self.begun, "charged": dict(self.charged), "under": dict(self.under),
            "members": dict(self.members), "held": dict(self.held), "ready": self.ready,
            "ill": dict(self.ill), "explained": dict(self.explained), "gone": dict(self.gone),
            "back": {host: list(one) for host, one in self.back.items()}, "ran": dict(self.ran),
            "absent": dict(self.absent),
        }  # fmt: skip


class Picture:
    """A status document, by item and host."""

    def __init__(
        self, document: Mapping[str, Any], memory: Memory, facts: Mapping[str, Any], since: Mapping[str, float],
        told: Collection[str] = (), apart: Collection[str] = (),
    ) -> None:  # fmt: skip
        """:param since: key of an alarm -> since when its cause has been there. :param told: keys of active alarms.
        :param apart: those of them that were there long before, or that somebody knows: no storm takes them over."""
        self.told, self.apart = told, apart
        self.document, self.memory, self.facts, self.since = document, memory, facts, since
        self.now = float(document["at"])
        self.items: Dict[str, Json] = {item["item"]: item for item in document["items"]}
        self.hosts: Dict[str, Json] = {host["host"]: host for host in document["hosts"]}
        self.servers: Set[str] = set((document.get("readiness") or {}).get("hosts") or {})
        self.gone: List[str] = [name for name, host in self.hosts.items() if host["state"] in GONE]
        self.silent = self._silent()
        self.back = self._back()
        self.absent = self._absent()
        self.of_item: Dict[str, List[Tuple[str, Json]]] = {name: [] for name in self.items}
        for name, entry in document["instances"].items():
            self.of_item.setdefault(entry.get("item") or "", []).append((name, entry))

    def _silent(self) -> Dict[str, str]:
        """Host that is gone -> the key of the alarm about that.

        It is that of the host of its machine that went first, and stays so while any of them is gone.
        """
        first: Dict[str, str] = {}
        for name in self.gone:
            known = self.memory.gone.get(name, HOLD_KEY)
            if known != HOLD_KEY:
                first.setdefault(self.machine(name), known)
        for name in self.gone:
            first.setdefault(self.machine(name), "host:%s" % name)
        storm = bool(self.document["monitor"].get("storm"))
        keys = {name: first[self.machine(name)] for name in self.gone}
        return {name: HOLD_KEY if storm and key not in self.apart else key for name, key in keys.items()}

    def _back(self) -> Dict[str, Absence]:
        """Hosts that came back, now or lately."""
        found = {host: one for host, one in self.memory.back.items()
                 if host in self.hosts and self.now - one.ended < BACK}  # fmt: skip
        for host, key in self.memory.gone.items():
            if host in self.hosts and host not in self.silent:
                found[host] = Absence(key, self.since.get(key, self.now), self.now, key in self.told)
        for host, entry in self.hosts.items() if self.memory.begun else ():
            began, ended = entry.get("away") or (0.0, 0.0)
            known = found[host].ended + ROUNDED if host in found else self.now - BACK
            if host not in self.silent and ended > known:  # it was over before anybody looked
                found[host] = Absence("host:%s" % host, began, ended, False)
        return found

    def took(self, host: str, item: str, at: float) -> bool:
        """Whether the last absence of a host explains that an item failed there."""
        return host in self.back and self.back[host].took(at, self.memory.ran.get(item, ()))

    def _absent(self) -> Dict[str, List[str]]:
        """Key of the alarm about a machine -> its hosts that were gone since that began, the first one first."""
        found = {key: list(hosts) for key, hosts in self.memory.absent.items()}
        for host, key in self.silent.items():
            if key != HOLD_KEY and host not in found.setdefault(key, []):
                found[key].append(host)
        return found

    @cached_property
    def fallen(self) -> Dict[str, List[str]]:
        """Host that was away, too shortly for an alarm -> the items that failed there meanwhile, where that are
        several: their one cause is worth a word then. Who was told of an item by its own alarm knows already."""
        found: Dict[str, List[str]] = {}
        own = {host: self._own(was) for host, was in self.back.items() if not was.told}
        for item in self.items if own else ():
            for host in {str(host) for _n, part in self.of_item[item] for at, host, _why in part.get("charged") or ()
                         if item not in own.get(host, self.items) and self.took(host, item, float(at))}:  # fmt: skip
                found.setdefault(host, []).append(item)
        return {host: items for host, items in found.items() if len(items) > 1}

    def _own(self, was: Absence) -> Set[str]:
        return {*was.own, *(item for item in self.items if "item:%s" % item in self.told and item not in was.fell)}

    def back_later(self) -> Dict[str, Absence]:
        """`back`, as the next document needs it."""
        return {host: was._replace(fell=sorted({*was.fell, *self.fallen.get(host, ())}), own=sorted(self._own(was)))
                for host, was in self.back.items()}  # fmt: skip

    def machine(self, host: str) -> str:
        """What several hosts of one machine have in common."""
        return str(self.hosts.get(host, {}).get("node") or host)

    def well(self, item: str) -> bool:
        return str(self.items[item]["verdict"]) in WELL

    def served(self, item: str) -> bool:
        """Whether it is of use: it runs, perhaps not in full."""
        return str(self.items[item]["verdict"]) in (*WELL, DEGRADED)

    def services(self, item: str) -> List[Tuple[str, Json]]:
        return [(name, entry) for name, entry in self.of_item.get(item, ()) if not entry.get("on_request")]

    def windows(self, item: str) -> List[Tuple[str, Json]]:
        return [(name, entry) for name, entry in self.of_item.get(item, ()) if entry.get("on_request")]

    def holders(self, item: str) -> List[str]:
        """Hosts of what of it should run."""
        decisive = self.services(item) or self.windows(item)
        return [str(entry["host"]) for _unused, entry in decisive if entry.get("host")]

    def ended(self, item: str) -> float:
        """Since when it has been running; 0 when that is not known."""
        return max([float(entry.get("since") or 0.0) for _unused, entry in self.services(item)] or [0.0])

    def running(self, item: str) -> List[float]:
        """Since when its services run, those that do."""
        return [float(entry.get("since") or 0.0) for _n, entry in self.services(item) if entry["phase"] == RUNNING]

    def paused(self, item: str) -> str:
        """That an item is paused, as a sentence; empty when it is not."""
        if not self.items[item].get("paused"):
            return ""
        keys = ("site", "item/%s" % item)
        says = [p["says"] for p in self.document.get("pauses") or () if p["key"] in keys]
        return str(says[0]) if says else "item %s is paused" % item

    @property
    def stopped(self) -> str:
        """That the whole site is stopped, as a sentence."""
        return str((self.document.get("stopped") or {}).get("says") or "")
