# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes the verdicts of all items to the hooks whenever something changed, as status and page show them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .base.journal import Journal
from .core.controller import calls
from .tell.hooks import Hooks

if TYPE_CHECKING:
    from .loop import Monitor

LOOKS_APART_SECONDS = 0.2  # between two looks; longer where a look takes long
AFTER_FAILURE_SECONDS = 5.0


@contextlib.asynccontextmanager
async def telling(monitor: Monitor, journal: Journal) -> AsyncIterator[None]:
    """Run the site's hooks while the body runs. Without hooks in the site nothing is read."""
    hooks = Hooks(monitor.state_dir, journal)
    following = asyncio.get_running_loop().create_task(_follow(monitor, hooks, journal))
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await hooks.close()


async def _follow(monitor: Monitor, hooks: Hooks, journal: Journal) -> None:
    changed, loop = monitor.subscribe(), asyncio.get_running_loop()
    error = ""
    changed.set()
    try:
        while True:
            await changed.wait()
            changed.clear()
            began = loop.time()
            try:
                error = await _tell(monitor, hooks, journal, error)
            except Exception as defect:
                journal.failed("the telling of hooks", defect)
                changed.set()  # nothing else may change; it is tried again
                await asyncio.sleep(AFTER_FAILURE_SECONDS)
                continue
            await asyncio.sleep(max(LOOKS_APART_SECONDS, 10 * (loop.time() - began)))
    finally:
        monitor.unsubscribe(changed)


async def _tell(monitor: Monitor, hooks: Hooks, journal: Journal, before: str) -> str:
    """Pass the verdicts to the hooks.

    :param before: why the verdicts could not be read the time before, "" when they could.
    :return: the same of this time.
    """
    watch, loop = monitor.watch, asyncio.get_running_loop()
    hooks.follow(watch.site, watch.hooks)
    if not watch.hooks:
        return before
    answer = await loop.run_in_executor(None, _status, str(monitor.state_dir), monitor.snapshot())
    if "status" in answer:
        hooks.verdicts(answer["status"]["items"], loop.time())
        return ""
    error = str(answer["error"])
    if error != before:
        journal.say("hook", "the verdicts cannot be read: %s" % error)
    return error


def _status(state_dir: str, seen: dict[str, Any]) -> dict[str, Any]:
    return calls.handle({"verb": "status", "state_dir": state_dir, "monitor": seen, "check": True})
