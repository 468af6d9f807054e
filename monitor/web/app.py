# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: one method per route of `routes.ROUTES`."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Served

from ..core.compile import errors
from ..core.model import sentences
from ..core.report import status_text
from ..core.requests import check
from ..core.requests.read import RequestErrors
from . import events, page
from .desk import Desk, NotNow, Unknown, encode
from .doors import caller, guard
from .doors.caller import ACT, Caller, Connection
from .doors.limits import Account, Limits, Refusal
from .doors.meter import ACCOUNT, REFUSAL, Meter
from .doors.wire import ABORT, CONNECTION
from .history import History
from .schema import actions, openapi, routes

TURN_LATE_SECONDS = 10.0  # without a turn of the monitor's loop, after which `/healthz` fails
STATUS_OLD_SECONDS = 15.0  # without a status that could be read, after which `/healthz` fails
READ_WITHIN_SECONDS = 5.0  # a status that `/healthz` needs
LARGE_BYTES = 4096  # a body that is checked in a thread
STREAM = routes.BASE + "/events/stream"
ACTIONS = routes.BASE + "/actions"
ALWAYS = ("stop", "close")  # kinds of requests that no limit holds up
AGAIN_SECONDS = 2  # when what cannot be read now is worth another try

Handler = Callable[[Request], Awaitable[Response]]


class Wrong(Exception):
    """The request is refused: HTTP status, one sentence, every error of the body, and when to try again."""

    def __init__(self, status: int, sentence: str, problems: list[check.Error] | None = None, again: int = 0) -> None:
        super().__init__(sentence)
        self.status = status
        self.problems = problems
        self.again = again


class Api:
    def __init__(self, desk: Desk, hub: events.Hub, history: History, limits: Limits) -> None:
        self._limits = limits
        self._desk = desk
        self._hub = hub
        self._history = history
        self._openapi = encode(openapi.document())

    def served(self) -> list[BaseRoute]:
        return [
            Served(route.full_path, self._handler(route), methods=[route.method], name=route.name)
            for route in routes.ROUTES
        ]

    def _handler(self, route: routes.Route) -> Handler:
        serve: Handler = getattr(self, route.name)

        async def handle(request: Request) -> Response:
            try:
                self._parameters(route, request)
                if route.acts and ACT not in (await self._caller(request)).may:
                    raise Wrong(403, "only the owner of %s may act; you may look" % self._desk.state_dir)
                return await serve(request)
            except ClientDisconnect:
                return Response(status_code=408)  # nobody reads it
            except Wrong as wrong:
                return _problem(wrong.status, str(wrong), wrong.problems, wrong.again)
            except Unknown as error:
                unknown = [dict(check.error("", str(error), None), unknown=True)] if error.name else None
                return _problem(404 if route.method == "GET" else 422, str(error), unknown)
            except NotNow as error:
                return _problem(503, str(error), again=AGAIN_SECONDS)

        return handle

    @staticmethod
    def _parameters(route: routes.Route, request: Request) -> None:
        """Check the query parameters. :raises Wrong: for unknown ones, and for values of the wrong kind."""
        known = {p.name: p for p in route.parameters if p.place == "query"}
        problems: list[check.Error] = []
        for name, text in request.query_params.multi_items():
            if len(problems) >= check.MOST:
                break
            if name not in known:
                problems.append(dict(check.unknown(name, name, known), value=text[:60]))
                continue
            value: Any = text
            if known[name].schema["type"] == "integer":
                value = int(text) if text.isdecimal() and len(text) < 16 else text
            problems += check.errors(value, known[name].schema, name)
        if problems:
            raise Wrong(422, check.sentence(problems), problems)

    async def _caller(self, request: Request) -> Caller:
        connection: Connection = request.scope[CONNECTION]
        facts = await self._desk.site()
        return await self._desk.run(caller.caller, connection, facts.places)

    async def status(self, request: Request) -> Response:
        return _json((await self._desk.picture()).body)

    async def status_text(self, request: Request) -> Response:
        document = (await self._desk.picture()).document
        text = status_text.render_table(document, _whole(request, "width") or status_text.WIDTH)
        return Response(text, media_type=routes.TEXT_TYPE)

    async def plan(self, request: Request) -> Response:
        return _json(encode(await self._desk.plan()))

    async def events(self, request: Request) -> Response:
        after = _whole(request, "after")
        entries = await self._desk.trail(after, _whole(request, "limit") or 100, request.query_params.get("instance"))
        last = entries[-1]["id"] if entries else after or 0
        return _json(encode({"events": entries, "last": last}))

    async def stream(self, request: Request) -> Response:
        last = request.headers.get("last-event-id", "").strip()
        if last and not (last.isdecimal() and len(last) < 16):
            problem = check.error("Last-Event-ID", "must be the number of an event", last)
            raise Wrong(422, check.sentence([problem]), [problem])
        account: Account = request.scope[ACCOUNT]
        refusal = self._limits.stream(account)
        if refusal is not None:
            raise Wrong(refusal.status, refusal.sentence, again=refusal.again)
        try:
            bell = await self._hub.open()
        except BaseException:
            self._limits.stream_over(account)
            raise
        after = int(last) if last else _whole(request, "after")

        def over() -> None:
            self._limits.stream_over(account)

        # Not a Response: Starlette only requires something that can be called like one.
        return cast(Response, events.EventStream(self._hub, bell, after, request.scope[ABORT], over))

    async def history(self, request: Request) -> Response:
        return _json(encode(self._history.to_json()))

    async def why(self, request: Request) -> Response:
        name = request.path_params["instance"]
        document = (await self._desk.picture()).document
        instance = document["instances"].get(name)
        if instance is None:
            raise Wrong(404, "there is no instance %s%s" % (name, sentences.did_you_mean(name, document["instances"])))
        trail = await self._desk.trail(None, _whole(request, "limit") or 12, name)
        try:
            plan: dict[str, Any] | None = await self._desk.plan()
            error = ""
        except NotNow as reason:
            plan, error = None, str(reason)
        answer: dict[str, Any] = {"instance": dict(instance, name=name), "plan": plan, "trail": trail}
        answer["intents"] = [i for i in document["monitor"].get("intents") or [] if i.get("instance") == name]
        if error:
            answer["error"] = error
        return _json(encode(answer))

    async def explain(self, request: Request) -> Response:
        return _json(encode(await self._desk.question("explain", item=request.path_params["item"])))

    async def what_if(self, request: Request) -> Response:
        body, size = await _body(request)
        problems = await self._checked(size, check.errors, body, routes.bodies()["WhatIf"])
        if problems:
            raise Wrong(422, check.sentence(problems), problems)
        answer = await self._desk.question("what_if", assume=body)
        return _json(encode({**answer, "answers": await self._desk.answers(body.get("down") or [])}))

    async def _checked(self, size: int, work: Callable[..., Any], *arguments: Any) -> Any:
        """Check a body; a large one in a thread, so that others are answered meanwhile."""
        return await self._desk.run(work, *arguments) if size > LARGE_BYTES else work(*arguments)

    async def whoami(self, request: Request) -> Response:
        return _json(encode((await self._caller(request)).to_json()))

    async def act(self, request: Request) -> Response:
        body, size = await _body(request)
        refusal: Refusal | None = request.scope.get(REFUSAL)
        always = isinstance(body, dict) and body.get("kind") in ALWAYS
        if refusal is not None and not always:
            raise Wrong(refusal.status, refusal.sentence, again=refusal.again)
        names, who = await self._desk.names(), await self._caller(request)
        try:
            wanted = await self._checked(size, actions.request_of, body, names, who)
        except RequestErrors as wrong:
            raise Wrong(422, str(wrong), wrong.errors) from None
        if request.query_params.get("dry_run") == "1":
            save, approve = (request.query_params.get(name) == "1" for name in ("save", "approve"))
            return _json(encode(await self._desk.dry_run(wanted, save, approve)))
        if request.query_params.get("wait") == "0":
            ticket = self._desk.begin(wanted, always)
            where = "%s/actions/%s" % (routes.BASE, ticket.id)
            return _json(encode(ticket.to_json()), 202, {"location": where})
        try:
            return _json(encode(await self._desk.ask(wanted, always)))
        except NotNow:
            raise
        except Exception as error:
            raise Wrong(500, "the request failed in the monitor: %s; its log says more" % error) from error

    async def ticket(self, request: Request) -> Response:
        ticket = self._desk.ticket(request.path_params["id"])
        if ticket is None:
            name = errors.show(request.path_params["id"])
            raise Wrong(404, "there is no request %s, or its answer is no longer kept" % name)
        if wait := _whole(request, "wait"):
            await asyncio.wait([ticket.task], timeout=wait)
        return _json(encode(ticket.to_json()))

    async def openapi(self, request: Request) -> Response:
        return _json(self._openapi)

    async def metrics(self, request: Request) -> Response:
        picture = await self._desk.picture()
        facts = {
            "status": picture.document,
            "snapshot": await self._desk.core.seen(),
            "counts": dict(self._desk.core.counts),
            "now": time.time(),
            "turned": self._turned(),
            "streams": self._hub.streams,
            "connections": sum(self._limits.connections.values()),
            "refused": self._limits.refused,
        }
        body, content_type = await self._desk.run(_exposition, facts, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def healthz(self, request: Request) -> Response:
        snapshot = await self._desk.core.seen()
        turned = self._turned()
        facts = {"turned": round(turned or 0.0, 3), "revision": int(snapshot.get("revision", -1))}
        why = ""
        if turned is None or turned > TURN_LATE_SECONDS:
            why = (
                "the monitor's loop has not turned for %.0f s" % turned
                if turned
                else "the monitor's loop has not begun"
            )
        elif facts["revision"] < 0:
            why = "the monitor has no watch list: deploy the site"
        elif self._desk.stamp("watch.json") is None:
            why = "the watch list is gone from %s: reconcile writes it again" % self._desk.state_dir
        elif snapshot.get("failing"):
            why = "%s; its log says more" % snapshot["failing"]
        elif snapshot.get("no_runs"):
            why = "the monitor cannot run playbooks: %s" % snapshot["no_runs"]["why"]
        else:
            why = await self._unreadable()
        return _json(encode({"ok": not why, "why": why, **facts}), 503 if why else 200)

    async def _unreadable(self) -> str:
        """Why the status has been unreadable for too long; "" when it is readable or was a short time ago."""
        if self._desk.age < STATUS_OLD_SECONDS:
            return ""
        why = "reading it takes too long"
        try:
            async with asyncio.timeout(READ_WITHIN_SECONDS):
                await self._desk.picture()
            return ""
        except TimeoutError:
            pass
        except NotNow as error:
            why = str(error)
        except Exception as error:
            self._desk.journal.failed("the reading of the status", error)
            why = self._desk.journal.defect
        return "the status has not been readable for %.0f s: %s" % (self._desk.age, why)

    def _turned(self) -> float:
        """Seconds since the monitor's loop turned last."""
        return max(0.0, time.monotonic() - self._desk.core.turned)


def application(desk: Desk, hub: events.Hub, history: History, limits: Limits) -> Starlette:
    """The API and the page."""
    served = [*Api(desk, hub, history, limits).served(), *page.routes()]
    handlers: Any = {404: _not_found, 405: _not_allowed, 500: _failed}
    around = [Middleware(Meter, STREAM, ACTIONS), Middleware(guard.Guard)]
    return Starlette(routes=served, middleware=around, exception_handlers=handlers)


def _exposition(facts: dict[str, Any], accept: str) -> tuple[bytes, str]:
    from . import metrics

    return metrics.exposition(metrics.Facts(**facts), accept)


async def _body(request: Request) -> tuple[Any, int]:
    """The body and its size. :raises Wrong: when it is not valid JSON, or too large."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > guard.LARGEST:
            raise Wrong(400, "the body is larger than %d bytes" % guard.LARGEST)
    try:
        body = json.loads(data, parse_constant=_no_number, parse_float=_finite)
        json.dumps(body, ensure_ascii=False).encode()  # half a character cannot be written, nor shown
    except UnicodeEncodeError:
        raise Wrong(400, "the body is not valid JSON: it holds half of a character") from None
    except (ValueError, RecursionError) as error:
        raise Wrong(400, "the body is not valid JSON: %s" % error) from None
    return body, len(data)


def _no_number(text: str) -> Any:
    raise ValueError("%s is not a number" % text[:60])


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)


def _whole(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    return int(text) if text is not None else None


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def _problem(
    status: int, sentence: str, problems: list[check.Error] | None = None, again: int = 0
) -> Response:
    body: dict[str, Any] = {"error": sentence}
    if problems:
        body["errors"] = problems
    return _json(encode(body), status, {"retry-after": str(again)} if again else None)


async def _not_found(request: Request, error: Exception) -> Response:
    known = [route.full_path for route in routes.ROUTES]
    near = sentences.did_you_mean(request.url.path, known)
    return _problem(404, "there is nothing at %s%s" % (request.url.path[:200], near))


async def _not_allowed(request: Request, error: Exception) -> Response:
    allowed = getattr(error, "headers", None) or {}
    only = allowed.get("Allow", "another one")
    response = _problem(405, "the method %s is not allowed here, only %s" % (request.method, only))
    response.headers.update(allowed)
    return response


async def _failed(request: Request, error: Exception) -> Response:
    return _problem(500, "the request failed in the monitor; its log says more")
