# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes about asking for windows, and about what happened in some time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from ..core.controller import alarm_calls, trail_search
from .alarms import JSON_TYPE, moments_of
from .desk import Desk, encode
from .heard import need_heard

if TYPE_CHECKING:
    from .doors.caller import Caller
    from .events import Hub

FILTERS = ("item", "host", "person", "word")
MOST = 300  # entries where no number is given


class StoryRoutes:
    """A part of `app.Api`."""

    _desk: Desk
    _hub: Hub

    async def _caller(self, request: Request) -> Caller:
        raise NotImplementedError

    async def _body_of(self, request: Request, name: str) -> Any:
        raise NotImplementedError

    async def ask(self, request: Request) -> Response:
        body = await self._body_of(request, "Ask")
        found = await self._hub.asks.ask(await self._caller(request), body["item"], str(body.get("why") or "").strip())
        return Response(encode(found), media_type=JSON_TYPE)

    async def answer_ask(self, request: Request) -> Response:
        body = await self._body_of(request, "AskAnswer")
        found = self._hub.asks.answer(await self._caller(request), request.path_params["id"], body["answer"])
        return Response(encode(found), media_type=JSON_TYPE)

    async def story(self, request: Request) -> Response:
        query = request.query_params
        wanted: dict[str, Any] = {name: query[name] for name in FILTERS if query.get(name)}
        times = moments_of(query, time.time())
        limit = int(query.get("limit") or MOST)
        instances = (await self._desk.picture()).document["instances"]
        names = {n for n, entry in instances.items() if entry["item"] == wanted.get("item")}
        changes = await self._desk.run(
            alarm_calls.history, str(self._desk.state_dir), {**wanted, **times, "limit": limit + 1}
        )
        asked = trail_search.Wanted(times["since"], times["until"], **wanted)
        told = await self._desk.run(self._desk.search_trail, asked, names, limit + 1)
        merged = [dict(e, kind="change") for e in changes] + [dict(e, kind="trail") for e in told]
        if not merged:
            await need_heard(self._desk, query)
        merged.sort(key=lambda entry: float(entry["at"]))
        return Response(encode({"story": merged[-limit:], "more": len(merged) > limit}), media_type=JSON_TYPE)
