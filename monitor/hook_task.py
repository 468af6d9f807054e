# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges alarms and tells hooks whenever something changed: one reading of the status for both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .base.journal import Journal
from .base.pacing import rest
from .core.controller import calls
from .core.controller.alarm_calls import Book
from .core.controller.store import LedgerError
from .tell.alarm_hooks import AlarmHooks
from .tell.certificates import Certificates
from .tell.hooks import Hooks

if TYPE_CHECKING:
    from .judge.watch_list import Watch
    from .loop import Monitor

Kept = tuple[Book, Certificates]  # what stays from look to look

LOOKS_APART_SECONDS = 0.2  # between two looks; longer where a look computes long
AFTER_FAILURE_SECONDS = 5.0
TICK_SECONDS = 10.0  # between two notes that somebody watches
ANYWAY_SECONDS = 60.0  # between two looks although nothing changed: some verdicts follow from the time alone
AGAIN_SECONDS = 1.0  # between two looks while something may become an alarm by lasting


@contextlib.asynccontextmanager
async def telling(monitor: Monitor, journal: Journal) -> AsyncIterator[None]:
    """Judge alarms and run the site's hooks while the body runs."""
    hooks, alarm_hooks = Hooks(monitor.state_dir, journal), AlarmHooks(monitor.state_dir, journal)
    following = asyncio.get_running_loop().create_task(_follow(monitor, hooks, alarm_hooks, journal))
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await asyncio.gather(hooks.close(), alarm_hooks.close())


async def _follow(monitor: Monitor, hooks: Hooks, alarm_hooks: AlarmHooks, journal: Journal) -> None:
    changed, loop = monitor.subscribe(), asyncio.get_running_loop()
    error, waits, looked = "", False, 0.0
    book, certificates = Book(str(monitor.state_dir)), Certificates()
    changed.set()
    try:
        while True:
            news = await _something(changed, AGAIN_SECONDS if waits else TICK_SECONDS)
            if not news and not waits and loop.time() - looked < ANYWAY_SECONDS:
                await loop.run_in_executor(None, _tick, book)
                continue
            changed.clear()
            looked = loop.time()
            try:
                error, waits, used = await _tell(monitor, hooks, alarm_hooks, (book, certificates), journal, error)
            except Exception as defect:
                journal.failed("the telling of hooks", defect)
                changed.set()  # nothing else may change; it is tried again
                await asyncio.sleep(AFTER_FAILURE_SECONDS)
                continue
            await asyncio.sleep(rest(LOOKS_APART_SECONDS, used))
    finally:
        monitor.unsubscribe(changed)


async def _something(changed: asyncio.Event, patience: float) -> bool:
    """Whether something changed within so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            return await changed.wait()
    return False


def _tick(book: Book) -> None:
    with contextlib.suppress(LedgerError):
        book.tick(time.time())


async def _tell(
    monitor: Monitor, hooks: Hooks, alarm_hooks: AlarmHooks, kept: Kept, journal: Journal, before: str
) -> tuple[str, bool, float]:
    """Pass the verdicts to the hooks, and judge the alarms.

    :param before: why the verdicts could not be read the time before, "" when they could.
    :return: the same of this time; whether something may become an alarm although nothing changes; and how long the
        look computed (s).
    """
    watch, loop = monitor.watch, asyncio.get_running_loop()
    hooks.follow(watch.site, watch.hooks)
    alarm_hooks.follow(watch.site, watch.hooks)
    if watch.revision < 0 or not monitor.rank.leads():
        return before, False, 0.0
    facts = {"failing": monitor.failing or monitor.scarce}
    answer = await loop.run_in_executor(None, _look, kept, watch, str(monitor.state_dir), monitor.snapshot(), facts)
    if "status" in answer:
        hooks.verdicts(answer["status"]["items"], loop.time())
        if alarm_hooks.wanted and "last" in answer:
            alarm_hooks.changed(int(answer["last"]), time.time())
    error = str(answer.get("error") or "")
    if error and error != before:
        journal.say("hook", error if "status" in answer else "the verdicts cannot be read: %s" % error)
    return error, bool(answer.get("waits")), float(answer["used"])


def _look(kept: Kept, watch: Watch, state_dir: str, seen: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    began = time.thread_time()
    answer = _judged(kept, watch, state_dir, seen, facts)
    return {**answer, "used": time.thread_time() - began}


def _judged(kept: Kept, watch: Watch, state_dir: str, seen: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    book, certificates = kept
    answer = calls.handle({"verb": "status", "state_dir": state_dir, "monitor": seen, "check": True})
    if "status" not in answer:
        return answer
    try:
        keys = certificates.of_site(watch, state_dir)
        return {**answer, **book.look(answer["status"], {**facts, "disk": disk(state_dir), "keys": keys})}
    except Exception as error:  # hooks for verdicts go on
        why = str(error) if isinstance(error, LedgerError) else "%s: %s" % (type(error).__name__, error)
        return {**answer, "waits": True, "error": "alarms cannot be judged: %s" % why}


def disk(state_dir: str) -> dict[str, Any]:
    """How full the controller's disk is: {path, percent} that are free; empty when that cannot be said."""
    try:
        facts = os.statvfs(state_dir)
    except OSError:
        return {}
    return {"path": state_dir, "percent": round(100 * facts.f_bavail / facts.f_blocks, 1)} if facts.f_blocks else {}
