# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How command lines tell of one instance and of what happened: pure, from the documents of the API."""

from __future__ import annotations

from typing import Any, List, Mapping, Tuple

from ..model import sentences


def sentence(action: Mapping[str, Any], facts: str = "") -> str:
    """An action of a plan in words.

    :param action: as `model.plan.Action.to_json`.
    :param facts: more about it, put in brackets before the reason.
    """
    what = action["instance"] or action.get("host")
    where = " on %s" % action["host"] if action.get("host") and action["instance"] else ""
    if action.get("target"):
        where += " to %s" % action["target"]
    words = [str(action["action"]), str(what or "")] if what or facts else []
    head = " ".join(word for word in words if word) + where
    if facts:
        head += " (%s)" % facts
    return ": ".join(part for part in (head, str(action["reason"])) if part)


def headline(name: str, instance: Mapping[str, Any], now: float) -> str:
    """One line: how an instance is, where, since when."""
    parts = [name, ": ", instance.get("state") or instance["phase"]]
    if instance["host"]:
        parts.append(" on %s" % instance["host"])
    if instance["since"]:
        parts.append(" since %s" % sentences.clock(instance["since"], now, seconds=True))
    if instance["epoch"]:
        parts.append(", epoch %d" % instance["epoch"])
    return "".join(parts)


def facts(instance: Mapping[str, Any], document: Mapping[str, Any], name: str, now: float) -> List[Tuple[str, str]]:
    """What else is known of it: (label, text) of each line.

    :param document: the status document, or what has the monitor's intents in its place.
    """
    found = []
    wanted = instance["wanted"]
    if wanted:
        where = " on %s" % wanted["host"] if wanted.get("host") else ""
        asked = sentences.clock(wanted["at"], now) if wanted.get("at") else "?"
        because = ": %s" % wanted["why"] if wanted.get("why") else ""
        found.append(
            ("wanted", "%s%s, by %s at %s%s" % (wanted["state"], where, wanted.get("by") or "?", asked, because))
        )
        found += [("off", "%s %s; muster start %s/%s starts it again" % (program, how, name, program))
                  for program, how in sorted((wanted.get("without") or {}).items())]  # fmt: skip
    found += [("given", "%s runs with %s; until its next stop" % pair)
              for pair in sorted((instance.get("given") or {}).items())]  # fmt: skip
    if instance.get("cause"):
        found.append(("cause", instance["cause"]))
    if instance["reason"] and instance["reason"] != instance.get("cause"):
        found.append(("reason", instance["reason"]))
    if instance["actor"]:
        until = sentences.clock(instance["actor"]["deadline"], now, seconds=True)
        found.append(("acting", "run %s, until %s" % (instance["actor"]["run"], until)))
    for host in instance.get("left_behind") or ():
        text = "%s is believed down; if it is only cut off, another copy may live there until it answers" % host
        found.append(("unseen", text))
    if instance["deferred"]:
        found.append(("deferred", ", ".join(instance["deferred"])))
    found += [("failed", "%s: %s" % pair) for pair in sorted(instance["failed"].items())]
    if instance["failures"] and instance.get("retry"):
        found.append(("failures", "%d, and the budget is %d: when it is spent, muster tries again every %s" % (
            instance["failures"], instance["failure_budget"], sentences.duration(instance["retry"]))))  # fmt: skip
    elif instance["failures"]:
        said = "%(failures)d of %(failure_budget)d; after %(failure_budget)d it stays failed"
        found.append(("failures", said % instance))
    if instance["programs"]:
        # A run that restarted it just now knows that a program runs, the next observation its process id.
        pids = [
            "%s (%s)" % (program, seen["pid"]) if seen.get("pid") else program
            for program, seen in instance["programs"].items()
        ]
        found.append(("runs", ", ".join(pids)))
    for record in document.get("last_words") or ():
        when = sentences.clock(record["at"], now, seconds=True)
        core = ", core file %s on %s" % (record["core"], record["host"]) if record.get("core") else ""
        found.append(("kept", "%s %s%s: muster logs %s --failed %s" % (
            when, ": ".join(part for part in (record["program"], record["how"]) if part), core, name, record["id"])))
    found += [("monitor", i["why"]) for i in document["monitor"].get("intents") or [] if i.get("instance") == name]
    return found


def line(entry: Mapping[str, Any], now: float, instance: bool = False) -> str:
    """An entry of the trail; with the instance where the trail is not that of one."""
    parts = [sentences.clock(float(entry["at"]), now, seconds=True), str(entry.get("who") or "?")]
    if entry.get("from") and entry["from"] != entry.get("who"):
        parts[-1] += "@%s" % entry["from"]
    if instance and entry.get("instance"):
        parts.append(str(entry["instance"]))
    text = str(entry.get("what") or "")
    if entry.get("why"):
        text += ": %s" % entry["why"]
    if entry.get("result"):
        text += " -> %s" % entry["result"]
    return "  ".join([*parts, text])


def change(entry: Mapping[str, Any], now: float) -> str:
    """A change of a verdict, a host or an alarm as text."""
    lasted = " after %s" % sentences.span(float(entry.get("lasted") or 0.0)) if entry.get("before") else ""
    moved = "%s -> %s%s" % (entry["before"] or "new", entry["after"], lasted)
    who = ", by %s" % entry["who"] if entry.get("who") else ""
    why = ": %s" % entry["why"] if entry.get("why") else ""
    subject = entry["subject"] if entry["what"] in ("alarm", "monitor") else "%(what)s %(subject)s" % entry
    return "%s  %-24s  %s%s%s" % (sentences.clock(float(entry["at"]), now, seconds=True), subject, moved, who, why)
