# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes about the monitor itself: its figures, and whether it supervises."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from .desk import Desk, NotNow, encode
from .doors.limits import Limits

if TYPE_CHECKING:
    from .events import Hub

TURN_LATE_SECONDS = 10.0  # without a turn of the monitor's loop, after which `/healthz` fails
STATUS_OLD_SECONDS = 15.0  # without a status that could be read, after which `/healthz` fails
READ_WITHIN_SECONDS = 5.0  # a status that `/healthz` needs


class HealthRoutes:
    """A part of `app.Api`."""

    _desk: Desk
    _hub: Hub
    _limits: Limits

    async def metrics(self, request: Request) -> Response:
        picture = await self._desk.picture()
        facts = {
            "status": picture.document,
            "snapshot": await self._desk.core.seen(),
            "counts": dict(self._desk.core.counts),
            "now": time.time(),
            "turned": self._turned(),
            "streams": self._hub.streams,
            "connections": sum(self._limits.connections.values()),
            "refused": self._limits.refused,
        }
        body, content_type = await self._desk.run(_exposition, facts, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def healthz(self, request: Request) -> Response:
        snapshot = await self._desk.core.seen()
        turned = self._turned()
        facts = {"turned": round(turned or 0.0, 3), "revision": int(snapshot.get("revision", -1))}
        why = ""
        if turned is None or turned > TURN_LATE_SECONDS:
            why = (
                "the monitor's loop has not turned for %.0f s" % turned
                if turned
                else "the monitor's loop has not begun"
            )
        elif facts["revision"] < 0:
            why = "the monitor has no watch list: deploy the site"
        elif self._desk.stamp("watch.json") is None:
            why = "the watch list is gone from %s: reconcile writes it again" % self._desk.state_dir
        elif snapshot.get("failing"):
            why = "%s; its log says more" % snapshot["failing"]
        elif snapshot.get("no_runs"):
            why = "the monitor cannot run playbooks: %s" % snapshot["no_runs"]["why"]
        else:
            why = await self._unreadable()
        body = encode({"ok": not why, "why": why, **facts})
        return Response(body, 503 if why else 200, media_type="application/json")

    async def _unreadable(self) -> str:
        """Why the status has been unreadable for too long; "" when it is readable or was a short time ago."""
        if self._desk.age < STATUS_OLD_SECONDS:
            return ""
        why = "reading it takes too long"
        try:
            async with asyncio.timeout(READ_WITHIN_SECONDS):
                await self._desk.picture()
            return ""
        except TimeoutError:
            pass
        except NotNow as error:
            why = str(error)
        except Exception as error:
            self._desk.journal.failed("the reading of the status", error)
            why = self._desk.journal.defect
        return "the status has not been readable for %.0f s: %s" % (self._desk.age, why)

    def _turned(self) -> float:
        """Seconds since the monitor's loop turned last."""
        return max(0.0, time.monotonic() - self._desk.core.turned)


def _exposition(facts: dict[str, Any], accept: str) -> tuple[bytes, str]:
    from .metrics import exposition, monitor

    return exposition.exposition(monitor.Facts(**facts), accept)
