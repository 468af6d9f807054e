# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The route about commands beside programs: part of `app.Api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from .desk import Desk, NotNow, Unknown, encode

if TYPE_CHECKING:
    from .doors.caller import Caller


class ExecRoutes:
    """A part of `app.Api`."""

    _desk: Desk

    async def _caller(self, request: Request) -> Caller:
        raise NotImplementedError

    async def _body_of(self, request: Request, name: str) -> Any:
        raise NotImplementedError

    def administers(self, who: Caller, what: str) -> None:
        raise NotImplementedError

    async def execute(self, request: Request) -> Response:
        caller = await self._caller(request)
        self.administers(caller, "run commands beside programs")
        body = await self._body_of(request, "Execution")
        came = await self._desk.core.execute({**body, "who": caller.who, "from": caller.host})
        if came.get("error") and came.get("begun"):
            raise NotNow(came["error"])
        if came.get("error"):
            raise Unknown(came["error"], name=bool(came.get("unknown")))
        return Response(encode(came), media_type="application/json")
