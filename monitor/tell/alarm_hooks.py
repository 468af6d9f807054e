# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run when an alarm comes, goes, or is answered to.

Each hook follows the past from one entry to the next, one command at a time, so that it hears of all in order. How
far it is outlives the monitor: the next one goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base.files import replace_text
from ..base.journal import Journal
from ..core.controller.past import Past, PastError
from ..core.model.alarm import ACKNOWLEDGED, SHELVED, SUPPRESSED, UNACKNOWLEDGED, WENT
from ..core.model.parts import ALARMS
from ..core.model.site import Hook
from ..judge.verdict_changes import ALL, hook_key
from . import command

TOLD_FILE = "alarm_hooks.json"  # below <state_dir>/run: hook -> the last entry that it was run for
AT_ONCE = 100  # entries that are read together
OLD_SECONDS = 3600.0  # what is older when the monitor comes back is left out


class AlarmHooks:
    """Belongs to one event loop."""

    def __init__(self, state_dir: Path, journal: Journal) -> None:
        self._state_dir, self._journal = state_dir, journal
        self._file = state_dir / "run" / TOLD_FILE
        self._told: dict[str, int] = self._read()
        self._hooks: dict[str, Hook] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._site = ""

    def follow(self, site: str, hooks: Sequence[Hook]) -> None:
        """Take over the hooks of the watch list. A hook that is new hears of what comes from now on."""
        self._site = site
        self._hooks = {hook_key(hook): hook for hook in hooks if hook.about == ALARMS}
        if set(self._told) - set(self._hooks):
            self._told = {key: last for key, last in self._told.items() if key in self._hooks}
            self._keep()

    @property
    def wanted(self) -> bool:
        return bool(self._hooks)

    def changed(self, last: int, now: float) -> None:
        """There may be new entries. :param last: the id of the newest one before them. :param now: since 1970."""
        for key in self._hooks:
            if self._told.get(key, last + 1) > last:  # it is new; or the past is, and its ids begin again
                self._told[key] = last
                self._keep()
            if key not in self._tasks:
                task = asyncio.get_running_loop().create_task(self._tell(key, now))
                self._tasks[key] = task
                task.add_done_callback(functools.partial(self._over, key))

    def _over(self, key: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._journal.failed("the telling of alarms", error)

    async def close(self, patience: float = 2.0) -> None:
        """Wait for the commands under way, then kill them: the next monitor runs them again."""
        running = list(self._tasks.values())
        if running:
            _done, late = await asyncio.wait(running, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _tell(self, key: str, now: float) -> None:
        while key in self._hooks:
            try:
                entries = await asyncio.to_thread(_entries, str(self._state_dir), self._told[key])
            except PastError as error:
                self._journal.say("hook failed", str(error))
                return
            if not entries:
                return
            for entry in entries:
                hook = self._hooks.get(key)
                if hook is None:
                    return
                document = told(entry, self._site)
                if document and wants(hook, document) and float(entry["at"]) > now - OLD_SECONDS:
                    facts = {"alarm": document["alarm"], "what": document["event"], "command": hook.command[0]}
                    await command.run(hook, document, self._state_dir, self._journal, facts)
                self._told[key] = int(entry["id"])
                self._keep()

    def _read(self) -> dict[str, int]:
        try:
            return {str(key): int(last) for key, last in json.loads(self._file.read_bytes()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _keep(self) -> None:
        with contextlib.suppress(OSError):  # its hooks run twice rather than never
            replace_text(self._file, json.dumps(self._told))


def _entries(state_dir: str, after: int) -> list[dict[str, Any]]:
    with Past(state_dir) as store:
        return store.changes(after, AT_ONCE, what="alarm")


_EVENTS = {UNACKNOWLEDGED: "raised", WENT: "cleared", ACKNOWLEDGED: "acknowledged", SHELVED: "shelved"}


def told(entry: Mapping[str, Any], site: str) -> dict[str, Any]:
    """What a hook gets of an entry; empty for what is none of its business."""
    state = str(entry["after"])
    event = _EVENTS.get(state, "" if state == SUPPRESSED else "over")
    if state == WENT and entry["before"] in ("", WENT):
        event = "raised"  # it was over before anybody could have heard of it
    if not event:
        return {}
    return {
        "site": site, "id": entry["id"], "alarm": entry["subject"], "event": event, "state": state,
        "before": entry["before"], "kind": entry.get("kind") or "", "priority": entry.get("priority") or "",
        "says": entry["why"], "items": entry.get("items") or [], "hosts": entry.get("hosts") or [],
        "who": entry.get("who") or "", "at": entry["at"],
    }  # fmt: skip


def wants(hook: Hook, document: Mapping[str, Any]) -> bool:
    """Whether a hook is to run. What has no priority any more, because it is over, is for all."""
    fits = ALL in hook.on or document["event"] in hook.on
    return fits and (not hook.priority or not document["priority"] or document["priority"] in hook.priority)
