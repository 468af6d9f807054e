# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The route by which a person takes back a single request that waits."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..core.controller.asked import BEGUN, GONE, NOT_YOURS, WITHDRAWN
from ..core.model.asked import subject, too_late
from .desk import Desk, NotNow, encode
from .doors.caller import ADMINISTER, Caller

JSON_TYPE = "application/json"
STATUS = {NOT_YOURS: 403, GONE: 404, BEGUN: 409}


class WithdrawRoutes:
    """A part of `app.Api`."""

    _desk: Desk

    async def _caller(self, request: Request) -> Caller:
        raise NotImplementedError

    async def _body_of(self, request: Request, name: str) -> Any:
        raise NotImplementedError

    async def withdraw(self, request: Request) -> Response:
        ident, body = request.path_params["id"], await self._body_of(request, "Withdrawal")
        ticket = self._desk.ticket(ident)
        if ticket is not None and ticket.task.done():
            known = ticket.to_json()
            came = "; ".join((known.get("answer") or {}).get("said") or []) or str(known.get("error") or "it is done")
            return _said(409, error="%s has ended already: %s" % (subject(ticket.request.to_json()), came))
        who = await self._caller(request)
        by = {"who": who.who, "from": who.host, "why": body.get("why") or "", "anyone": ADMINISTER in who.may}
        found = await self._desk.core.withdraw(ident, by)
        result, said = found["result"], str(found["said"])
        if result == WITHDRAWN:
            return _said(200, ok=True, said=[said], results={})
        if result == GONE and ticket is not None:
            result, said = BEGUN, too_late(ticket.request.to_json())
        if result not in STATUS:
            raise NotNow(said)
        return _said(STATUS[result], error=said)


def _said(status: int, **document: Any) -> Response:
    return Response(encode(document), status, media_type=JSON_TYPE)
