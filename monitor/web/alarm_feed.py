# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of alarms for the stream: read again when the monitor has judged, sent when it differs."""

from __future__ import annotations

from typing import Any

from ..core.controller import alarm_calls
from ..core.controller.past import PAST_FILE
from .desk import Desk, encode

MOVES = ("at", "looked", "rates")  # fields that change although nothing happens


class AlarmFeed:
    """Belongs to the hub."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stamp: Any = None
        self._shown: Any = None
        self.event = b""
        self.version = 0

    def stamp(self) -> Any:
        """Another one means that the monitor has judged since."""
        return [self._desk.stamp(PAST_FILE + end) for end in ("", "-wal")]

    async def read(self, document: dict[str, Any]) -> None:
        """:param document: the status document of now."""
        stamp = [self.stamp(), document["marks"], document["monitor"]["state"]]
        if stamp == self._stamp and self.event:
            return
        found = await self._desk.run(alarm_calls.alarms, str(self._desk.state_dir), document)
        self._stamp = stamp
        shown = {key: value for key, value in found.items() if key not in MOVES}
        if shown != self._shown:
            self._shown, self.event = shown, message("alarms", encode(found))
            self.version += 1


def message(event: str, data: bytes, ident: Any = None) -> bytes:
    """One event; `data` is JSON on one line."""
    head = b"id: %d\n" % ident if ident is not None else b""
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), data)
