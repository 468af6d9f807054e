# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run when a verdict changes: for mail, webhooks and Event-Driven Ansible.

A command never delays the loop: it is a process of its own with a deadline. A few run at once, and one per hook and
item; of the changes that wait for it only the newest is kept. Its output goes to the journal.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base.journal import Journal
from ..core.model.parts import ALARMS
from ..core.model.site import Hook
from ..judge.verdict_changes import Change, Changes, hook_key
from . import command

COMMANDS_AT_ONCE = 4
REPORTED_FILE = "hooks.json"  # below <state_dir>/run: the verdict that each hook ran for last, for the next monitor


class Hooks:
    """The hooks of a site; belongs to one event loop."""

    def __init__(self, state_dir: Path, journal: Journal) -> None:
        self._loop = asyncio.get_running_loop()
        self._journal = journal
        self._folder = state_dir
        self._file = state_dir / "run" / REPORTED_FILE
        self._site = ""
        self._hooks: dict[str, Changes] = {}
        self._waiting: dict[tuple[str, str], tuple[Hook, Change]] = {}  # (hook, item), the longest waiting first
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._untold: dict[tuple[str, str], str] = {}  # of those two: the verdict that the hook ran for last
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._stored: dict[str, dict[str, str]] = self._read()
        self._complaint = ""

    def follow(self, site: str, hooks: Sequence[Hook]) -> None:
        """Take over the hooks of the watch list; a hook that stays keeps what it has reported."""
        self._site = site
        before, self._hooks = self._hooks, {}
        for hook in hooks:
            if hook.about == ALARMS:
                continue
            known = before.get(hook_key(hook))
            told = known.told if known is not None else dict(self._stored.get(hook_key(hook), {}))
            self._hooks[hook_key(hook)] = Changes(hook, told, known.pending if known is not None else {})
        for table in (self._waiting, self._untold):
            for place in [place for place in table if place[0] not in self._hooks]:
                del table[place]

    def verdicts(self, items: Iterable[Mapping[str, Any]], now: float) -> None:
        """Take in the items of a new status document: {item, verdict, cause}.

        :param now: the loop's time. Debounced changes come due by themselves afterwards.
        """
        if not self._hooks:
            return
        seen = list(items)
        for changes in self._hooks.values():
            changes.offer(seen, now, time.time())
        self._tell(now)

    async def close(self, patience: float = 2.0) -> None:
        """Wait for the commands under way, then kill them. The next monitor runs hooks for changes that are left."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        running = list(self._running.values())
        if running:
            _done, late = await asyncio.wait(running, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _tell(self, now: float) -> None:
        for key, changes in self._hooks.items():
            for change in changes.due(now):
                self._waiting[(key, change.item)] = (changes.hook, change)
                self._untold.setdefault((key, change.item), change.before)
        self._keep()
        self._pump()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [at for changes in self._hooks.values() if (at := changes.next_time()) is not None]
        if times:
            self._timer = self._loop.call_at(min(times), lambda: self._tell(self._loop.time()))

    def _pump(self) -> None:
        """Start the commands that wait, as far as they may run now."""
        for place, (hook, change) in list(self._waiting.items()):
            if self._closing or len(self._running) >= COMMANDS_AT_ONCE:
                return
            if place in self._running:
                continue
            del self._waiting[place]
            task = self._loop.create_task(self._run(hook, change))
            self._running[place] = task
            task.add_done_callback(functools.partial(self._over, place, change.verdict))

    def _over(self, place: tuple[str, str], verdict: str, task: asyncio.Task[None]) -> None:
        self._running.pop(place, None)
        if not task.cancelled():
            if place in self._waiting:
                self._untold[place] = verdict
            else:
                self._untold.pop(place, None)
            self._keep()
        self._pump()

    async def _run(self, hook: Hook, change: Change) -> None:
        document = {
            "site": self._site,
            "item": change.item,
            "verdict": change.verdict,
            "before": change.before,
            "cause": change.cause,
            "since": round(change.since, 3),
            "at": round(time.time(), 3),
        }
        facts = {"item": change.item, "verdict": change.verdict, "command": hook.command[0]}
        await command.run(hook, document, self._folder, self._journal, facts)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            document = json.loads(self._file.read_bytes())
            return {str(key): {str(i): str(v) for i, v in told.items()} for key, told in document.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def _keep(self) -> None:
        """Store the verdicts that hooks ran for, so that the next monitor runs them for changes that came meanwhile.

        A change counts once its command is over: one that waits, or is killed with the monitor, is run again.
        """
        told = {key: dict(changes.told) for key, changes in self._hooks.items()}
        for (key, item), verdict in self._untold.items():
            if item in told.get(key, {}):
                told[key][item] = verdict
        if told == self._stored:
            return
        try:
            temporary = self._file.with_name(REPORTED_FILE + ".new")
            temporary.write_text(json.dumps(told, separators=(",", ":")), encoding="utf-8")
            os.replace(temporary, self._file)
        except OSError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._journal.say("hook failed", "the verdicts that it ran for cannot be stored: %s" % error)
            return
        self._stored, self._complaint = told, ""
