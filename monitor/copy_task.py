# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the ledger that leave this disk: to the witnesses after each change, and by timer to a folder.

It goes on beside the supervision: nothing waits for it. What cannot be copied now is copied with the next change, or
when a host that was silent answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.files import Stamp, file_stamp
from .base.journal import Journal
from .core.controller import adopt, packed, publish
from .core.controller.ledger import LedgerError
from .core.controller.places import SITE_FILE, WATCH_FILE
from .core.controller.way import host_facts
from .core.model.site import Site, site_from_json
from .core.model.witnesses import witnesses
from .watch.looks import Ways

if TYPE_CHECKING:
    from .loop import Monitor

Json = dict[str, Any]
EVERY_SECONDS = 1.0  # at most one copy in that time
AGAIN_SECONDS = 10.0  # until a witness that did not take one is asked again
WITHIN_SECONDS = 10.0  # for one witness


@contextlib.asynccontextmanager
async def copying(monitor: Monitor, journal: Journal) -> AsyncIterator[None]:
    """Copy while the monitor runs."""
    task = CopyTask(monitor.state_dir, monitor.ways, journal, monitor.rank.leads)
    try:
        yield
    finally:
        task.stop()


class CopyTask:
    """One per monitor; works while it leads."""

    def __init__(self, state_dir: Path, lines: Ways, journal: Journal, leads: Callable[[], bool]) -> None:
        self._state_dir, self._lines, self._journal, self._leads = state_dir, lines, journal, leads
        self._site: tuple[Stamp | None, Site | None, dict[str, Json]] = (None, None, {})
        self._stamp: Stamp | None = None  # of the watch list that the last copy was made after
        self._copy: tuple[str, Json] = ("", {})
        self._has: dict[str, str] = {}  # witness -> the mark of what it keeps
        self._told: dict[str, str] = {}  # what was said last of each place
        self._due = 0.0  # when the next copy goes to the folder
        self._task = asyncio.get_running_loop().create_task(self._go())

    def stop(self) -> None:
        self._task.cancel()

    async def _go(self) -> None:
        loop, again = asyncio.get_running_loop(), 0.0
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            stamp = file_stamp(self._state_dir / WATCH_FILE)
            changed, now = stamp != self._stamp, loop.time()
            if not self._leads() or not (changed or now >= again or now >= self._due):
                continue
            self._stamp, again = stamp, now + AGAIN_SECONDS
            try:
                await self._turn(changed, now)
            except (LedgerError, OSError, ValueError, KeyError, TypeError) as error:
                self._say("", str(error))
            else:
                self._say("", "")

    async def _turn(self, changed: bool, now: float) -> None:
        site = await asyncio.to_thread(self._read_site)
        if site is None:
            return
        if changed:
            self._copy = await asyncio.to_thread(packed.copy, str(self._state_dir))
        chosen = witnesses(site).names
        behind = [name for name in chosen if self._copy[0] and self._has.get(name) != self._copy[0]]
        await asyncio.gather(*(self._give(name, *self._copy) for name in behind))
        if site.settings.backup_folder and now >= self._due:
            self._due = now + site.settings.backup_interval
            await asyncio.to_thread(self._to_folder, site)

    async def _give(self, name: str, mark: str, copy: Json) -> None:
        line = self._lines.looks(name)
        why = line if isinstance(line, str) else line.refusal()
        if not isinstance(line, str) and not why:
            request = {"verb": "keep", "host": self._site[2][name], "copy": copy}
            try:
                async with asyncio.timeout(WITHIN_SECONDS):
                    reply = await line.hand_over(secrets.token_hex(16), line.version, request)
            except TimeoutError:
                reply = {"lost": "it did not answer in time"}
            answer = reply.get("answer") or {}
            why = str(answer.get("error") or reply.get("refused") or reply.get("lost") or "")
        if not why:
            self._has[name] = mark
        self._say(name, why)

    def _to_folder(self, site: Site) -> None:
        """:raises LedgerError: when the ledger or the folder cannot be used."""
        began = time.monotonic()
        path = adopt.export(str(self._state_dir), site.settings.backup_folder, site.settings.backup_keep)
        self._journal.say("backup", path=path, seconds=round(time.monotonic() - began, 2))

    def _read_site(self) -> Site | None:
        stamp = file_stamp(self._state_dir / SITE_FILE)
        if stamp != self._site[0]:
            published = publish.read_published(str(self._state_dir), SITE_FILE)
            document = published.get("site")
            site = site_from_json(document) if document else None
            facts = {host.name: host_facts(document, published["site_id"], host.name) for host in site.hosts} \
                if site and document else {}  # fmt: skip
            self._site = (stamp, site, facts)
        return self._site[1]

    def _say(self, place: str, why: str) -> None:
        """Say once that something is not copied, and that it is again."""
        before, self._told[place] = self._told.get(place, ""), why
        if why != before:
            self._journal.say("copy of the ledger", why or "it is kept again", host=place or None)
