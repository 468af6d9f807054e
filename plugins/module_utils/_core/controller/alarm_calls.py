# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms and the past beside the ledger: the monitor's look, and the answers to those who read."""

from __future__ import annotations

import csv
import io
import os
import time
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple

from ..alarms import handover, past
from ..alarms.availability import COLUMNS, availability
from ..alarms.judge import judged
from ..alarms.life import Marks
from ..alarms.view import alarm_document
from ..model.alarm import Rule, rule_from_json
from ..model.site import Site
from . import ledgers, publish, trail_search
from .past import MOST, Past, kept_until
from .places import SITE_FILE

ALARMS, VERDICTS, WATCHED = "alarms", "verdicts", "watched"  # what is remembered
SILENCE = 20.0  # s without a look of the monitor, after which the alarms are those of then
KEPT_DAYS = 400  # of the past, where the site says nothing
FILTERS = ("after", "since", "until", "what", "subject", "item", "host", "person", "word")
VERBS = ("alarms", "past", "availability", "handover")
WRITTEN = 5.0  # s between two writings although nothing changed
SHIFT = 8 * 3600.0  # s
SWEEP = 3600.0  # s between two sweeps of what is too old

Json = Dict[str, Any]


class Book:
    """The monitor's writing: one look after the other, from any thread, never two at once."""

    def __init__(self, state_dir: str) -> None:
        self._state_dir = state_dir
        self._site: Tuple[Any, Tuple[Rule, ...], int] = (None, (), KEPT_DAYS)  # stamp of its file, rules, days
        self._known: Json = {}
        self._swept = self._written = 0.0

    def look(self, document: Mapping[str, Any], facts: Mapping[str, Any]) -> Json:
        """Take in a status document, and store what came of it.

        :param facts: as `judge.judged` takes them.
        :return: {changes, alarms, waits, last}: the entries that are new, the list of alarms, whether something becomes
            an alarm by lasting only, and the id of the last entry before the new ones.
        :raises PastError: when it cannot be stored; then the next look does it again.
        """
        rules, days = self._settings()
        with Past(self._state_dir, write=True) as store:
            known = self._known or {name: store.known(name) for name in (ALARMS, VERDICTS, WATCHED)}
            marks = Marks.of(document.get("marks") or ())
            alarms, raised = judged(document, known[ALARMS], marks, rules, facts)
            alarms["began"] = known[ALARMS].get("began") or document["at"]
            seen = float((known.get(WATCHED) or {}).get("at") or 0.0)
            verdicts, entries = past.changed(document, known[VERDICTS], seen)
            entries += [dict(entry, what=past.ALARM) for entry in raised]
            last, now = store.last(), float(document["at"])
            new = {ALARMS: alarms, VERDICTS: verdicts}
            if entries or any(_but_time(new[name]) != _but_time(known[name]) for name in new) or (
                abs(now - self._written) > WRITTEN
            ):
                store.remember(new, entries)
                self._written = now
            self._known = {**new, WATCHED: {"at": now}}
            if abs(now - self._swept) > SWEEP:
                self._swept = now
                store.forget(kept_until(now, days))
        waits = bool(alarms["waits"]) or marks.lapse(now)
        return {"changes": entries, "alarms": alarm_document(alarms, marks, now), "waits": waits,
                "last": last}  # fmt: skip

    def tick(self, now: float) -> None:
        """Note that somebody watches although nothing changes. :raises PastError: when that cannot be stored."""
        with Past(self._state_dir, write=True) as store:
            store.remember({WATCHED: {"at": now}}, ())
        if self._known:
            self._known[WATCHED] = {"at": now}

    def _settings(self) -> Tuple[Tuple[Rule, ...], int]:
        """The published site's rules about alarms, and how many days the past is kept."""
        try:
            facts = os.stat(os.path.join(self._state_dir, SITE_FILE))
        except OSError:
            return self._site[1:]
        stamp = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        if stamp != self._site[0]:
            site = publish.read_published(self._state_dir, SITE_FILE).get("site") or {}
            days = int((site.get("settings") or {}).get("past_days") or KEPT_DAYS)
            self._site = (stamp, tuple(rule_from_json(rule) for rule in site.get("alarms") or ()), days)
        return self._site[1:]


def _but_time(known: Mapping[str, Any]) -> Json:
    return {key: value for key, value in known.items() if key != "at"}


def answer(
    request: Mapping[str, Any], site: Site, status: Callable[[], Mapping[str, Any]],
    ledger: Callable[[], ledgers.Store],
) -> Json:  # fmt: skip
    """The answer to one of `VERBS`.

    ``alarms`` {monitor?} -> {alarms}: the list as it is now.
    ``past`` {limit?, and `FILTERS`} -> {past}: entries, the oldest first.
    ``availability`` {since?, until?} -> {availability}: how much of a time each item was of use.
    ``handover`` {since?} -> {handover}: what one shift tells the next.
    """
    verb = str(request["verb"])
    if verb == "handover":
        with ledger() as opened:
            return {verb: handed_over(site.state_dir, status(), partial(trail_search.since, opened.trail), request)}
    if verb == "alarms":
        return {verb: alarms(site.state_dir, status())}
    if verb == "past":
        return {verb: history(site.state_dir, request)}
    return {verb: available(site.state_dir, request, [item.id for item in site.rows])}


def handed_over(
    state_dir: str, document: Mapping[str, Any], trail: Callable[[float], List[Json]], request: Mapping[str, Any]
) -> Json:
    """:param trail: its entries since a moment. :param request: {since}; by default the last eight hours."""
    since = float(request.get("since") or float(document["at"]) - SHIFT)
    rows = available(state_dir, {"since": since}, [item["item"] for item in document["items"]])["items"]
    return handover.handover(document, alarms(state_dir, document), rows, trail(since), since)


def alarms(state_dir: str, document: Mapping[str, Any]) -> Json:
    """The list of alarms as it is now.

    :param document: the status document of now.
    """
    now, marks = float(document["at"]), Marks.of(document.get("marks") or ())
    with Past(state_dir) as store:
        known, watched, last = store.known(ALARMS), store.known(WATCHED), store.last()
    state = str(document["monitor"]["state"])
    looked = max(float(known.get("at") or 0.0), float(watched.get("at") or 0.0))
    silent = "" if state == "running" else "monitor is %s: nothing is watched, nothing is restarted by itself" % state
    if not silent and known and now - looked > SILENCE:
        silent = "monitor runs and judges no alarms: its log says why"
    return dict(alarm_document(known, marks, now, silent), last=last)


def for_request(state_dir: str, kind: str) -> Json:
    """What a request about alarms has to know of them."""
    if kind not in ("acknowledge", "shelve", "unshelve", "drill_begin", "drill_end"):
        return {}
    with Past(state_dir) as store:
        standing = (store.known(ALARMS).get("alarms") or {}).values()
    return {"alarms": [{"id": a["key"], "kind": a["kind"], "items": a["items"], "noticed": a["noticed"],
                        "acknowledged": bool(a["acknowledged"] or a["suppressed"])} for a in standing]}  # fmt: skip


def history(state_dir: str, request: Mapping[str, Any]) -> List[Json]:
    """Entries of the past.

    :param request: `FILTERS` and limit, all of them optional.
    """
    wanted = {name: request[name] for name in FILTERS if request.get(name) not in (None, "")}
    with Past(state_dir) as store:
        return store.changes(limit=min(MOST + 1, int(request.get("limit") or 100)), **wanted)  # one more than is shown


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of an availability as CSV, times in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if row[column] is None else row[column] for column in COLUMNS])
    return text.getvalue()


def available(state_dir: str, request: Mapping[str, Any], items: Sequence[str]) -> Json:
    """{since, until, items}: how much of a time each item was of use.

    :param request: {since, until}: seconds since 1970; by default the last day.
    """
    now = time.time()
    last = min(now, float(request.get("until") or now))
    first = min(last, float(request.get("since") or last - 86400.0))
    with Past(state_dir) as store:
        known, watched = store.known(VERDICTS), store.known(WATCHED)
        looked = max(float(known.get("at") or 0.0), float(watched.get("at") or 0.0))
        entries: List[Json] = past.unwatched(now, looked) if looked else []
        after = 0
        while True:  # what follows the time shows which verdict it ended with
            found = store.changes(after, MOST, since=first)
            entries += found
            if len(found) < MOST:
                break
            after = int(found[-1]["id"])
    rows = availability(items, known.get(past.ITEM) or {}, entries, first, last)
    return {"since": first, "until": last, "items": rows}
