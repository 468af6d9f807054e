# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The route about figures over time: part of `app.Api`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..core.compile.errors import show
from ..core.model import moments
from ..core.model.sentences import did_you_mean
from ..core.model.site import Site
from ..core.requests import check
from ..core.requests.read import RequestErrors
from .desk import Desk, NotNow, Unknown, encode
from .figures.segments import COLUMNS, KEPT_SECONDS, Segments
from .figures.summary import summary

Json = dict[str, Any]


class FigureRoutes:
    _desk: Desk
    _segments: Segments

    async def programs_past(self, request: Request) -> Response:
        site = (await self._desk.site()).site
        if site is None:
            raise NotNow("no site is published: deploy first")
        now = time.time()
        text = request.query_params.get("since") or "%ds" % KEPT_SECONDS
        try:
            since = moments.past(text, now)
        except ValueError as error:
            raise RequestErrors([check.error("since", str(error), text[:60])]) from None
        names = _programs(site, request.query_params.get("name") or "")
        points = request.query_params.get("points") != "0"
        found = await self._desk.run(_read, self._segments, names, since, points)
        return Response(encode({"columns": ["at", *COLUMNS], "programs": found}), media_type="application/json")


def _programs(site: Site, name: str) -> list[tuple[str, str]]:
    """(instance, program) of an item, an instance, or one program of it.

    :raises Unknown: when the site has none of this name.
    """
    subject, _mark, program = name.partition("/")
    instances = site.by_name()
    chosen = [instances[subject]] if subject in instances else [
        one for one in instances.values() if one.item.id == subject]  # fmt: skip
    if not chosen:
        near = did_you_mean(subject, [*instances, *(row.id for row in site.rows)])
        raise Unknown("there is no instance or item %s in this site%s" % (show(subject), near), name=True)
    found = [(one.name, each.name) for one in chosen for each in one.application.programs
             if not each.is_gate and program in ("", each.name)]  # fmt: skip
    if not found:
        known = [each.name for one in chosen for each in one.application.programs if not each.is_gate]
        raise Unknown("%s has no program %s%s" % (subject, show(program), did_you_mean(program, known)), name=True)
    return found


def _read(segments: Segments, names: Sequence[tuple[str, str]], since: float, points: bool) -> list[Json]:
    found = []
    for instance, program in names:
        curve = segments.read("%s/%s" % (instance, program), since)
        entry: Json = {"instance": instance, "program": program, **summary(curve)}
        if points:
            entry["points"] = [[value if value is None else round(value, 1) for value in point] for point in curve]
        found.append(entry)
    return found
