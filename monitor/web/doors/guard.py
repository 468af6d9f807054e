# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps pages of other origins out: a browser on this machine reaches loopback for any page it shows.

A name in `Host` that is not loopback is a rebound DNS name; an `Origin` that is not this very address is another page.
What changes something must be JSON: a plain form cannot send that. A page of elsewhere may link to the page, and load
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...core.model.api import is_loopback

LARGEST = 65536  # bytes of a body
COMMAND_LINE = "muster"  # the Host that command lines write, without a port, on Unix sockets. A browser names the port
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::[0-9]{1,5})?\Z")
HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


def refusal(method: str, headers: Mapping[str, str], unix: bool = False) -> tuple[int, str] | None:
    """Status and sentence for a request that is not let in. Header names in small letters. Pure.

    :param unix: it came through a Unix socket.
    """
    host = headers.get("host", "")
    if not (_ours(host) or (unix and host == COMMAND_LINE)):
        return 421, "this is not %s: ask for this monitor by a loopback address or localhost" % (host or "a known host")
    origin = headers.get("origin")
    if origin is not None and origin.lower() != "http://" + host.lower():
        return 403, "pages of %s may not use this API" % origin[:100]
    followed = method == "GET" and headers.get("sec-fetch-mode") == "navigate"  # a link, or a frame, which CSP refuses
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not followed:
        return 403, "pages of other sites may not use this API"
    if method in ("GET", "HEAD", "OPTIONS", "TRACE"):  # these change nothing; the last two are served nowhere
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return 415, "the body must be application/json, not %s" % (kind or "of no type")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return 415, "the body must not be compressed"
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > LARGEST:
        return 413, "the body is larger than %d bytes" % LARGEST
    return None


async def _swallow(receive: Receive) -> None:
    """Take a body that is not too large: a client that is still sending when we close would not see the answer."""
    left = 16 * LARGEST
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _ours(host: str) -> bool:
    found = _HOST.match(host)
    name = (found[1] or found[2]) if found else ""
    return name.lower() == "localhost" or is_loopback(name)


async def answer_refused(
    scope: Scope, receive: Receive, send: Send, status: int, sentence: str, again: int = 0
) -> None:
    """Answer a request that is not let in, and close the connection.

    :param again: seconds after which it makes sense to try again; 0 when it never does.
    """
    await _swallow(receive)
    headers = {name.decode(): value.decode() for name, value in HEADERS.items()}
    headers.update({"connection": "close", **({"retry-after": str(again)} if again else {})})
    response: Any = JSONResponse({"error": sentence}, status, headers)
    await response(scope, receive, send)


class Guard:
    """The middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _unused in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in HEADERS.items() if h[0] not in given)]
            await send(message)

        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            # Two of these are a trick; together they are no known name.
            headers[key] = (
                "%s, %s" % (headers[key], value.decode("latin-1")) if key in headers else value.decode("latin-1")
            )
        refused = refusal(scope["method"], headers, unix=scope.get("server") is None or scope["server"][1] is None)
        if refused is not None:
            await answer_refused(scope, receive, send_with_headers, *refused)
            return
        await self._app(scope, receive, send_with_headers)
