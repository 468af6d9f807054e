# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI 3.1 document, made of the table that serves. Pure."""

from __future__ import annotations

from typing import Any

from . import routes, shapes

Json = dict[str, Any]
VERSION = "1.0.0"  # of the API: the first number is the one in the path

_ABOUT = """The API of a muster monitor. The monitor listens on loopback and Unix sockets only, and takes the caller's
identity from the kernel, never from the request. Everything that the page shows and does is here."""


def document() -> Json:
    """The whole document."""
    paths: Json = {}
    for route in routes.ROUTES:
        paths.setdefault(route.full_path, {})[route.method.lower()] = _operation(route)
    components = {**shapes.SCHEMAS, **routes.bodies()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "muster",
            "version": VERSION,
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: routes.Route) -> Json:
    operation: Json = {"operationId": route.name, "summary": route.summary, "responses": {}}
    if route.parameters:
        operation["parameters"] = [
            {"name": p.name, "in": p.place, "description": p.doc, "required": p.place == "path", "schema": p.schema}
            for p in route.parameters
        ]
    if route.body:
        schema = {"$ref": "#/components/schemas/%s" % route.body}
        operation["requestBody"] = {"required": True, "content": {routes.JSON_TYPE: {"schema": schema}}}
    for code, answer in route.answers.items():
        schema = {"$ref": "#/components/schemas/%s" % answer.schema} if answer.schema else {}
        if answer.media != routes.JSON_TYPE:
            schema = {"type": "string"}
        operation["responses"][str(code)] = {"description": answer.doc, "content": {answer.media: {"schema": schema}}}
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    doc = (
        "Refused before it was looked at: another host name, a page of another origin, a body that is no JSON, or a"
        " caller who uses more than a limit allows (429, or 503 where all together do); `Retry-After` says when to ask"
        " again."
    )
    operation["responses"]["default"] = {"description": doc, "content": {routes.JSON_TYPE: problem}}
    return operation
