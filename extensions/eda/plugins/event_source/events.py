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
    store = Path(str(args["state_file"])) if args.get("state_file") else None
    query = {"what": str(args["what"])} if args.get("what") else {}
    last, pause = _stored(store), interval
    while True:
        try:
            if last is None:
                last = int((await _asked(args, {**query, "limit": 1}))["last"])
                _store(store, last)
            answer = await _asked(args, {**query, "after": last, "limit": AT_ONCE})
            for entry in answer["past"]:
                await queue.put({**entry, "meta": {"uuid": "muster-%d" % entry["id"]}})
                last = int(entry["id"])
                _store(store, last)
            pause = interval
            if len(answer["past"]) == AT_ONCE:
                continue
        except (TimeoutError, NoAnswer, OSError) as error:
            why = error if isinstance(error, NoAnswer) else "nothing answers at %s (%s)" % (
                args.get("socket") or args["url"], getattr(error, "strerror", "") or "too late")  # fmt: skip
            print("control_room.muster.events: %s; trying again in %g s" % (why, pause))
            pause = min(LONGEST_PAUSE, 2 * pause)
        await asyncio.sleep(pause)


async def _asked(args: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
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
    return document


def _stored(store: Path | None) -> int | None:
    try:
        return int(store.read_text(encoding="ascii")) if store is not None else None
    except (OSError, ValueError):
        return None


def _store(store: Path | None, last: int) -> None:
    if store is None:
        return
    fresh = store.with_name(store.name + ".new")
    fresh.write_text("%d\n" % last, encoding="ascii")
    os.replace(fresh, store)
