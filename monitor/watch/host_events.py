# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that a host reports: checked, about that host only, and not more than can be worked off.

A host may be damaged or lie. What does not fit is left out and told once; it costs no other host anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..base.bucket import Bucket
from ..core.model import answers

EVENTS = (20.0, 400.0)  # a second, and at once: all programs of a full host may end together


class HostEvents:
    """Takes the events of one host."""

    def __init__(self, host: str, received: Callable[[dict[str, Any]], None], complain: Callable[[str], None]) -> None:
        self._host = host
        self._received = received
        self._complain = complain
        self._bucket = Bucket(*EVENTS, at=time.monotonic())
        self._told: set[str] = set()

    def take(self, event: Any) -> None:
        """Pass an event on, with the name of the host that it came from."""
        now = time.monotonic()
        if self._bucket.wait(now):
            self._tell("reports more than %d events a second: those are left out" % EVENTS[0])
            return
        self._bucket.take(1, now)
        try:
            found = answers.event(event, self._host)
        except answers.Nonsense as error:
            self._tell(str(error))
            return
        self._received(found)

    def _tell(self, what: str) -> None:
        if what not in self._told and len(self._told) < 10:
            self._told.add(what)
            self._complain("%s %s" % (self._host, what))
