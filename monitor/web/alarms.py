# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes about alarms and the past."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from ..core.alarms import handover, view
from ..core.controller import alarm_calls, trail_search
from ..core.requests.read import RequestErrors
from .desk import Desk, encode
from .heard import need_heard
from .schema import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_TYPE = "application/json"
WORDS = ("what", "subject", "item", "host", "person", "word")


class AlarmRoutes:
    """A part of `app.Api`."""

    _desk: Desk

    async def alarms(self, request: Request) -> Response:
        return Response(encode(await self._alarms()), media_type=JSON_TYPE)

    async def alarms_text(self, request: Request) -> Response:
        return _text(view.lines(await self._alarms(), time.time()))

    async def _alarms(self) -> dict[str, Any]:
        document = (await self._desk.picture()).document
        found: dict[str, Any] = await self._desk.run(alarm_calls.alarms, str(self._desk.state_dir), document)
        return found

    async def past(self, request: Request) -> Response:
        query = request.query_params
        wanted: dict[str, Any] = {name: query.get(name) for name in WORDS}
        wanted.update(moments_of(query, time.time()))
        wanted.update({name: int(query[name]) for name in ("after", "limit") if name in query})
        entries = await self._desk.run(alarm_calls.history, str(self._desk.state_dir), wanted)
        if not entries:
            await need_heard(self._desk, query)
        last = entries[-1]["id"] if entries else wanted.get("after") or 0
        return Response(encode({"past": entries, "last": last}), media_type=JSON_TYPE)

    async def handover(self, request: Request) -> Response:
        return Response(encode(await self._handover(request)), media_type=JSON_TYPE)

    async def handover_text(self, request: Request) -> Response:
        return _text(handover.lines(await self._handover(request)))

    async def _handover(self, request: Request) -> dict[str, Any]:
        wanted = moments_of(request.query_params, time.time())
        document = (await self._desk.picture()).document
        state_dir = str(self._desk.state_dir)
        found: dict[str, Any] = await self._desk.run(
            alarm_calls.handed_over, state_dir, document, self._trail, wanted)  # fmt: skip
        return found

    def _trail(self, since: float) -> list[dict[str, Any]]:
        return self._desk.search_trail(trail_search.Wanted(since), frozenset(), trail_search.MOST_READ)

    async def availability(self, request: Request) -> Response:
        wanted = moments_of(request.query_params, time.time())
        items = [item["item"] for item in (await self._desk.picture()).document["items"]]
        found = await self._desk.run(alarm_calls.available, str(self._desk.state_dir), wanted, items)
        if request.query_params.get("form") == "csv":
            return Response(alarm_calls.table(found["items"]), media_type="text/csv")
        return Response(encode(found), media_type=JSON_TYPE)


def _text(lines: list[str]) -> Response:
    return Response("\n".join(lines) + "\n", media_type="text/plain")


def moments_of(query: Mapping[str, str], now: float) -> dict[str, float | None]:
    """:raises RequestErrors:"""
    found, problems = parameters.span(query, now)
    if problems:
        raise RequestErrors(problems)
    return found
