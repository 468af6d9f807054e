# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves the page: `static/index.html` at `/`, and the files that it loads below `/static/`; it loads nothing else.

The files are few and small: they are read once, so that a request reads no disk.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Only these files are scripts, and no text is ever taken for markup.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def _has(known: str, etag: str) -> bool:
    """Whether a client has this version: of the list that it gives, also where a proxy calls it a weak one."""
    return etag in (one.strip().removeprefix("W/") for one in known.split(",")) or known.strip() == "*"


def routes() -> list[BaseRoute]:
    """For the application."""
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}
    version = hashlib.sha256(b"".join(files.values())).hexdigest()[:16]
    headers = {
        "cache-control": "no-cache",  # a page that stays open over an update loads all files again
        "content-security-policy": POLICY,
        "etag": '"%s"' % version,
    }

    def served(name: str, request: Request) -> Response:
        if name not in files:
            return Response("there is no %s here" % name[:100], 404, media_type="text/plain")
        if _has(request.headers.get("if-none-match", ""), headers["etag"]):
            return Response(None, 304, headers)
        return Response(files[name], 200, {**headers, "content-type": _TYPES[Path(name).suffix]})

    async def page(request: Request) -> Response:
        return served("index.html", request)

    async def static(request: Request) -> Response:
        return served(request.path_params["name"], request)

    return [Route("/", page, name="page"), Route("/static/{name}", static, name="static")]
