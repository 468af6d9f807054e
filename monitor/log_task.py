# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs for the process of the API: streams of lines to hosts, passed on over the channel between the two processes.

A message ``{"logs": number, "host", "request"}`` opens one, ``{"logs": number, "close": true}`` ends it. Answers are
``{"logged": number, "lines", "cursor"}``, and last ``{"logged": number, "over": sentence}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .base.channel import Channel
from .watch.line_logs import LineLogs, NoLog

Json = dict[str, Any]
MOST, MORE = 200, 50  # streams of all hosts that are followed, and more of those that end by themselves
_RETRY_SECONDS = 1.0


class LogStreams:
    """Those of one process of the API."""

    def __init__(self, channel: Channel, choose: Callable[[str], LineLogs | str]) -> None:
        """:param choose: host -> its line, or why there is none."""
        self._channel = channel
        self._choose = choose
        self._open: dict[int, tuple[LineLogs, str]] = {}

    def take(self, message: Json) -> None:
        """Take in a message of the other process."""
        number = int(message["logs"])
        if message.get("close"):
            self._close(number)
            return
        try:
            if len(self._open) >= (MOST if message["request"].get("follow") else MOST + MORE):
                raise NoLog("%d logs are read already: end one of them" % MOST)
            line = self._choose(str(message["host"]))
            if isinstance(line, str):
                raise NoLog(line)
            self._open[number] = (line, line.open(message["request"], lambda said: self._pass_on(number, said)))
        except NoLog as error:
            self._tell({"logged": number, "over": str(error)})

    def end(self) -> None:
        for number in list(self._open):
            self._close(number)

    def _pass_on(self, number: int, said: Json) -> None:
        if "over" in said:
            self._open.pop(number, None)
            self._tell({"logged": number, **said})
        elif not self._channel.send({"logged": number, **said}):
            self._close(number)
            self._tell({"logged": number, "over": "too much is read at once: some of it was dropped"})

    def _tell(self, message: Json) -> None:
        """Send it, when there is room again."""
        if not self._channel.send(message) and not self._channel.closing:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._tell, message)

    def _close(self, number: int) -> None:
        line, token = self._open.pop(number, (None, ""))
        if line is not None:
            line.close(token)
