# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages between the supervising process and the one that serves the API: JSON objects over a pair of sockets.

Neither side ever waits for the other: what the other side does not read is kept up to a limit, and then refused.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

Json = dict[str, Any]
LARGEST_BYTES = 256 << 20  # of a message: a site of 10,000 items needs a few MB
KEPT_BYTES = 8 << 20  # that wait until the other side reads them; one message more is always taken
_HEAD = struct.Struct("!I")


class Closed(Exception):
    """The other side is gone."""


class Channel:
    """One end. `send` never waits; `receive` is for one task."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, message: Json) -> bool:
        """:return: False when the other side has not read enough of what was sent before: the message is dropped."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > KEPT_BYTES:
            return False
        data = json.dumps(message, separators=(",", ":"), default=str).encode()
        self._writer.write(_HEAD.pack(len(data)) + data)
        return True

    @property
    def closing(self) -> bool:
        return self._writer.transport.is_closing()

    async def receive(self) -> Json:
        """:raises Closed:"""
        try:
            size = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))[0]
            if size > LARGEST_BYTES:
                raise Closed("a message of %d bytes" % size)
            message = json.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            raise Closed(str(error)) from None
        if not isinstance(message, dict):
            raise Closed("a message that is none")
        return message

    def close(self) -> None:
        self._writer.close()
