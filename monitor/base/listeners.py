# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets others follow that something changed."""

from __future__ import annotations

import asyncio


class Listened:
    """Something that others follow. Belongs to one event loop."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def subscribe(self) -> asyncio.Event:
        """An event that is set whenever something changed; the subscriber clears it. End with `unsubscribe`."""
        event = asyncio.Event()
        self._listeners.add(event)
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        self._listeners.discard(event)

    def _tell(self) -> None:
        for event in self._listeners:
            event.set()
