# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches the API on and off as the published site says. Its libraries are only loaded where it is on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.journal import Journal
from monitor.shared import _publish, _site_api

if TYPE_CHECKING:
    from monitor.loop import Monitor
    from monitor.web.server import Web


@contextlib.asynccontextmanager
async def surface(monitor: Monitor, journal: Journal) -> AsyncIterator[None]:
    """The API while the body runs. Whatever goes wrong with it is told, and the monitor goes on."""
    following = asyncio.get_running_loop().create_task(_follow(monitor, journal))
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def _follow(monitor: Monitor, journal: Journal) -> None:
    changed = monitor.subscribe()
    web: Web | None = None
    wanted = failed = False
    known: object = None
    try:
        while True:
            stamp = _stamp(monitor.state_dir)
            if stamp is not None and stamp != known:
                known, wanted = stamp, _wanted(monitor.state_dir)
            if wanted and web is None and not failed:
                try:
                    from monitor.web.server import Web

                    web = Web(monitor, journal)
                    await web.begin()
                except Exception as error:
                    failed = True
                    journal.say("api", "there is none: %s: %s" % (type(error).__name__, error))
                    if web is not None:
                        await web.end()
                        web = None
            elif not wanted and web is not None:
                await web.end()
                web = None
            failed = failed and wanted  # switched off and on again, it is tried again
            await changed.wait()
            changed.clear()
    finally:
        monitor.unsubscribe(changed)
        if web is not None:
            await web.end()


def _stamp(state_dir: Path) -> tuple[int, int, int] | None:
    try:
        facts = os.stat(state_dir / _publish.SITE_FILE)
    except OSError:
        return None
    return (facts.st_ino, facts.st_mtime_ns, facts.st_size)


def _wanted(state_dir: Path) -> bool:
    site = _publish.read_published(str(state_dir), _publish.SITE_FILE).get("site")
    return isinstance(site, dict) and bool(_site_api.api_settings(site)["api"])
