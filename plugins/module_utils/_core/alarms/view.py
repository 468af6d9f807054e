# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of alarms that command line, page and machines read: the newest that nobody has acknowledged on top."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ..model.alarm import (
    DRILL,
    HIGH,
    KINDS,
    PRIORITIES,
    STATES,
    SUPPRESSED,
    UNACKNOWLEDGED,
    WENT,
    Alarm,
)
from ..model.drill import drill_label, drill_says
from ..model.sentences import clock, duration, listing, times
from .life import Marks, Standing, chatters, state_of
from .rates import rates

SCHEMA = 1
SILENT = "monitor:silent"
SHOWN = 12  # of what is below an alarm, in text
LOUD = (UNACKNOWLEDGED, WENT)  # states that a person has not answered to

Json = Dict[str, Any]


def alarm_document(known: Mapping[str, Any], marks: Marks, now: float, silent: str = "") -> Json:
    """{schema, at, alarms, counts, rates, shelves, drills}.

    An alarm is {id, kind, about, priority, state, says, do, detail, items, hosts, below, raised, cleared, often,
    chattering, acknowledged, shelved, suppressed, reason, drill}.

    :param known: what `judge.judged` returned last.
    :param silent: why nobody watches, a sentence; nothing that is known here is of now then.
    """
    standing = Standing.from_json(known)
    alarms = [_entry(alarm, marks, now) for alarm in standing.alarms.values()]
    if silent:
        kind, since = KINDS["monitor"], float(known.get("at") or 0.0)
        gone = Alarm(SILENT, "monitor", HIGH, silent, kind.do, raised=since, noticed=since, first=since)
        alarms.append(_entry(gone, marks, now))
    alarms.sort(key=_order)
    counts = {state: sum(1 for alarm in alarms if alarm["state"] == state) for state in STATES}
    stand = [alarm for alarm in alarms if alarm["state"] != SUPPRESSED and alarm["cleared"] is None]
    often = sum(1 for alarm in alarms if alarm["chattering"])
    return {
        "schema": SCHEMA,
        "at": now,
        "looked": float(known.get("at") or 0.0),
        "alarms": alarms,
        "counts": counts,
        "rates": rates(standing.raised, len(stand), often, now, float(known.get("began") or now)),
        "shelves": [dict(shelf, about=about) for about, shelf in sorted(marks.shelves.items())
                    if float(shelf.get("until") or 0.0) > now],
        "drills": [dict(drill, about=about, label=drill_label(about), says=drill_says(about, drill, now))
                   for about, drill in sorted(marks.drills.items()) if float(drill.get("until") or 0.0) > now],
    }  # fmt: skip


def _entry(alarm: Alarm, marks: Marks, now: float) -> Json:
    kind = KINDS.get(alarm.kind)
    return {
        "id": alarm.key, "kind": alarm.kind, "about": kind.about if kind else alarm.kind, "priority": alarm.priority,
        "state": state_of(alarm, marks, now), "says": alarm.says, "do": alarm.do, "detail": alarm.detail,
        "items": list(alarm.items), "hosts": list(alarm.hosts), "below": [list(entry) for entry in alarm.below],
        "raised": alarm.raised, "cleared": alarm.cleared, "often": alarm.often, "first": alarm.first,
        "chattering": chatters(alarm, now), "acknowledged": alarm.acknowledged,
        "shelved": marks.shelf(alarm, now) or None, "suppressed": alarm.suppressed,
        "reason": alarm.reason, "drill": alarm.drill,
    }  # fmt: skip


def _order(alarm: Mapping[str, Any]) -> Any:
    """What nobody has acknowledged first, by priority, the newest on top; then the rest in the same manner."""
    state = alarm["state"]
    group = 0 if state in LOUD else 1 + STATES.index(state)
    return (group, PRIORITIES.index(alarm["priority"]), -float(alarm["raised"]), alarm["id"])


def lines(document: Mapping[str, Any], now: float, all_of_it: bool = False) -> List[str]:
    """The list as text.

    :param all_of_it: also those that are suppressed by design, and everything below each.
    """
    text: List[str] = []
    for alarm in document["alarms"]:
        if alarm["state"] != SUPPRESSED or (all_of_it and alarm["reason"] != DRILL):
            text += _lines(alarm, now, all_of_it)
    if not text:
        text.append("no alarms")
    for drill in document["drills"]:
        text.append(drill["says"])
        text += ["  " + line for alarm in document["alarms"] if alarm["drill"] == drill["about"]
                 for line in _lines(alarm, now, all_of_it)] or ["  no alarms yet"]  # fmt: skip
    hidden = sum(1 for a in document["alarms"] if a["state"] == SUPPRESSED and a["reason"] != DRILL)
    if hidden and not all_of_it:
        text.append("%d suppressed by design: --all shows them" % hidden)
    for shelf in document["shelves"]:
        why = " (%s)" % shelf["why"] if shelf.get("why") else ""
        text.append("shelf: %s until %s, by %s%s" % (shelf["about"], clock(shelf["until"], now), shelf["by"], why))
    return text


def _lines(alarm: Mapping[str, Any], now: float, all_of_it: bool) -> List[str]:
    head = "%-6s  %s  %s  [%s]" % (
        alarm["priority"], clock(alarm["raised"], now, seconds=True), alarm["says"], alarm["id"])
    text = [head, "        " + ", ".join(_facts(alarm, now))]
    below = alarm["below"]
    most = len(below) if all_of_it else SHOWN
    text += ["          %s: %s" % (what, says) for what, says in below[:most]]
    if len(below) > most:
        text.append("          and %d more: --all shows them" % (len(below) - most))
    if alarm["state"] in LOUD and alarm["do"]:
        text.append("        to do: %s" % alarm["do"])
    if all_of_it and alarm["detail"]:
        text.append("        why: %s" % alarm["detail"])
    return text


def _facts(alarm: Mapping[str, Any], now: float) -> List[str]:
    words = [str(alarm["state"])]
    if alarm["cleared"] is not None:
        words[0] += ", it lasted %s" % duration(round(max(0.0, alarm["cleared"] - alarm["raised"])))
    if alarm["acknowledged"]:
        seen = alarm["acknowledged"]
        why = ": %s" % seen["why"] if seen.get("why") else ""
        words.append("acknowledged by %s at %s%s" % (seen.get("by") or "?", clock(seen["at"], now), why))
    if alarm["shelved"]:
        words.append("until %s, by %s" % (clock(alarm["shelved"]["until"], now), alarm["shelved"]["by"]))
    if alarm["suppressed"] and alarm["reason"] != DRILL:
        words.append(str(alarm["suppressed"]))
    if alarm["often"] > 1:
        words.append("%s since %s" % (times(alarm["often"]), clock(alarm["first"], now)))
    if alarm["chattering"]:
        words.append("it chatters")
    return words


def rate_lines(document: Mapping[str, Any]) -> List[str]:
    """What the alarms ask of people, beside EEMUA 191."""
    labels = {"lately": "in the last 10 min", "average": "in 10 min on average, of a day", "peak": "in the worst 10",
              "standing": "standing", "chattering": "chattering"}  # fmt: skip
    lines = []
    for name, label in labels.items():
        figure = document["rates"][name]
        verdict = "" if figure["ok"] else ", so too many"
        lines.append("%-32s %6g   (EEMUA 191: at most %g%s)" % (label, figure["value"], figure["limit"], verdict))
    return lines


def summary(document: Mapping[str, Any]) -> str:
    """One line for a status: how many of which priority nobody has acknowledged; empty when there is none."""
    loud = [alarm for alarm in document["alarms"] if alarm["state"] in LOUD]
    parts = ["%d %s" % (count, priority) for priority in PRIORITIES
             for count in [sum(1 for alarm in loud if alarm["priority"] == priority)] if count]  # fmt: skip
    return "alarms that nobody has acknowledged: %s (muster alarms)" % listing(parts) if parts else ""
