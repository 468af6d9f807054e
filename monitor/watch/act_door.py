# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door at which a run hands an act to the line that the monitor holds anyway: a socket for the owner's processes.

The run has planned and committed; only the way to the host is another one. One JSON line per connection:

* ``{"give": {host: {"agent": version, "reached": {...}, "request": {...}}}}`` is answered at once with
  ``{"given": {host: token}, "refused": {host: why}}``. What was refused has not left this machine.
* ``{"collect": token}`` is answered when the host has: with ``{"answer": {...}}``, with ``{"refused": why}`` where the
  host did not begin, or with ``{"lost": why}`` where it may have begun.

`plugin_utils/_line_call` is the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.files import SOCKET_PATH_BYTES
from .line_acts import LineActs, Reply

LARGEST_BYTES = 16 << 20  # of what a run says
SAY_WITHIN_SECONDS = 5.0  # from the connection to its line
KEPT = 500  # answers; the oldest ones that nobody collected go first
KEPT_SECONDS = 300.0
LOOK_SECONDS = 1.0  # between looks whether the host still answers
SILENT_LOOKS = 3  # in a row, after which its answer is not waited for any more

Json = dict[str, Any]
# (host, how the run reaches it) -> its line, or why it must not be used
Choose = Callable[[str, Mapping[str, Any]], "LineActs | str"]


@dataclass(frozen=True, slots=True)
class _Given:
    host: str
    reached: Mapping[str, Any]
    done: asyncio.Future[Reply]


class ActDoor:
    """Serves one socket while it is open."""

    def __init__(self, path: Path, choose: Choose, complain: Callable[[str], None]) -> None:
        self._path = path
        self._choose = choose
        self._complain = complain
        self._given: dict[str, _Given] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Without a socket, runs reach their hosts by themselves, which is slower; so a failure is only logged."""
        if len(os.fsencode(self._path)) > SOCKET_PATH_BYTES:
            self._complain("acts go by commands: the name of the socket %s is too long" % self._path)
            return
        try:
            self._path.unlink(missing_ok=True)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            before = os.umask(0o177)
            try:
                made.bind(str(self._path))
            finally:
                os.umask(before)
            self._server = await asyncio.start_unix_server(self._serve, sock=made, limit=LARGEST_BYTES)
        except OSError as error:
            self._complain("acts go by commands: %s: %s" % (self._path, error.strerror or error))

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _user(writer) != os.geteuid():
                return
            async with asyncio.timeout(SAY_WITHIN_SECONDS):
                line = await reader.readline()
            if not line.endswith(b"\n"):
                return  # it was not said to its end, and the run counts on nothing
            said = json.loads(line)
            if "give" in said:
                answer: Json = self._give(said["give"])
            else:
                answer = await self._collect(str(said.get("collect")), reader)
            writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            pass  # the caller is gone, or speaks something else
        finally:
            writer.close()

    def _give(self, acts: Mapping[str, Mapping[str, Any]]) -> Json:
        given: dict[str, str] = {}
        refused: dict[str, str] = {}
        for host, act in acts.items():
            line = self._choose(host, act["reached"])
            why = line if isinstance(line, str) else line.refusal()
            if isinstance(line, str) or why:
                refused[host] = why
                continue
            token = secrets.token_hex(16)
            done = line.hand_over(token, str(act["agent"]), act["request"])
            self._keep(token, _Given(host, act["reached"], done))
            given[host] = token
        return {"given": given, "refused": refused}

    def _keep(self, token: str, given: _Given) -> None:
        self._given[token] = given
        while len(self._given) > KEPT:
            del self._given[next(iter(self._given))]
        loop = asyncio.get_running_loop()
        given.done.add_done_callback(lambda _done: loop.call_later(KEPT_SECONDS, self._given.pop, token, None))

    async def _collect(self, token: str, reader: asyncio.StreamReader) -> Reply:
        """Wait for an answer, as long as the run does."""
        given = self._given.get(token)
        if given is None:
            return {"lost": "the monitor knows nothing of it"}
        gone = asyncio.ensure_future(reader.read(1))
        both: set[asyncio.Future[Any]] = {given.done, gone}
        silent = 0
        try:
            while not (await asyncio.wait(both, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED))[0]:
                line = self._choose(given.host, given.reached)
                silent = silent + 1 if isinstance(line, str) else 0
                if silent >= SILENT_LOOKS:
                    return {"lost": str(line)}
        finally:
            gone.cancel()
        if not given.done.done():
            raise ConnectionResetError("the run is gone")
        self._given.pop(token, None)
        return given.done.result()


def _user(writer: asyncio.StreamWriter) -> int:
    """The user at the other end, by the kernel."""
    end = writer.get_extra_info("socket")
    user: int = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    return user
