# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of alarms, after ISA-18.2: raised, acknowledged, came and went, shelved, suppressed by design.

An alarm that came and went stays until somebody acknowledges it. One that is acknowledged stays while it lasts. A
shelved one is heard of again at a moment that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..model.alarm import (
    ACKNOWLEDGED,
    DRILL,
    MARK,
    OVER,
    PRIORITIES,
    SHELF,
    SHELVED,
    SUPPRESSED,
    UNACKNOWLEDGED,
    WENT,
    Alarm,
    Rule,
    alarm_from_json,
    worse,
)
from .picture import Condition
from .rules import ruled

Json = Dict[str, Any]
OFTEN = 3  # occurrences within `WINDOW` that make an alarm chatter
WINDOW = 600.0  # s
CALM = 60.0  # s without its cause until an alarm that chatters counts as over
FOLDED = 120.0  # s: alarms of items that are so young go under that of the host which explains them
BEFORE = 1.0  # s
KEPT = 2000  # moments at which alarms were raised


@dataclass
class Standing:
    """All alarms, and what is about to become one."""

    alarms: Dict[str, Alarm] = field(default_factory=dict)
    nascent: Dict[str, float] = field(default_factory=dict)  # key -> since when its condition has been there
    calm: Dict[str, float] = field(default_factory=dict)  # key of one that chatters -> since when its cause is gone
    states: Dict[str, Tuple[str, float]] = field(default_factory=dict)  # key -> state, since when
    raised: List[float] = field(default_factory=list)
    heard: Dict[str, Tuple[float, float]] = field(default_factory=dict)  # key -> when its mark was made, and heard of

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Standing:
        return cls(
            {key: alarm_from_json(alarm) for key, alarm in (document.get("alarms") or {}).items()},
            dict(document.get("nascent") or {}),
            dict(document.get("calm") or {}),
            {key: (str(s[0]), float(s[1])) for key, s in (document.get("states") or {}).items()},
            [float(at) for at in document.get("raised") or ()],
            {key: (float(made), float(at)) for key, (made, at) in (document.get("heard") or {}).items()},
        )

    def to_json(self) -> Json:
        return {
            "alarms": {key: alarm._asdict() for key, alarm in self.alarms.items()}, "nascent": self.nascent,
            "calm": self.calm, "states": {key: list(state) for key, state in self.states.items()},
            "raised": self.raised, "heard": {key: list(times) for key, times in self.heard.items()},
        }  # fmt: skip

    def set_back(self, now: float) -> None:
        """The clock was set back: what is known was so before now, and what people said was said before now."""
        self.nascent = {key: min(at, now) for key, at in self.nascent.items()}
        self.calm = {key: min(at, now) for key, at in self.calm.items()}
        self.states = {key: (state, min(at, now)) for key, (state, at) in self.states.items()}
        self.raised = [min(at, now) for at in self.raised]
        self.heard = {key: (made, min(at, now - BEFORE)) for key, (made, at) in self.heard.items()}
        for key, alarm in self.alarms.items():  # noticed after what people said, and not only now
            self.alarms[key] = alarm._replace(
                raised=min(alarm.raised, now), noticed=min(alarm.noticed, now - BEFORE / 2),
                first=min(alarm.first, now), cleared=None if alarm.cleared is None else min(alarm.cleared, now),
                times=tuple(min(at, now) for at in alarm.times),
            )  # fmt: skip

    def hear(self, marks: Mapping[str, Json], now: float) -> None:
        """Take note of when somebody acknowledged: never later than that was heard of, whatever the clock did since."""
        self.heard = {
            key: self.heard[key] if self.heard.get(key, (None,))[0] == made else (made, min(made, now))
            for key, made in ((key, float(mark.get("at") or 0.0)) for key, mark in marks.items())
        }  # fmt: skip

    def known_at(self, key: str) -> float:
        """When somebody acknowledged it last; 0 when nobody did."""
        return self.heard[key][1] if key in self.heard else 0.0


@dataclass(frozen=True)
class Marks:
    """What people said about alarms, from the ledger's notices."""

    acknowledged: Mapping[str, Json] = field(default_factory=dict)  # key -> {by, why, at}
    shelves: Mapping[str, Json] = field(default_factory=dict)  # key, item:ID or kind -> {by, why, at, until}
    drills: Mapping[str, Json] = field(default_factory=dict)  # item:ID or host:NAME -> {by, why, at, until}

    @classmethod
    def of(cls, notices: Iterable[Mapping[str, Any]]) -> Marks:
        """:param notices: those of the ledger, or ``marks`` of a status document."""
        known = list(notices)
        return cls(*({str(n["about"]): dict(n) for n in known if n.get("what") == what}
                     for what in (MARK, SHELF, DRILL)))  # fmt: skip

    def lapse(self, now: float) -> bool:
        """Whether a shelf or a drill ends at a moment to come."""
        return any(float(m.get("until") or 0.0) > now for m in (*self.shelves.values(), *self.drills.values()))

    def drilled(self, alarm: Alarm, now: float) -> bool:
        """Whether the drill goes on that an alarm belongs to."""
        return bool(alarm.drill) and float(self.drills.get(alarm.drill, {}).get("until") or 0.0) > now

    def shelf(self, alarm: Alarm, now: float) -> Json:
        """That an alarm is shelved; empty when it is not."""
        for about in (alarm.key, alarm.kind, *("item:%s" % item for item in alarm.items[:1] if len(alarm.items) == 1)):
            found = self.shelves.get(about)
            if found is not None and float(found.get("until") or 0.0) > now:
                return dict(found)
        return {}


def state_of(alarm: Alarm, marks: Marks, now: float) -> str:
    if alarm.suppressed:
        return SUPPRESSED
    if marks.shelf(alarm, now):
        return SHELVED
    if alarm.acknowledged:
        return ACKNOWLEDGED
    return UNACKNOWLEDGED if alarm.active else WENT


def chatters(alarm: Alarm, now: float) -> bool:
    """Whether it comes again and again."""
    return sum(1 for at in alarm.times if at > now - WINDOW) >= OFTEN


def step(
    standing: Standing, conditions: Iterable[Condition], marks: Marks, rules: Sequence[Rule], now: float,
    ending: Callable[[Alarm], str] = lambda alarm: alarm.past or alarm.says,
) -> List[Json]:  # fmt: skip
    """Take in the conditions of one moment; `standing` is changed.

    :param ending: what is said of an alarm whose cause is gone.
    :return: every change of state: {at, subject, before, after, why, lasted, kind, priority, items}.
    """
    present, there = set(), dict(standing.alarms)
    standing.hear(marks.acknowledged, now)
    for written in conditions:
        condition, do = ruled(written, rules, now)
        present.add(condition.key)
        _take(standing, condition, do, now)
    for key in [key for key in standing.nascent if key not in present]:
        del standing.nascent[key]
    for key, alarm in list(standing.alarms.items()):
        if key not in present and alarm.active:
            _gone(standing, alarm, ending, now)
        elif key in present:
            standing.calm.pop(key, None)
    folded = _fold(standing, now)
    for key, alarm in list(standing.alarms.items()):
        mark = marks.acknowledged.get(key)
        if mark and not alarm.acknowledged and standing.known_at(key) >= alarm.noticed:
            alarm = alarm._replace(acknowledged=dict(mark), often=1, first=alarm.raised, owed=None)
            standing.alarms[key] = alarm
        if not alarm.active and (alarm.acknowledged or (alarm.suppressed and not marks.drilled(alarm, now))):
            there[key] = alarm
            del standing.alarms[key]
            if alarm.owed:
                standing.alarms[key] = alarm_from_json(alarm.owed)
    standing.raised = [at for at in standing.raised if at > now - 86400][-KEPT:]
    return _changes(standing, marks, folded, there, now)


def _take(standing: Standing, condition: Condition, do: str, now: float) -> None:
    key = condition.key
    known = before = standing.alarms.get(key)
    at = min(condition.since, now)  # other clocks may be ahead, and this one may have been set back
    alarm = Alarm(
        key, condition.kind, condition.priority, condition.says, do, condition.detail, condition.past,
        condition.items, condition.hosts, condition.below, suppressed=condition.by_design,
        reason=condition.reason, drill=condition.drill, stamp=condition.since,
    )  # fmt: skip
    if condition.over:
        standing.nascent.pop(key, None)  # what has this key next is not there yet
        if known is None and standing.known_at(key) >= condition.since:
            return
        if known is None or _again(standing, known, condition):
            known = _raise(standing, alarm, known, at, now)
        cleared = None if chatters(known, now) else known.cleared or condition.ended or now
        standing.alarms[key] = _owing(before, _updated(known, alarm, now)._replace(cleared=cleared), now)
        return
    began = standing.nascent.setdefault(key, at or now)
    if known is None or not known.active:
        if now - began < condition.after:
            return
        standing.alarms[key] = _owing(before, _raise(standing, alarm, known, began, now), now)
        return
    again = _again(standing, known, condition)
    if again or (known.suppressed and not alarm.suppressed):
        known = _raise(standing, alarm, known, at if again else now, now)
    standing.alarms[key] = _owing(before, _updated(known, alarm, now), now)


def _owing(before: Optional[Alarm], alarm: Alarm, now: float) -> Alarm:
    """One that is suppressed keeps what was there before and nobody had acknowledged."""
    owed = before.owed if before is not None and before.suppressed else None
    if before is not None and not before.suppressed and not before.acknowledged:
        over = before if before.cleared is not None else before._replace(cleared=now, says=before.past or before.says)
        owed = over._asdict()
    return alarm._replace(owed=owed if alarm.suppressed else None)


def _again(standing: Standing, known: Alarm, condition: Condition) -> bool:
    """Whether it happened again: what fails once more before it is well is the same trouble still."""
    if known.active and known.key not in standing.calm:
        return False
    return condition.since != known.stamp and condition.since > max(known.raised, known.cleared or 0.0)


def _raise(standing: Standing, alarm: Alarm, known: Any, raised: float, now: float) -> Alarm:
    """A new occurrence. Of one that chatters a person knows already, who has acknowledged it."""
    times, count, first = (), 0, raised  # type: Tuple[float, ...], int, float
    if known is not None and not known.suppressed:
        times, count, first = known.times, known.often, known.first
        if chatters(known, now):
            alarm = alarm._replace(acknowledged=known.acknowledged)
    if not alarm.suppressed:
        standing.raised.append(now)
    times = tuple(at for at in times if at > now - WINDOW) + (raised,)
    return alarm._replace(raised=raised, noticed=now, first=first, often=count + 1, times=times[-20:])


def _updated(known: Alarm, alarm: Alarm, now: float) -> Alarm:
    """What is said of it now. When it has become more urgent than it ever was, it wants to be acknowledged again."""
    graver = PRIORITIES.index(alarm.priority) < PRIORITIES.index(known.priority)
    return known._replace(
        stamp=alarm.stamp, kind=alarm.kind, says=alarm.says, do=alarm.do, detail=alarm.detail,
        items=alarm.items, hosts=alarm.hosts,
        below=alarm.below, suppressed=alarm.suppressed, reason=alarm.reason, drill=alarm.drill, past=alarm.past,
        priority=worse(known.priority, alarm.priority), noticed=now if graver else known.noticed,
        acknowledged=None if graver else known.acknowledged,
    )  # fmt: skip


def _gone(standing: Standing, alarm: Alarm, ending: Callable[[Alarm], str], now: float) -> None:
    """Its cause is not there any more."""
    if chatters(alarm, now):
        since = standing.calm.setdefault(alarm.key, now)
        if now - since < CALM:
            return
    standing.calm.pop(alarm.key, None)
    standing.alarms[alarm.key] = alarm._replace(cleared=now, says=ending(alarm))


def _fold(standing: Standing, now: float) -> Dict[str, str]:
    """Young alarms of items go under that of the host which explains them. :return: key -> key of that alarm."""
    folded: Dict[str, str] = {}
    for key, alarm in standing.alarms.items():
        if alarm.kind not in ("host", "hold") or not alarm.active:
            continue
        for item in alarm.items:
            own = standing.alarms.get("item:%s" % item)
            if own is not None and alarm.suppressed and not own.suppressed:
                continue  # it is over for now, and stays until somebody acknowledges it
            if own is not None and own.raised > alarm.raised - FOLDED and not own.acknowledged:
                folded[own.key] = key
        if alarm.kind == "hold":
            for host in alarm.hosts:
                its = standing.alarms.get("host:%s" % host)
                if its is not None and its.raised > alarm.raised - FOLDED and not its.acknowledged:
                    folded[its.key] = key
    for key in folded:
        del standing.alarms[key]
    return folded


def _changes(
    standing: Standing, marks: Marks, folded: Mapping[str, str], there: Mapping[str, Alarm], now: float
) -> List[Json]:
    """:param folded: key -> key of the alarm that it went under. :param there: what alarms were before they ended."""
    found: List[Json] = []
    before, after = standing.states, {}  # type: Mapping[str, Tuple[str, float]], Dict[str, Tuple[str, float]]
    for key, alarm in standing.alarms.items():
        state = state_of(alarm, marks, now)
        known = before.get(key)
        after[key] = known if known and known[0] == state else (state, now)
        again = known and known[0] == state and state in (UNACKNOWLEDGED, WENT) and alarm.noticed == now
        if not known or known[0] != state or again:
            found.append(_change(key, known, state, alarm, now))
    for key, known in before.items():
        if key not in standing.alarms:
            to = "under %s" % folded[key] if key in folded else OVER
            found.append({"at": now, "subject": key, "before": known[0], "after": to, "why": "",
                          "lasted": round(now - known[1], 1), **_about(there.get(key), known[0])})  # fmt: skip
    standing.states = after
    return found


def _about(alarm: Optional[Alarm], before: str) -> Json:
    """What an alarm that is over was about, and who ended it by taking note of it."""
    if alarm is None:
        return {}
    who = (alarm.acknowledged or {}).get("by") if before != ACKNOWLEDGED else ""
    return {"items": list(alarm.items), "hosts": list(alarm.hosts), **({"who": who} if who else {})}


def _change(key: str, known: Any, state: str, alarm: Alarm, now: float) -> Json:
    who = (alarm.acknowledged or {}).get("by") if state == ACKNOWLEDGED else ""
    return {
        "at": now, "subject": key, "before": known[0] if known else "", "after": state, "why": alarm.says,
        "lasted": round(now - known[1], 1) if known else 0.0, "kind": alarm.kind, "priority": alarm.priority,
        "items": list(alarm.items), "hosts": list(alarm.hosts), **({"who": who} if who else {}),
    }  # fmt: skip
