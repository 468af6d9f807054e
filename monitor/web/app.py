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

from ..core.client.commands import UnknownName, items_of
from ..core.compile import errors
from ..core.controller import last_words
from ..core.model import moments, sentences
from ..core.model.request_programs import GIVEN
from ..core.report import plan_text, status_part, status_text
from ..core.requests import check
from ..core.requests.read import RequestErrors
from . import events, figure_feed, page
from .alarms import AlarmRoutes
from .desk import Desk, NotNow, Unknown, encode
from .doors import caller, guard
from .doors.caller import ACT, ADMINISTER, Caller, Connection, named
from .doors.compression import Compression
from .doors.limits import Account, Limits, Refusal
from .doors.meter import ACCOUNT, REFUSAL, Meter
from .doors.wire import ABORT, CONNECTION
from .exec_routes import ExecRoutes
from .figure_routes import FigureRoutes
from .figures.segments import FOLDER, Segments
from .health_routes import HealthRoutes
from .heard import need_heard
from .history import History
from .log_routes import LogRoutes
from .schema import actions, openapi, parameters, routes
from .story_routes import StoryRoutes
from .withdraw_routes import WithdrawRoutes

LARGE_BYTES = 4096  # a body that is checked in a thread
STREAM = routes.BASE + "/events/stream"
ACTIONS = routes.BASE + "/actions"
# Never compressed.
SECRETS = tuple(routes.BASE + path for path in ("/logs", "/last-words", "/why", "/programs", "/exec"))
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


class Api(AlarmRoutes, ExecRoutes, FigureRoutes, HealthRoutes, LogRoutes, StoryRoutes, WithdrawRoutes):
    def __init__(self, desk: Desk, hub: events.Hub, history: History, limits: Limits) -> None:
        self._limits = limits
        self._desk = desk
        self._hub = hub
        self._history = history
        self._segments = Segments(desk.state_dir / FOLDER)
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
                    what = "read logs" if route.method == "GET" else "act"
                    raise Wrong(403, "only the owner of %s may %s; you may look" % (self._desk.state_dir, what))
                if request.method == "HEAD" and route.streams:
                    return Response(media_type=routes.STREAM_TYPE)  # the stream itself would never end
                return await serve(request)
            except ClientDisconnect:
                return Response(status_code=408)  # nobody reads it
            except Wrong as wrong:
                return _problem(wrong.status, str(wrong), wrong.problems, wrong.again)
            except RequestErrors as wrong:
                return _problem(422, str(wrong), wrong.errors)
            except Unknown as error:
                unknown = [dict(check.error("", str(error), None), unknown=True)] if error.name else None
                return _problem(404 if route.method == "GET" else 422, str(error), unknown)
            except NotNow as error:
                return _problem(503, str(error), again=AGAIN_SECONDS)

        return handle

    @staticmethod
    def _parameters(route: routes.Route, request: Request) -> None:
        """:raises Wrong: with every error of the query."""
        problems = parameters.problems(route, request.query_params.multi_items(), time.time())
        if problems:
            raise Wrong(422, check.sentence(problems), problems)

    async def _caller(self, request: Request) -> Caller:
        connection: Connection = request.scope[CONNECTION]
        facts = await self._desk.site()
        found = await self._desk.run(caller.caller, connection, facts.places)
        return named(found, request.headers.get("x-muster-person", ""))

    async def status(self, request: Request) -> Response:
        return _json((await self._desk.picture()).body)

    async def status_text(self, request: Request) -> Response:
        document = (await self._desk.picture()).document
        names = [name for name in request.query_params.get("items", "").split(",") if name]
        try:
            items = items_of(names, document)
        except UnknownName as error:
            raise Wrong(404, str(error)) from None
        if items or _whole(request, "not_normal"):
            document = status_part.part(document, items, bool(_whole(request, "not_normal")))
        text = status_text.render_table(document, _whole(request, "width") or status_text.WIDTH)
        return Response(text, media_type=routes.TEXT_TYPE)

    async def plan(self, request: Request) -> Response:
        return _json(encode(await self._desk.plan()))

    async def plan_text(self, request: Request) -> Response:
        lines = plan_text.plan_lines(await self._desk.plan(), time.time())
        return Response("\n".join(lines) + "\n", media_type=routes.TEXT_TYPE)

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
        seconds = await self._interval(request)
        account = self.admitted(request)
        try:
            bell = await self._hub.open()
        except BaseException:
            self._limits.stream_over(account)
            raise
        after = int(last) if last else _whole(request, "after")

        def over() -> None:
            self._limits.stream_over(account)

        # Not a Response: Starlette only requires something that can be called like one.
        return cast(Response, events.EventStream(
            self._hub, bell, after, request.scope[ABORT], over, request.query_params.get("changes") == "1",
            request.query_params.get("have", ""), seconds))

    async def _interval(self, request: Request) -> float:
        """How often a stream wants to know what programs use. :raises Wrong:"""
        text = request.query_params.get("figures")
        if text is None:
            return 0.0
        if ACT not in (await self._caller(request)).may:
            raise Wrong(403, "only the owner of %s may see what programs use; you may look" % self._desk.state_dir)
        seconds = moments.duration(text.strip()) or 0.0
        if not figure_feed.LEAST_SECONDS <= seconds <= figure_feed.MOST_SECONDS:
            least = "must be from %d s to %d h, for example 10s or 5m" % (
                figure_feed.LEAST_SECONDS, figure_feed.MOST_SECONDS // 3600)  # fmt: skip
            problem = check.error("figures", least, text[:40])
            raise Wrong(422, check.sentence([problem]), [problem])
        return seconds

    def admitted(self, request: Request) -> Account:
        """Count a stream of its caller, until `Limits.stream_over`. :raises Wrong: when there are too many."""
        account: Account = request.scope[ACCOUNT]
        refusal = self._limits.stream(account)
        if refusal is not None:
            raise Wrong(refusal.status, refusal.sentence, again=refusal.again)
        return account

    async def history(self, request: Request) -> Response:
        hosts = [request.query_params["host"]] if "host" in request.query_params else None
        found = self._history.to_json(hosts, _whole(request, "points") or 0)
        if not found["hosts"]:
            await need_heard(self._desk, request.query_params)
        return _json(encode(found))

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
        if ACT in (await self._caller(request)).may:
            answer["last_words"] = await self._desk.run(last_words.listed, str(self._desk.state_dir), name, 3)
        if error:
            answer["error"] = error
        return _json(encode(answer))

    async def explain(self, request: Request) -> Response:
        return _json(encode(await self._desk.question("explain", item=request.path_params["item"])))

    async def _body_of(self, request: Request, name: str) -> Any:
        """The body, as `routes.bodies` has it by this name. :raises Wrong:"""
        body, size = await _body(request)
        problems = await self._checked(size, check.errors, body, routes.bodies()[name])
        if problems:
            raise Wrong(422, check.sentence(problems), problems)
        return body

    async def what_if(self, request: Request) -> Response:
        body = await self._body_of(request, "WhatIf")
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
        dry_run, save, approve = (request.query_params.get(name) == "1" for name in ("dry_run", "save", "approve"))
        try:
            lacking = actions.lacking(dry_run, save, approve)
            wanted = await self._checked(size, actions.request_of, body, names, who, lacking)
        except RequestErrors as wrong:
            raise Wrong(422, str(wrong), wrong.errors) from None
        if any(body.get(field) for field in GIVEN):
            self.administers(who, "give programs arguments or variables")
        if dry_run:
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

    def administers(self, who: Caller, what: str) -> None:
        """:raises Wrong: when the caller may not administer."""
        if ADMINISTER not in who.may:
            raise Wrong(403, "only the owner of %s may %s, on the controller" % (self._desk.state_dir, what))

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


def application(desk: Desk, hub: events.Hub, history: History, limits: Limits) -> Starlette:
    """The API and the page."""
    served = [*Api(desk, hub, history, limits).served(), *page.routes()]
    handlers: Any = {404: _not_found, 405: _not_allowed, 500: _failed}
    around = [Middleware(Meter, STREAM, ACTIONS), Middleware(guard.Guard), Middleware(Compression, SECRETS)]
    return Starlette(routes=served, middleware=around, exception_handlers=handlers)


async def _body(request: Request) -> tuple[Any, int]:
    """The body and its size. :raises Wrong: when it is not valid JSON, or too large."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > guard.LARGEST:
            raise Wrong(400, "the body is larger than %d bytes" % guard.LARGEST)
    try:
        body = json.loads(data, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_once)
        json.dumps(body, ensure_ascii=False).encode()  # half a character cannot be written, nor shown
    except UnicodeEncodeError:
        raise Wrong(400, "the body is not valid JSON: it holds half of a character") from None
    except (ValueError, RecursionError) as error:
        raise Wrong(400, "the body is not valid JSON: %s" % error) from None
    return body, len(data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two equal keys they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError("%s is written twice" % errors.show(next(one for one in names if names.count(one) > 1)))
    return found


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
