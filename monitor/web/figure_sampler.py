# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks every host what its programs use: once a minute to keep that, and for streams that want it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..core.model.site import Site
from ..core.requests import log_sources
from .desk import Desk, NotNow
from .figures.segments import Segments
from .logs import answer, wanted
from .logs.feed import End, Take

Json = dict[str, Any]
EVERY_SECONDS = 60.0
FIRST_SECONDS = 5.0  # after the start: lines to hosts are there by then
Open = Callable[[str, Mapping[str, Any], Take], End]


class Sampler:
    """Belongs to one loop."""

    def __init__(self, desk: Desk, open_: Open, places: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        """:param open_: as `desk.Core.logs`. :param places: instance -> host, of those that are asked about."""
        self._desk = desk
        self._places = places
        self._open = open_
        self._before: dict[str, tuple[float, float, float]] = {}  # name -> pid, processor seconds, when

    async def take(self) -> tuple[list[str], Json]:
        """(names of all programs of the site; ``programs`` that live and ``silent``, as `answer.figures`).

        The processor is that since the last time, and None at first.

        :raises NotNow: while there is no site.
        """
        site = (await self._desk.site()).site
        if site is None:
            raise NotNow("no site is published: deploy first")
        names, requests, sources = await self._desk.run(_asked, site, await self._places())
        document = await answer.figures(self._open, sources, requests)
        now, fresh = time.time(), dict[str, tuple[float, float, float]]()
        living = [program for program in document["programs"] if None not in (program["pid"], program["used"])]
        for program in living:
            name = "%s/%s" % (program["instance"], program["program"])
            fresh[name] = (program["pid"], program["used"], now)
            program["cpu"] = self._cpu(name, program, now)
        self._before = fresh
        return names, {"programs": living, "silent": document["silent"]}

    def _cpu(self, name: str, program: Json, now: float) -> float | None:
        pid, used, at = self._before.get(name, (0.0, 0.0, 0.0))
        if pid != program["pid"] or now <= at or program["used"] < used:
            return None
        return 100.0 * float(program["used"] - used) / (now - at)


async def keep(sampler: Sampler, desk: Desk, segments: Segments) -> None:
    """Take one row.

    :raises NotNow: while there is no site.
    :raises OSError: when it cannot be kept.
    """
    names, document = await sampler.take()
    now = time.time()
    values = {"%s/%s" % (one["instance"], one["program"]): _point(one, now) for one in document["programs"]}
    await desk.run(segments.add, now, names, values)


def _point(program: Json, now: float) -> tuple[float | None, ...]:
    age = None if program["since"] is None else max(0.0, now - program["since"])
    return (program["cpu"], program["memory"], program["threads"], program["files"], age)


def _asked(
    site: Site, places: Mapping[str, str]
) -> tuple[list[str], dict[str, tuple[list[int], Json]], wanted.Wanted]:
    """(names of all programs of the site, what each host is asked, of which sources)."""
    instances = site.by_name()
    lasting = {one.application.name: [p.name for p in one.application.programs if not p.is_gate]
               for one in instances.values()}  # fmt: skip
    names = ["%s/%s" % (name, program) for name, one in sorted(instances.items())
             for program in lasting[one.application.name]]  # fmt: skip
    found = [source for name in places if name in instances
             for source in log_sources.of_instance(instances[name], places)
             if source.program in lasting[instances[name].application.name]]  # fmt: skip
    asked = wanted.Wanted(found, {"figures": True, "over": 0.0})
    return names, asked.requests(site, False), asked
