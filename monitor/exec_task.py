# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands beside programs, for people who may administer: over the line to the host, noted in the trail."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .core.controller import calls
from .core.model import answers
from .watch.line_acts import LineActs

MOST = 8  # under way at once
MORE_SECONDS = 15.0  # that the host may take beyond the time of the command

Json = dict[str, Any]


class Executions:
    """Those of one monitor."""

    def __init__(
        self, state_dir: Path, choose: Callable[[str], LineActs | str], leads: Callable[[], bool]
    ) -> None:
        """:param choose: host -> its line, or why there is none."""
        self._state_dir = str(state_dir)
        self._choose = choose
        self._leads = leads
        self._under_way = 0

    async def run(self, asked: Mapping[str, Any]) -> Json:
        """Run a command.

        :param asked: see `controller.executing.begin`.
        :return: ``{"instance", "program", "host", "code", "why", "out", "err", "left_out", "took"}``; or ``{"error"}``,
            with ``unknown`` where the site has no such program, ``begun`` where it may have been run.
        """
        if not self._leads():
            return {"error": "this controller does not lead: ask the one that does"}
        if self._under_way >= MOST:
            return {"error": "%d commands are under way already: wait for one of them" % MOST}
        self._under_way += 1
        try:
            begun = await self._call("exec", asked)
            if begun.get("error"):
                return begun
            came = await self._on(begun["host"], begun["request"])
            known = {key: value for key, value in came.items() if key not in ("out", "err")}
            noted = await self._call("exec_over", {"entry": begun["entry"], "came": known})
            if noted.get("error"):
                came["untold"] = "what came of it is not in the trail: %s" % noted["error"]
            place = {key: begun["request"][key] for key in ("instance", "program")}
            return {**place, "host": begun["host"], **came}
        finally:
            self._under_way -= 1

    async def _call(self, verb: str, request: Mapping[str, Any]) -> Json:
        call = {"verb": verb, "state_dir": self._state_dir, **request}
        return await asyncio.to_thread(calls.handle, call)

    async def _on(self, host: str, request: Json) -> Json:
        line = self._choose(host)
        why = line if isinstance(line, str) else line.refusal()
        if why or isinstance(line, str):
            return {"error": why}
        wanted = {"verb": "exec", "check": False, "diff": False, **request}
        reply = line.hand_over(secrets.token_hex(16), line.version, wanted)
        try:
            async with asyncio.timeout(request["within"] + MORE_SECONDS):
                said = await asyncio.shield(reply)
        except TimeoutError:
            return {"error": "%s did not answer in time, so what became of it is not known" % host, "begun": True}
        if "refused" in said:
            return {"error": "%s refused: %s" % (host, said["refused"])}
        if "lost" in said:
            return {"error": "%s: what became of it is not known" % said["lost"], "begun": True}
        try:
            return answers.checked("exec", said["answer"], host)
        except answers.Nonsense as error:
            return {"error": "%s %s" % (host, error), "begun": True}
