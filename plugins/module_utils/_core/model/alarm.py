# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms: their kinds and priorities, one alarm as a record, the rules of a site.

Named tuples where every command imports them: importing `dataclasses` takes 12 ms.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

Json = Dict[str, Any]

HIGH, MEDIUM, LOW = PRIORITIES = ("high", "medium", "low")  # the most urgent first

# States of an alarm, as people read them.
UNACKNOWLEDGED = "unacknowledged"  # it is there, and nobody has taken note of it
ACKNOWLEDGED = "acknowledged"  # it is there, and somebody knows
WENT = "came and went"  # it is over, and nobody has taken note of it
SHELVED = "shelved"  # a person does not want to hear of it until a moment
SUPPRESSED = "suppressed"  # by design, for one of `REASONS`
STATES = (UNACKNOWLEDGED, WENT, ACKNOWLEDGED, SHELVED, SUPPRESSED)
OVER = "over"  # in the past: it is over, and acknowledged

# What its record among the ledger's notices is.
MARK = "alarm"  # somebody has acknowledged it
SHELF = "shelf"  # somebody has shelved it
DRILL = "drill"  # somebody has said that what fails there is a drill
MARKS = (MARK, SHELF, DRILL)

# Why an alarm is suppressed by design; `alarms.reasons` says when each applies.
PAUSED, DRAINED, STOPPED_SITE, RULE = "paused", "drained", "site stopped", "rule"
REASONS = (STOPPED_SITE, PAUSED, DRAINED, DRILL, RULE)


class Kind(NamedTuple):
    """A kind of alarm."""

    name: str
    about: str  # a phrase
    do: str  # what a person does about it, where the site says nothing else
    after: float = 0.0  # s that it lasts until it is an alarm


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("item", "an item is not as it should be", "Look at its panel or muster why; restart it if its programs do"
             " not come back.", 3.0),
        Kind("bus", "a data bus crashed or hangs", "If it runs again, nothing. If it comes again, look at the bus's"
             " log and the host's load."),
        Kind("no-room", "no host has room for an item", "Free a host: end a drain, repair what is down, or stop an item"
             " that matters less.", 3.0),
        Kind("quarantine", "an item failed too often and stays down", "Find the cause with muster why, mend it, then"
             " muster start."),
        Kind("host", "a host is down", "Look at the machine: power, network, service manager. What ran there starts"
             " elsewhere by itself; windows are opened again by hand."),
        Kind("n-1", "the loss of one more server would leave an item without a host", "Repair what is down, or end a"
             " drain, before you take another server away.", 30.0),
        Kind("conflict", "an instance runs where it must not", "If it is still there, decide which copy stays: muster"
             " resolve."),
        Kind("drift", "something was changed past muster", "Deploy puts it right; or write the change into the site."),
        Kind("service", "a host service, such as the common bus, does not answer", "Look at its log on that host; a"
             " reconcile starts it again.", 10.0),
        Kind("pending", "a configuration waits too long to be taken", "Close the window, or muster restart --pending."),
        Kind("rollout", "a rollout stopped", "Look at what failed; then muster rollout resume, revert or abort."),
        Kind("hold", "most servers fell silent together, and nothing is concluded", "Check the controller's network"
             " first. If the servers are really down, muster host confirm-down each."),
        Kind("monitor", "the monitor cannot do its work", "Its log says why. Nothing is restarted by itself"
             " meanwhile."),
        Kind("exclusion", "a silent host cannot be shut out", "Switch the host off by hand, then muster host"
             " confirm-down.", 60.0),
        Kind("disk", "a disk is nearly full", "Make room: old logs, artefacts, core dumps."),
        Kind("key", "a key or certificate is near its end", "Replace it before that day."),
    )
}  # fmt: skip


class Rule(NamedTuple):
    """A rule of the site: which alarms it is about, and what holds for these. Empty fields say nothing."""

    kinds: Tuple[str, ...] = ()
    items: Tuple[str, ...] = ()  # ids and patterns
    hosts: Tuple[str, ...] = ()  # names and patterns
    between: str = ""  # 22:00-06:00
    priority: str = ""
    do: str = ""
    after: float = -1.0
    off: bool = False


def rule_from_json(document: Any) -> Rule:
    """:param document: a mapping, or the list that JSON makes of a named tuple."""
    known = document if isinstance(document, Mapping) else dict(zip(Rule._fields, document))
    lists = {name: tuple(known.get(name) or ()) for name in ("kinds", "items", "hosts")}
    return Rule(**{**{name: known[name] for name in Rule._fields if name in known}, **lists})


class Alarm(NamedTuple):
    """One alarm, from its first cause until it is over and acknowledged. Times are seconds since 1970."""

    key: str  # what it is about: item:02, host:server_2
    kind: str
    priority: str  # the highest of this occurrence
    says: str  # one sentence, the decisive word first
    do: str = ""
    detail: str = ""
    past: str = ""  # what is said of it once it is over
    items: Tuple[str, ...] = ()
    hosts: Tuple[str, ...] = ()
    below: Tuple[Tuple[str, str], ...] = ()  # what follows from the same cause: (item or host, its sentence)
    raised: float = 0.0  # this occurrence
    stamp: float = 0.0  # when its cause began, by its own clock: with the same one it is no other occurrence
    noticed: float = 0.0  # when that was seen: only who acknowledges it later can mean it
    first: float = 0.0  # the first one that nobody has acknowledged
    cleared: Optional[float] = None  # None while it lasts
    often: int = 1  # occurrences since `first`
    times: Tuple[float, ...] = ()  # of the latest occurrences
    acknowledged: Optional[Json] = None  # {by, why, at}
    suppressed: str = ""  # why
    reason: str = ""  # the same in a word, one of `REASONS`
    drill: str = ""  # what the drill is about that suppresses it: host:server_2
    owed: Optional[Json] = None  # what nobody had acknowledged when it was suppressed: it is there again afterwards

    @property
    def active(self) -> bool:
        return self.cleared is None


def alarm_from_json(document: Mapping[str, Any]) -> Alarm:
    known = {name: document[name] for name in Alarm._fields if name in document}
    for name in ("items", "hosts", "times"):
        known[name] = tuple(known.get(name) or ())
    known["below"] = tuple((str(what), str(says)) for what, says in known.get("below") or ())
    return Alarm(**known)


def worse(first: str, second: str) -> str:
    """The more urgent of two priorities."""
    return min(first, second, key=PRIORITIES.index)
