# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether something takes connections: the weakest probe, it stays green for a bus that hangs.

The connection is held, so that a crash is seen at once; at each turn a second one is made and dropped again.
"""

from __future__ import annotations

import asyncio

from ._held import HeldProbe


class Probe(HeldProbe):
    """Nothing is ever sent. What the other side says is not looked at."""

    _asking: asyncio.Task[None] | None = None

    def ask(self) -> None:
        if not self._good:
            self._loop.call_soon(self.answered)  # the link itself is the answer
            return
        if self._asking is None or self._asking.done():
            self._asking = self._loop.create_task(self._look())

    def received(self, data: bytes) -> None:
        """Any bus may greet."""

    def stop(self) -> None:
        super().stop()
        if self._asking is not None:
            self._asking.cancel()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(self.target.timeout):
                transport, _unused = await self._loop.create_connection(
                    asyncio.Protocol, self.target.address, self.target.port
                )
        except (OSError, TimeoutError):
            return  # the deadline of the question says the rest
        transport.abort()
        self.answered()
