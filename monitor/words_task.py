# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs of an instance wrote last, fetched over the line when one of them has ended by itself.

It goes on beside the supervision: nothing waits for it, and what cannot be fetched is left out.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .base.files import Stamp, file_stamp
from .base.journal import Journal
from .core.controller import last_words, publish
from .core.controller.places import SITE_FILE
from .core.model.site import Site, site_from_json
from .core.requests import log_sources
from .watch.line_logs import LineLogs, NoLog

Json = dict[str, Any]
AT_ONCE = 4  # fetched; more of them wait
WAITING = 100  # of which the newest are given up first
WITHIN_SECONDS = 10.0
KNOWN = 500  # incarnations that were fetched already


class LastWords:
    """One per monitor."""

    def __init__(self, state_dir: Path, choose: Callable[[str], LineLogs | str], journal: Journal) -> None:
        """:param choose: host -> its line, or why there is none."""
        self._state_dir = state_dir
        self._choose = choose
        self._journal = journal
        self._free = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: deque[tuple[str, int]] = deque(maxlen=KNOWN)
        self._site: tuple[Stamp | None, Site | None] = (None, None)

    def ended(self, event: Mapping[str, Any], how: str) -> None:
        """A program ended by itself.

        :param event: as the host reported it. :param how: a phrase.
        """
        key = (str(event["instance"]), int(event["epoch"]))
        if key in self._known or len(self._tasks) >= WAITING:
            return
        self._known.append(key)
        task = asyncio.get_running_loop().create_task(self._fetch(dict(event), how))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, event: Json, how: str) -> None:
        try:
            async with self._free, asyncio.timeout(WITHIN_SECONDS):
                request = await asyncio.to_thread(self._request, event)
                if request is None:
                    return
                left = await self._left(str(event["host"]), request)
        except (NoLog, TimeoutError, OSError, ValueError) as error:
            self._journal.say("last words", "not kept: %s" % (error or "no answer in time"), instance=event["instance"])
            return
        record = {
            "at": float(event.get("at") or time.time()), "instance": event["instance"], "epoch": int(event["epoch"]),
            "host": event["host"], "program": event["program"], "how": str(left.get("how") or how)[:300],
            "core": str(left.get("core") or "")[:1000], "programs": last_words.lines_of(left.get("programs")),
        }  # fmt: skip
        await asyncio.to_thread(last_words.keep, str(self._state_dir), record)

    def _request(self, event: Json) -> Json | None:
        """What the host is asked; None for what is not of the site."""
        stamp = file_stamp(self._state_dir / SITE_FILE)
        if stamp != self._site[0]:
            document = publish.read_published(str(self._state_dir), SITE_FILE).get("site")
            self._site = (stamp, site_from_json(document) if document else None)
        site, instance, host = self._site[1], str(event["instance"]), str(event["host"])
        if site is None or instance not in site.by_name():
            return None
        found = log_sources.log_sources(site, {instance: host}, instance)
        ended = {key: event.get(key) for key in ("epoch", "program", "pid", "at")}
        facts = log_sources.host_facts(site, host)
        return {"host": facts, "sources": [dict(source.entry) for source in found], "ended": ended}

    async def _left(self, host: str, request: Json) -> Json:
        """:raises NoLog: when the host does not say."""
        line = self._choose(host)
        if isinstance(line, str):
            raise NoLog(line)
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()

        def take(said: Json) -> None:
            if answer.done():
                return
            if isinstance(said.get("left"), dict):
                answer.set_result(said["left"])
            elif "over" in said:
                answer.set_exception(NoLog(said["over"] or "%s says nothing" % host))

        token = line.open(request, take)
        try:
            return await answer
        finally:
            line.close(token)
