# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes about logs: part of `app.Api`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from ..core.compile.errors import show
from ..core.controller import last_words
from ..core.model.site import Application, Site
from ..core.requests import log_sources
from ..core.requests.read import RequestErrors
from .desk import Desk, NotNow, Unknown, encode
from .doors.limits import Account, Limits
from .doors.wire import ABORT
from .heard import need_heard
from .logs import answer, feed, shared, stream, wanted

Json = dict[str, Any]


class LogRoutes:
    _desk: Desk
    _limits: Limits

    async def logs(self, request: Request) -> Response:
        site, asked = await self._wanted(request)
        requests = asked.requests(site, follow=False)
        most = int(asked.more["lines"])
        found = await answer.answer(self._open, asked, requests, most)
        return Response(encode(found), media_type="application/json")

    async def log_stream(self, request: Request) -> Response:
        site, asked = await self._wanted(request, request.headers.get("last-event-id", "").strip())
        account = self.admitted(request)

        async def moved() -> bool:
            try:
                now = await self._wanted(request)
            except (RequestErrors, Unknown, NotNow):
                return False
            return now[1].sources != asked.sources

        def over() -> None:
            self._limits.stream_over(account)

        requests = asked.requests(site, follow=True)
        made = stream.LogStream(
            self._followed.open, asked, requests, moved, request.scope[ABORT], over)
        return cast(Response, made)  # Starlette only requires something that can be called like one

    async def programs(self, request: Request) -> Response:
        """What programs use now; of all instances that run, where no name is given."""
        site = (await self._desk.site()).site
        if site is None:
            raise NotNow("no site is published: deploy first")
        instances = (await self._desk.picture()).document["instances"]
        places = {one: entry["host"] for one, entry in instances.items() if entry["host"]}
        name = request.query_params.get("name") or ""
        try:
            found = [source for one in ([name] if name else places)
                     for source in log_sources.log_sources(site, places, one) if source.instance in places]  # fmt: skip
        except log_sources.NoLogs as error:
            raise Unknown(str(error), name=True) from None
        asked = wanted.Wanted(found, {"figures": True})
        document = await answer.figures(self._open, asked, asked.requests(site, False))
        for program in document["programs"]:
            application = site.by_name()[program["instance"]].application
            program["kind"] = _kind(application, program["program"])
            program["given"] = (instances[program["instance"]].get("given") or {}).get(program["program"], "")
        return Response(encode(document), media_type="application/json")

    async def last_words(self, request: Request) -> Response:
        limit = int(request.query_params.get("limit") or 20)
        found = await self._desk.run(
            last_words.listed, str(self._desk.state_dir), request.query_params.get("instance") or "", limit)
        if not found:
            await need_heard(self._desk, request.query_params)
        return Response(encode({"last_words": found}), media_type="application/json")

    async def last_words_of(self, request: Request) -> Response:
        name = request.path_params["id"]
        found = await self._desk.run(last_words.shown, str(self._desk.state_dir), name)
        if found is None:
            raise Unknown("nothing is kept as %s, or it is no longer kept" % show(name), name=True)
        return Response(encode(found), media_type="application/json")

    @cached_property
    def _followed(self) -> shared.Shared:
        return shared.Shared(self._open)

    def admitted(self, request: Request) -> Account:
        raise NotImplementedError

    def _open(self, host: str, request: Mapping[str, Any], take: feed.Take) -> feed.End:
        if any(source.get("own") == log_sources.MONITOR for source in request["sources"]):
            return feed.own_log(request, take)
        return self._desk.core.logs(host, request, take)

    async def _wanted(self, request: Request, last: str = "") -> tuple[Site, wanted.Wanted]:
        """:raises RequestErrors, Unknown, NotNow:"""
        site = (await self._desk.site()).site
        if site is None:
            raise NotNow("no site is published: deploy first")
        instances = (await self._desk.picture()).document["instances"]
        name, program = request.path_params["name"], request.query_params.get("program")
        places = {one: entry["host"] for one, entry in instances.items()}
        try:
            asked, problems = wanted.read(
                site, places, name + ("/" + program if program else ""), request.query_params, last)
        except log_sources.NoLogs as error:
            raise Unknown(str(error), name=True) from None
        if asked is None:
            raise RequestErrors(problems)
        return site, asked


def _kind(application: Application, name: str) -> str:
    """What single requests about a program depend on: bus | gate | on demand | lasting."""
    program = application.program(name)
    if program.is_gate:
        return "gate"
    if application.bus is not None and application.bus.program == name:
        return "bus"
    return "lasting" if program.start_sequence else "on demand"
