# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pauses of a loop that something may end early."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


class Waking:
    """Belongs to the asyncio loop that it is used in."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the pause under way; without one, the next."""
        self._woken.set()

    async def sleep(self, until: float) -> None:
        """Wait until `wake`, or until a moment of the loop's clock."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._woken.wait()
        self._woken.clear()

    async def rest(self, until: float, ended: Callable[[], bool]) -> None:
        """Wait until a moment, whatever wakes: only `ended` ends it early."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while not ended():
                    self._woken.clear()
                    await self._woken.wait()
