# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what each request uses, and refuses it when its caller used too much: before its body is read."""

from __future__ import annotations

import time
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .guard import answer_refused
from .limits import Account, Refusal

ACCOUNT = "muster.account"  # keys of the ASGI scope: the caller's account, set by `wire`
REFUSAL = "muster.refusal"  # why the request would be refused; None when it is not
METERED: ContextVar[Account | None] = ContextVar("metered", default=None)  # whose request the current task serves


class Meter:
    """The middleware around the application.

    :param stream: the path whose answers never end; they have a limit of their own.
    :param urgent: the path where callers who may act are never refused here: the application decides by what is asked.
    """

    def __init__(self, app: ASGIApp, stream: str, urgent: str) -> None:
        self._app = app
        self._stream = stream
        self._urgent = urgent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        account: Account | None = scope.get(ACCOUNT)
        if account is None:
            await self._app(scope, receive, send)
            return
        refusal: Refusal | None = account.request(time.monotonic())
        scope[REFUSAL] = refusal
        urgent = account.principal.acts and scope["method"] == "POST" and scope["path"] == self._urgent
        if refusal is not None and not urgent:
            await answer_refused(scope, receive, send, refusal.status, refusal.sentence, refusal.again)
            return
        METERED.set(account)
        if scope["path"] == self._stream:
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            account.sent(len(message.get("body", b"")), time.monotonic())
            await send(message)

        account.under_way += 1
        try:
            await self._app(scope, receive, counted)
        finally:
            account.under_way -= 1
