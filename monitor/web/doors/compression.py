# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compresses answers.

The size of a compressed answer tells something of its content to somebody who sees sizes and can choose a part of that
content (BREACH). Here nobody gains from it: no answer holds a cookie, a token or a password, since the connection shows
the caller; a page of another origin cannot even ask (`guard`); and what may hold secrets of programs, their logs and
last words, is never compressed.
"""

from __future__ import annotations

import asyncio
import gzip
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .meter import METERED

LEAST = 1024  # bytes that are worth it
LARGE = 65536  # bytes that are compressed in a thread
LEVEL = 1  # most of the gain; higher ones cost more time than the bytes do on loopback and ssh
REMEMBERED = 4  # bodies that several callers get, such as the status
TYPES = ("application/json", "text/plain", "text/html", "text/css", "text/csv", "text/javascript", "image/svg+xml")


class Compression:
    """The middleware around the application.

    :param never: beginnings of the paths whose answers may hold secrets.
    """

    def __init__(self, app: ASGIApp, never: tuple[str, ...]) -> None:
        self._app = app
        self._never = never
        self._known: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._never) or not accepts(scope):
            await self._app(scope, receive, send)
            return
        head: Message | None = None

        async def squeezed(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                if compressible(message):
                    head = message  # its length is known with the body
                else:
                    await send(message)
                return
            if head is not None:
                start, head = head, None
                body = message.get("body", b"")
                headers = [h for h in start["headers"] if h[0].lower() != b"content-length"]
                if len(body) >= LEAST and not message.get("more_body"):
                    body = await self._compressed(body)
                    headers.append((b"content-encoding", b"gzip"))
                if not message.get("more_body"):
                    headers.append((b"content-length", b"%d" % len(body)))
                await send({**start, "headers": [*headers, (b"vary", b"accept-encoding")]})
                message = {**message, "body": body}
            await send(message)

        await self._app(scope, receive, squeezed)

    async def _compressed(self, body: bytes) -> bytes:
        for known, found in self._known:
            if known is body:
                return found
        if len(body) < LARGE:
            return gzip.compress(body, LEVEL, mtime=0)
        found, seconds = await asyncio.to_thread(_timed, body)
        account = METERED.get()
        if account is not None:
            account.worked(seconds, time.monotonic())
        self._known = [*self._known[-REMEMBERED + 1 :], (body, found)]
        return found


def _timed(body: bytes) -> tuple[bytes, float]:
    began = time.thread_time()
    return gzip.compress(body, LEVEL, mtime=0), time.thread_time() - began


def accepts(scope: Scope) -> bool:
    """Whether the caller takes gzip. Pure."""
    taken: dict[str, bool] = {}
    for name, value in scope["headers"]:
        if name.lower() == b"accept-encoding":
            for part in value.decode("latin-1").split(","):
                coding, _unused, quality = part.strip().lower().partition(";")
                taken[coding.strip()] = quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return taken.get("gzip", taken.get("*", False))  # what is said of gzip itself counts, wherever it stands


def compressible(start: Message) -> bool:
    """Whether an answer is a text that is not compressed yet. Pure."""
    headers = {name.lower(): value for name, value in start["headers"]}
    if start["status"] in (204, 304) or b"content-encoding" in headers:
        return False
    return headers.get(b"content-type", b"").partition(b";")[0].decode("latin-1").strip() in TYPES
