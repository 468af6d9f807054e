# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observing hosts over the lines that are held anyway: the agent is up at the other end, and no run is needed.

It looks everywhere or nowhere: what one host did not say cannot be told from what is not there.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from ..core.model import answers
from .line_acts import LineActs

AT_ONCE = 4  # observations on one line: the acts of a run come between them
WITHIN_SECONDS = 20.0  # for all hosts

Json = dict[str, Any]


class NoLook(Exception):
    """One host could not be observed; the text is the sentence for it."""


class Ways(Protocol):
    """The lines, as `monitor.watch.lines.Lines` has them."""

    def looks(self, name: str) -> LineActs | str: ...

    def way(self, name: str) -> dict[str, str]: ...


async def look(lines: Ways, facts: Mapping[str, Json]) -> dict[str, Json]:
    """Observe hosts.

    :param facts: host -> what a request to it says of it.
    :return: host -> {"observation": checked, "agent": the version that looked, "way": see `controller.way`}.
    :raises NoLook: when one cannot be observed that way.
    """
    for name in facts:
        _line(lines, name)
    turns: dict[int, asyncio.Semaphore] = {}
    tasks = [asyncio.ensure_future(_one(lines, name, host, turns)) for name, host in facts.items()]
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            seen = await asyncio.gather(*tasks)
    except TimeoutError:
        raise NoLook("not every host said within %g s what runs there" % WITHIN_SECONDS) from None
    finally:
        for task in tasks:
            task.cancel()
    return dict(zip(facts, seen, strict=True))


def _line(lines: Ways, name: str) -> LineActs:
    """:raises NoLook: when none takes it now."""
    line = lines.looks(name)
    why = line if isinstance(line, str) else line.refusal()
    if why or isinstance(line, str):
        raise NoLook(why)
    return line


async def _one(lines: Ways, name: str, host: Json, turns: dict[int, asyncio.Semaphore]) -> Json:
    async with turns.setdefault(id(_line(lines, name)), asyncio.Semaphore(AT_ONCE)):
        line, way = _line(lines, name), lines.way(name)  # it may be another one by now
        version = line.version
        request = {"verb": "observe", "check": False, "diff": False, "host": host, "load": True}
        reply = await line.hand_over(secrets.token_hex(16), version, request)
    if "answer" not in reply:
        raise NoLook("%s was not observed: %s" % (name, reply.get("refused") or reply.get("lost")))
    try:
        seen = answers.checked("observe", reply["answer"], name)
    except answers.Nonsense as error:
        raise NoLook("%s %s" % (name, error)) from error
    if seen.get("error"):
        raise NoLook("%s: %s" % (name, seen["error"]))
    return {"observation": seen, "agent": version, "way": way}
