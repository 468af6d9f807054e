# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one shift tells the next: what is not normal, who holds what back until when, what changed, notes."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping

from ..model.alarm import DRILL, SUPPRESSED
from ..model.sentences import clock, span
from ..model.words import MONITOR, MUSTER

NOTE = "note"  # the result of a note's entry in the trail
MOST = 60  # requests of people that are listed

Json = Dict[str, Any]


def handover(
    document: Mapping[str, Any], alarms: Mapping[str, Any], availability: Iterable[Mapping[str, Any]],
    trail: Iterable[Mapping[str, Any]], since: float,
) -> Json:  # fmt: skip
    """{site, since, at, items, hosts, alarms, drills, held, outages, requests, notes}, each a list but the first three.

    :param availability: rows of that time. :param trail: entries since then, the oldest first.
    """
    now, entries = float(document["at"]), list(trail)
    held = [says for says in [(document.get("stopped") or {}).get("says")] if says]
    held += [str(pause["says"]) for pause in document.get("pauses") or ()]
    held += [str(move["says"]) for move in document.get("moves") or ()]
    for host in document["hosts"]:
        drain = host.get("drain")
        if drain:
            until = " until %s" % clock(drain["until"], now) if drain.get("until") else ""
            why = " (%s)" % drain["why"] if drain.get("why") else ""
            held.append("%s is drained by %s%s%s" % (host["host"], drain.get("by") or "?", until, why))
    for shelf in alarms["shelves"]:
        why = " (%s)" % shelf["why"] if shelf.get("why") else ""
        held.append("alarms about %s are shelved by %s until %s%s" % (
            shelf["about"], shelf["by"], clock(shelf["until"], now), why))  # fmt: skip
    held += [str(drill["says"]) for drill in alarms["drills"]]
    held += _programs(document["instances"])
    people = [entry for entry in entries if entry.get("who") not in (MONITOR, MUSTER, "", None)]
    asked = [entry for entry in people if entry.get("result") != NOTE and not _begins(entry)]
    return {
        "site": document["site"],
        "since": since,
        "at": now,
        "items": [{key: item.get(key) for key in ("item", "word", "cause", "since")} for item in document["items"]
                  if item["verdict"] != "operational"],
        "hosts": [{"host": h["host"], "state": h["state"], "evidence": h["evidence"]} for h in document["hosts"]
                  if h["state"] != "up"],
        "alarms": [alarm for alarm in alarms["alarms"] if alarm["state"] != SUPPRESSED],
        "drills": [alarm for alarm in alarms["alarms"] if alarm["reason"] == DRILL],
        "held": held,
        "outages": [{key: row[key] for key in ("item", "outages", "out", "longest", "available")}
                    for row in availability if row["outages"]],
        "requests": [_said(entry) for entry in _bounded(asked)],
        "notes": [_said(entry) for entry in entries if entry.get("result") == NOTE],
    }  # fmt: skip


def _programs(instances: Mapping[str, Mapping[str, Any]]) -> List[str]:
    """What people stopped of an instance, or gave to a program of it: the item runs without that, or with it."""
    found = []
    for name, entry in instances.items():
        stopped = (entry.get("wanted") or {}).get("without") or {}
        found += ["%s of %s %s" % (program, name, how) for program, how in sorted(stopped.items())]
        found += ["%s of %s runs with %s" % (program, name, what)
                  for program, what in sorted((entry.get("given") or {}).items())]  # fmt: skip
    return found


def _bounded(asked: List[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """The latest requests, and how many came before them."""
    if len(asked) <= MOST:
        return asked
    before, kept = asked[: -MOST + 1], asked[-MOST + 1 :]
    return [{"at": before[-1]["at"], "what": "%d more before: muster events shows them" % len(before)}, *kept]


def _begins(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("what") or "").startswith("run ")


def _said(entry: Mapping[str, Any]) -> Json:
    return {"at": entry["at"], "who": entry.get("who") or "", "what": entry.get("what") or "",
            "why": entry.get("why") or "", "result": entry.get("result") or ""}  # fmt: skip


def lines(document: Mapping[str, Any]) -> List[str]:
    """The same as text."""
    now = float(document["at"])
    text = ["hand-over of %s, %s to %s" % (
        document["site"], clock(document["since"], now), clock(now, now))]  # fmt: skip
    text += _part("not normal", ["item %s: %s%s" % (i["item"], i["word"], ": " + i["cause"] if i["cause"] else "")
                                 for i in document["items"]]
                  + ["%s: %s %s" % (h["host"], h["state"], h["evidence"]) for h in document["hosts"]])  # fmt: skip
    text += _part("alarms", ["%s %s %s (%s)" % (a["priority"], clock(a["raised"], now), a["says"], a["state"])
                             for a in document["alarms"]])  # fmt: skip
    if document["drills"]:
        text += _part("alarms of a drill", ["%s %s %s (%s)" % (a["priority"], clock(a["raised"], now), a["says"],
                                            a["suppressed"]) for a in document["drills"]])  # fmt: skip
    text += _part("held back", document["held"])
    text += _part("outages", ["item %s: %d, %s in all, the longest %s" % (
        r["item"], r["outages"], span(r["out"]), span(r["longest"])) for r in document["outages"]])  # fmt: skip
    text += _part("what people did", [_line(entry, now) for entry in document["requests"]])
    return text + _part("notes", [_line(entry, now) for entry in document["notes"]])


def _part(title: str, found: List[str]) -> List[str]:
    return ["", title] + (["  " + line for line in found] or ["  nothing"])


def _line(entry: Mapping[str, Any], now: float) -> str:
    why = ": %s" % entry["why"] if entry["why"] else ""
    result = " -> %s" % entry["result"] if entry["result"] and entry["result"] != NOTE else ""
    return "%s %s: %s%s%s" % (clock(entry["at"], now), entry["who"], entry["what"], why, result)
