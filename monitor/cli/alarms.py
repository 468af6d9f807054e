# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms and the past: alarms, availability, and events of some time."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from ..core.alarms import handover as handover_room
from ..core.alarms import view
from ..core.client import happened
from ..core.client.commands import FAILED, OK
from ..core.client.happened import FILTERS, MOST
from ..core.controller import alarm_calls, trail_search
from ..core.model import moments
from .names import need_heard
from .places import Places, UsageError
from .verbs import as_json

Json = dict[str, Any]


def alarms(options: argparse.Namespace, places: Places) -> int:
    """Print what a person has to know of.

    :return: the exit code: `FAILED` while somebody has to acknowledge an alarm of high priority.
    """
    document = places.question({"verb": "alarms"})["alarms"]
    loud = [a for a in document["alarms"] if a["state"] in view.LOUD and a["priority"] == "high"]
    code = FAILED if loud else OK
    if options.json:
        as_json(document)
        return code
    now = time.time()
    for line in view.lines(document, now, options.all):
        print(line)
    if options.rates:
        print()
        for line in view.rate_lines(document):
            print(line)
    return code


def handover(options: argparse.Namespace, places: Places) -> int:
    """Print what one shift tells the next."""
    since, _until = _moments(options, time.time())
    document = places.question({"verb": "handover", "since": since})["handover"]
    if options.json:
        as_json(document)
    else:
        for line in handover_room.lines(document):
            print(line)
    return OK


def availability(options: argparse.Namespace, places: Places) -> int:
    """Print how much of a time each item was of use."""
    now = time.time()
    since, until = _moments(options, now)
    if since is None:
        since = now - happened.OVER[options.over]
    request = {"verb": "availability", "since": since, "until": until}
    document = places.question(request)["availability"]
    if options.json:
        as_json(document)
    elif options.csv:
        sys.stdout.write(alarm_calls.table(document["items"]))
    else:
        for line in happened.availability_lines(document, now):
            print(line)
    return OK


def events(options: argparse.Namespace, places: Places) -> int:
    """Print trail and changes of some time, merged by time, where no monitor answers."""
    now = time.time()
    since, until = _moments(options, now)
    wanted = {name: getattr(options, name) for name in FILTERS}
    most = MOST if options.instance else options.number
    request: Json = {"verb": "past", "limit": most, "since": since, "until": until, **wanted}
    found = [(float(e["at"]), "change", e) for e in places.question(request)["past"]]
    document = places.question({"verb": "status"})["status"] if options.item else {"instances": {}}
    names = {name for name, entry in document["instances"].items() if entry.get("item") == options.item}
    asked = trail_search.Wanted(since, until, *(wanted[name] or "" for name in FILTERS))

    def read(after: int | None, limit: int) -> list[Json]:
        entries: list[Json] = places.question({"verb": "trail", "after": after, "limit": limit})["trail"]
        return entries

    found += [(float(entry["at"]), "trail", entry) for entry in trail_search.search(read, asked, names, most)]
    merged = [dict(entry, kind=kind) for _at, kind, entry in sorted(found, key=lambda one: one[0])]
    shown = happened.of_instance(merged, options)[-options.number :]
    if not shown:
        need_heard(vars(options), places.site())
    happened.show(shown, options.json)
    return OK


def _moments(options: argparse.Namespace, now: float) -> tuple[float | None, float | None]:
    found: list[float | None] = []
    for name in ("since", "until"):
        try:
            found.append(moments.earlier(getattr(options, name, None), now))
        except ValueError as error:
            raise UsageError("--%s: %s" % (name, error)) from None
    first, last = found
    if first is not None and last is not None and first >= last:
        raise UsageError("--since is not before --until")
    return first, last
