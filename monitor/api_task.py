# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches the API on and off with the published site. Its libraries are loaded only where it is on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from .base.files import file_stamp
from .base.journal import Journal
from .core.controller import publish
from .core.controller.places import SITE_FILE
from .core.model import api

if TYPE_CHECKING:
    from .loop import Monitor
    from .web.server import Web


RETRY_SECONDS = 30.0  # until an API that failed is tried again, unless the site changed


@contextlib.asynccontextmanager
async def surface(monitor: Monitor, journal: Journal) -> AsyncIterator[None]:
    """Serve the API while the body runs. Failures of the API are logged; the monitor keeps running."""
    following = asyncio.get_running_loop().create_task(_follow(monitor, journal))
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def _follow(monitor: Monitor, journal: Journal) -> None:
    changed, loop = monitor.subscribe(), asyncio.get_running_loop()
    web: Web | None = None
    wanted, due, told = False, 0.0, ""
    known: object = None
    try:
        while True:
            try:
                stamp = file_stamp(monitor.state_dir / SITE_FILE)
                if stamp is not None and stamp != known:
                    wanted, known, due = _wanted(monitor.state_dir), stamp, 0.0
                if wanted and web is None and loop.time() >= due:
                    web = await _begun(monitor, journal)
                    told = ""
                elif not wanted and web is not None:
                    over, web = web, None
                    await over.end()
            except Exception as error:
                due = loop.time() + RETRY_SECONDS
                why = "the API cannot be served: %s: %s" % (type(error).__name__, error)
                if why != told:
                    told = why
                    journal.say("api", why)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS if wanted and web is None else None):
                    await changed.wait()
            changed.clear()
    finally:
        monitor.unsubscribe(changed)
        if web is not None:
            await web.end()


async def _begun(monitor: Monitor, journal: Journal) -> Web:
    from .web.server import Web

    web = Web(monitor, journal)
    try:
        await web.begin()
    except BaseException:
        await web.end()
        raise
    return web


def _wanted(state_dir: Path) -> bool:
    site = publish.read_published(str(state_dir), SITE_FILE).get("site")
    return isinstance(site, dict) and bool(api.api_settings(site)["api"])
