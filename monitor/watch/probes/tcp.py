# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether something takes connections: the weakest probe, it stays green for a bus that hangs.

The connection is held, so that a crash is seen at once; at each turn a second one is made and dropped again.
"""

from __future__ import annotations

import asyncio
import socket

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
        transport = self._link.transport if self._link is not None else None
        if transport is None or (held := transport.get_extra_info("socket")) is None:
            return  # the link is gone, which `link_lost` reports
        # A bare socket: what a transport costs to make and end would be most of what watching a thousand buses costs.
        try:
            other = socket.socket(held.family, socket.SOCK_STREAM)
        except OSError as error:
            self.unsure("%s cannot be asked: %s" % (self._where(), error.strerror))
            return
        with other:
            other.setblocking(False)
            try:
                async with asyncio.timeout(self.target.timeout):
                    await self._loop.sock_connect(other, held.getpeername())
            except (OSError, TimeoutError):
                return  # the deadline of the question says the rest
        self.answered()
