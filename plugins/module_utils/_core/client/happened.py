# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster events` of some time, item, host or person, and `muster availability`: their options, and what they print of
the monitor's answer.

Both command lines use it.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, Dict, Iterable, List, Mapping

from ..model import sentences
from ..report import story
from . import api
from .commands import OK, say

OVER = {"shift": 8 * 3600.0, "day": 86400.0, "month": 30 * 86400.0}
AVAILABILITY_TEXT = "how much of a time each item was of use"
FILTERS = ("item", "host", "person", "word")
MOST = 1000  # entries of one answer


def number(text: str) -> int:
    """How many events are shown.

    :raises argparse.ArgumentTypeError: for what is no such number.
    """
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to %d" % MOST)
    return int(text)


def add_events(parser: argparse.ArgumentParser) -> None:
    """Add what `events` takes."""
    parser.add_argument("-n", "--number", type=number, default=30, help="number of newest events shown (30)")
    parser.add_argument("-f", "--follow", action="store_true", help="stay, and show each event as it happens")
    parser.add_argument("--instance", help="only events of this instance")
    _span(parser)
    parser.add_argument("--item", help="only what is about this item")
    parser.add_argument("--host", help="only what is about this host")
    parser.add_argument("--person", help="only what this person did")
    parser.add_argument("--word", "--grep", dest="word", help="only what has this word in it; capitals do not matter")
    parser.add_argument("--changes", action="store_true",
                        help="also every change of a verdict, a host or an alarm; so with any of --since to --word")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")


def filtered(options: argparse.Namespace) -> bool:
    """Whether events of some time, item, host or person are asked for, and changes beside the trail."""
    return bool(options.changes or any(getattr(options, name) for name in ("since", "until", *FILTERS)))


def events(options: argparse.Namespace, remote: api.Remote) -> int:
    """Print trail and changes of some time, merged by time.

    :return: the exit code.
    :raises Refused, Lost, Late:
    """
    query: Dict[str, Any] = {"limit": MOST if options.instance else options.number}
    for name in ("since", "until", *FILTERS):
        if getattr(options, name):
            query[name] = getattr(options, name)
    if options.instance and not options.word:
        query["word"] = options.instance  # what has not its name is not about it
    shown = of_instance(remote.get("/story", options.timeout, **query)["story"], options)[-options.number :]
    if not shown and options.instance:
        remote.get("/events", options.timeout, instance=options.instance, limit=1)  # refused for a name that never was
    show(shown, options.json)
    return OK


def of_instance(entries: Iterable[Mapping[str, Any]], options: argparse.Namespace) -> List[Mapping[str, Any]]:
    """Those about the instance that is asked for, if there is one."""
    return [entry for entry in entries if not options.instance or entry.get("instance") == options.instance]


def show(entries: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """:param entries: with ``kind``: "trail" or "change"."""
    now = time.time()
    for entry in entries:
        if as_json:
            say(json.dumps(entry, separators=(",", ":")))
        elif entry["kind"] == "trail":
            say(story.line(entry, now, instance=True))
        else:
            say(story.change(entry, now))


def add_availability(parser: argparse.ArgumentParser) -> None:
    """Add what `availability` takes."""
    parser.add_argument("--over", choices=list(OVER), default="day",
                        help="the last 8 hours, 24 hours (default) or 30 days")
    _span(parser)
    parser.add_argument("--csv", action="store_true", help="a table for a spreadsheet, times in seconds")
    parser.add_argument("--json", action="store_true", help="the same with each piece of time, for programs")


def availability(options: argparse.Namespace, remote: api.Remote) -> int:
    """Print what the monitor knows of it.

    :return: the exit code.
    :raises Refused, Lost, Late:
    """
    query = {"since": options.since or "%ds" % OVER[options.over]}
    if options.until:
        query["until"] = options.until
    if options.csv:
        say(remote.text("/availability", options.timeout, form="csv", **query).rstrip("\r\n"))
        return OK
    document = remote.get("/availability", options.timeout, **query)
    for line in [json.dumps(document, indent=2)] if options.json else availability_lines(document, time.time()):
        say(line)
    return OK


def availability_lines(document: Mapping[str, Any], now: float) -> List[str]:
    """Columns of text."""
    first, last = (sentences.clock(document[key], now) for key in ("since", "until"))
    lines = ["from %s to %s" % (first, last), ""]
    titles = ("ITEM", "AVAILABLE", "OUTAGES", "OUT", "LONGEST", "NOT WATCHED")
    lines.append("%-12s  %9s  %8s  %12s  %12s  %12s" % titles)
    for row in document["items"]:
        share = "-" if row["available"] is None else "%.3f %%" % row["available"]
        times = tuple(sentences.span(row[key]) if row[key] else "-" for key in ("out", "longest", "unseen"))
        lines.append("%-12s  %9s  %8d  %12s  %12s  %12s" % (row["item"], share, row["outages"], *times))
    return lines


def _span(parser: argparse.ArgumentParser) -> None:
    when = "2h (ago), 06:00 or '2030-01-31 14:00'"
    parser.add_argument("--since", metavar="WHEN", help="not before: " + when)
    parser.add_argument("--until", metavar="WHEN", help="before: " + when)
