# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon around the loop: one per state folder, signals, pid file, clean end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .api_task import surface
from .base import descriptors
from .base.journal import Journal
from .cli.remembered import remember
from .copy_task import copying
from .core.controller import places
from .hook_task import telling
from .loop import Monitor

__all__ = ["AlreadyRunning", "remember", "serve"]


class AlreadyRunning(Exception):
    """Another monitor watches this state folder; the text is one sentence."""


def serve(state_dir: Path, inventory: list[str], journal: Journal, *, standby: bool, patience: float) -> None:
    """Run the monitor until SIGTERM or SIGINT.

    :raises AlreadyRunning: when another one does.
    """
    descriptors.raise_limit()
    folder = state_dir / places.RUN_FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(state_dir / places.MONITOR_LOCK):
        pid_file = state_dir / places.MONITOR_PID
        with contextlib.suppress(OSError):  # for people; a full disk must not prevent the start
            pid_file.write_text("%d\n" % os.getpid(), encoding="ascii")
        remember(state_dir, inventory)
        try:
            asyncio.run(_serve(state_dir, inventory, journal, standby, patience))
        finally:
            with contextlib.suppress(OSError):
                pid_file.unlink()
            journal.say("monitor stopped")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock. The file holds the pid of its holder, for the message of another monitor."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
            raise AlreadyRunning("a monitor with pid %s already watches %s" % (who, path.parent.parent)) from None
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, b"%d\n" % os.getpid())
        yield
    finally:
        os.close(handle)


async def _serve(state_dir: Path, inventory: list[str], journal: Journal, standby: bool, patience: float) -> None:
    loop = asyncio.get_running_loop()

    def unexpected(_unused: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None:
            journal.failed("a task of the loop", error)
        else:
            journal.say("error", str(context.get("message")))

    loop.set_exception_handler(unexpected)
    monitor = Monitor(state_dir, inventory, journal, standby=standby)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, monitor.stop)
    loop.add_signal_handler(signal.SIGHUP, monitor.wake)
    async with surface(monitor, journal), telling(monitor, journal), copying(monitor, journal):
        await monitor.run(patience)
