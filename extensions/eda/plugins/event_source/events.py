# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event source for Event-Driven Ansible: every change of an alarm, a verdict or a host, once and in order.

It asks the monitor's API for what followed the last event that it passed on, and keeps that number in a file: after a
gap (of the network, the monitor, or the rulebook's own) it goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

DOCUMENTATION = r"""
---
short_description: Alarms and changes of verdicts and hosts, from the monitor of muster.
description:
  - Passes on every entry of C(GET /api/v1/past) of the monitor's API, oldest first.
  - An event has C(id), C(at), C(what) (alarm, item, host or monitor), C(subject), C(before), C(after), C(why),
    C(lasted), C(items), C(hosts); those of alarms also C(kind) and C(priority).
options:
  socket:
    description: The Unix socket of the API, C(<muster_state_dir>/run/api.sock). Either this or O(url).
    type: path
  url:
    description: Where the API listens by TCP, such as C(http://127.0.0.1:8770).
    type: str
  what:
    description: Only entries about this.
    type: str
    choices: [alarm, item, host, monitor]
  state_file:
    description: The file of the last event's number. Without it, a rulebook that starts hears of new events only.
    type: path
  interval:
    description: Seconds between two questions.
    type: float
    default: 1.0
"""

EXAMPLES = r"""
- control_room.muster.events:
    socket: /var/lib/muster/state/run/api.sock
    what: alarm
    state_file: /var/lib/eda/muster.last
"""

AT_ONCE = 200  # events of one answer
SECONDS = 20.0  # for one answer
LARGEST = 16 * 1024 * 1024  # bytes of one
LONGEST_PAUSE = 30.0  # s between two questions while nobody answers


class NoAnswer(Exception):
    """The monitor's API did not answer as it should; the text is one sentence."""


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Runs for ever. :raises ValueError: for arguments that cannot be right."""
    wrong = sorted(set(args) - {"socket", "url", "what", "state_file", "interval"})
    if wrong:
        raise ValueError("control_room.muster.events has no argument %s" % ", ".join(wrong))
    if bool(args.get("socket")) == bool(args.get("url")):
        raise ValueError("control_room.muster.events needs either socket or url")
    interval = float(args.get("interval") or 1.0)
    if not 0 < interval < math.inf:
        raise ValueError("control_room.muster.events: interval is %g, must be greater than 0" % interval)
    store = Path(str(args["state_file"])) if args.get("state_file") else None
    query = {"what": str(args["what"])} if args.get("what") else {}
    last, pause = _stored(store), interval
    newest_known = False  # since the monitor was away: its past may be another one, such as that of a backup
    while True:
        try:
            if not newest_known:
                newest = (await _asked(args, {"limit": "1"}))[1]
                if last is None:
                    last = (await _asked(args, {**query, "limit": "1"}))[1]
                    _store(store, last)
                elif last > newest:
                    print("control_room.muster.events: the monitor's last event is %d, and %d was known: its past was"
                          " replaced; going on from there" % (newest, last))  # fmt: skip
                    last = newest
                    _store(store, last)
                newest_known = True
            entries, _last = await _asked(args, {**query, "after": str(last), "limit": str(AT_ONCE)})
            for ident, entry in entries:
                await queue.put({**entry, "meta": {"uuid": "muster-%d" % ident}})
                last = ident
                _store(store, last)
            pause = interval
            if len(entries) == AT_ONCE:
                continue
        except (TimeoutError, NoAnswer, OSError) as error:
            why = error if isinstance(error, NoAnswer) else "nothing answers at %s (%s)" % (
                args.get("socket") or args["url"], getattr(error, "strerror", "") or "too late")  # fmt: skip
            print("control_room.muster.events: %s; trying again in %g s" % (why, pause))
            pause, newest_known = min(LONGEST_PAUSE, 2 * pause), False
        await asyncio.sleep(pause)


async def _asked(args: dict[str, Any], query: dict[str, str]) -> tuple[list[tuple[int, dict[str, Any]]], int]:
    """Entries with their numbers, and the number of the last one. :raises NoAnswer: also for what is no past."""

    async def ask() -> bytes:
        if args.get("socket"):
            reader, writer = await asyncio.open_unix_connection(str(args["socket"]), limit=LARGEST)
            name = "muster"
        else:
            place = urlsplit(str(args["url"]))
            reader, writer = await asyncio.open_connection(place.hostname, place.port or 80, limit=LARGEST)
            name = place.netloc
        try:
            head = "GET /api/v1/past?%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (urlencode(query), name)
            writer.write(head.encode())
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()

    answer = await asyncio.wait_for(ask(), SECONDS)
    head, _blank, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    try:
        document = json.loads(body)
    except ValueError:
        raise NoAnswer("the monitor's answer cannot be read") from None
    if len(words) < 2 or words[1] != b"200" or not isinstance(document, dict):
        why = document.get("error") if isinstance(document, dict) else "nonsense"
        raise NoAnswer("the monitor answers: %s" % why)
    try:
        return [(int(entry["id"]), dict(entry)) for entry in document["past"]], int(document["last"])
    except (KeyError, TypeError, ValueError):
        raise NoAnswer("what answers there is no monitor") from None


def _stored(store: Path | None) -> int | None:
    try:
        return int(store.read_text(encoding="ascii")) if store is not None else None
    except (OSError, ValueError):
        return None


def _store(store: Path | None, last: int) -> None:
    if store is None:
        return
    fresh = store.with_name(store.name + ".new")
    try:
        fresh.write_text("%d\n" % last, encoding="ascii")
        os.replace(fresh, store)
    except OSError as error:  # events go on; after a restart some may come again
        print("control_room.muster.events: %s cannot be written: %s" % (store, error.strerror or error))
