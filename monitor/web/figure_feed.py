# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs use, for streams of events that want it at an interval: one taking serves all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .alarm_feed import message
from .desk import NotNow, encode
from .figure_sampler import Sampler

LEAST_SECONDS, MOST_SECONDS = 2, 3600  # of an interval
SHARE = 10  # times what a taking lasts: so long it serves, so that hosts are not asked all the time
KEYS = ("instance", "program", "host", "pid", "since", "cpu", "used", "memory", "threads", "files", "processes",
        "restarts")  # fmt: skip


class FigureFeed:
    """Belongs to the hub.

    :param ring: called when there is something new. :param failed: logs a defect.
    """

    def __init__(
        self, sampler: Sampler, ring: Callable[[], None], failed: Callable[[str, Exception], None]
    ) -> None:
        self._sampler = sampler
        self._failed = failed
        self._ring = ring
        self._task: asyncio.Task[None] | None = None
        self._again = 0.0  # monotonic, from when on another one may be taken
        self.made = 0.0  # seconds since 1970
        self.event = b""
        self.version = 0

    def want(self, since: float) -> bool:
        """Whether what is there is not older; takes it again where it is, beside what the caller does.

        :param since: seconds since 1970.
        """
        if self.made >= since:
            return True
        if self._task is None and time.monotonic() >= self._again:
            self._task = asyncio.get_running_loop().create_task(self._take())
        return False

    async def _take(self) -> None:
        began = time.monotonic()
        why = ""
        try:
            _names, found = await self._sampler.take()
        except NotNow as error:
            found, why = {"programs": [], "silent": {}}, str(error)
        except Exception as error:
            self._failed("the figures of programs", error)
            found, why = {"programs": [], "silent": {}}, "the monitor failed at it; its log says more"
        finally:
            self._task = None
            self._again = time.monotonic() + SHARE * (time.monotonic() - began)
        at = time.time()
        document = {
            "at": round(at, 3), "took": round(time.monotonic() - began, 3), "silent": found["silent"],
            "programs": [{key: program[key] for key in KEYS} for program in found["programs"]],
            **({"why": why} if why else {}),
        }  # fmt: skip
        self.made, self.event = at, message("figures", encode(document))
        self.version += 1
        self._ring()


class Turn:
    """When one stream gets them: once in each interval, at the same moments as other streams of that interval."""

    def __init__(self, feed: FigureFeed, seconds: float) -> None:
        """:param seconds: 0: never."""
        self._feed = feed
        self._seconds = seconds
        self._slot = -1.0
        self._version = -1

    def event(self) -> bytes:
        """What is to be sent now; empty when nothing is."""
        if not self._seconds:
            return b""
        slot = time.time() // self._seconds
        if slot == self._slot or not self._feed.want(slot * self._seconds):
            return b""
        self._slot = slot
        if self._version == self._feed.version:
            return b""
        self._version = self._feed.version
        return self._feed.event

    def left(self) -> float:
        """Seconds until there may be something."""
        if not self._seconds:
            return float("inf")
        now = time.time()
        slot = now // self._seconds
        return 1.0 if slot != self._slot else (slot + 1) * self._seconds - now
