# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the tests of the API: a client that shows status, headers and body, and the OpenAPI document at work."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from monitor.web.schema import openapi, routes

PATIENCE = 180.0  # s


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("muster", timeout=PATIENCE)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Through a Unix socket, or to an address and port, from an address."""

    def __init__(self, door: Path | tuple[str, int], source: str = "") -> None:
        self._door = door
        self._source = source

    def connection(self) -> http.client.HTTPConnection:
        if isinstance(self._door, Path):
            return _Unix(self._door)
        source = (self._source, 0) if self._source else None
        return http.client.HTTPConnection(*self._door, timeout=PATIENCE, source_address=source)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = self.connection()
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if data is not None else {}
            sent.update({name.replace("_", "-"): value for name, value in headers.items()})
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", routes.BASE + path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", routes.BASE + path, body, **headers)

    def stream(self, path: str = "/events/stream", **headers: str) -> Iterator[tuple[str, str, Any]]:
        """Event, id and data, as they come; a comment is the event "" with its text."""
        connection = self.connection()
        try:
            connection.request("GET", routes.BASE + path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            event, ident = "", ""
            for line in iter(answer.readline, b""):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if not line.strip():
                    event, ident = "", ""
                elif not name:
                    yield "", "", value
                elif name == "event":
                    event = value
                elif name == "id":
                    ident = value
                elif name == "data":
                    yield event, ident, json.loads(value)
        finally:
            connection.close()


def told(stream: Iterator[tuple[str, str, Any]], what: str, condition: Callable[[str, Any], object]) -> Any:
    """The data of the first event of which the condition holds, given its name and data.

    :raises AssertionError: when there is none within the deadline; a heartbeat comes often enough to notice.
    """
    end = time.monotonic() + PATIENCE
    for event, _, data in stream:
        if event and condition(event, data):
            return data
        assert time.monotonic() < end, "not told within %.0f s: %s" % (PATIENCE, what)
    raise AssertionError("the stream ended before it told: %s" % what)


def fits(answer: Answer, name: str) -> None:
    """The answer is one that the OpenAPI document promises for this operation."""
    document = openapi.document()
    route = next(route for route in routes.ROUTES if route.name == name)
    promised = document["paths"][route.full_path][route.method.lower()]["responses"]
    assert str(answer.status) in promised, "%s answered %d: %r" % (name, answer.status, answer.body[:500])
    [(media, content)] = promised[str(answer.status)]["content"].items()
    assert answer.headers["content-type"].partition(";")[0] == media
    if media == routes.JSON_TYPE:
        schema = {**content["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate(answer.json)
