# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent that is kept ready for all hosts on this machine, for the acts of runs.

It is the same far end that a line over ssh has (`host.line` of the core), in a process of this machine. It judges no
host: that is what the connections to their service managers are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence

from ..core.host.machine.ownership import UTF8
from ..core.model.answers import Nonsense
from .line_acts import LineActs
from .lines_ssh import LINE_BYTES, far_end, feed, question

ASK_SECONDS = 1.0  # between questions
PATIENCE_SECONDS = 60
RETRY_SECONDS = 2.0
SILENT_SECONDS = 10.0  # without an answer, after which another one is started
_USUAL_PYTHON = "/usr/bin/python3"


class HereLine:
    """Kept ready for as long as it is not stopped, once one of the hosts is prepared."""

    def __init__(
        self, roots: Sequence[str], complain: Callable[[str], None], led: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:  # fmt: skip
        """
        :param led: folders of the hosts on which this monitor may act now.
        """
        self.roots = tuple(roots)
        self.acts = LineActs("this machine")
        self._complain = complain
        self._led = led
        self._told = ""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def stop(self) -> None:
        self._task.cancel()

    async def _keep(self) -> None:
        while True:
            root = next((root for root in self.roots if os.path.isdir(root + "/lib")), "")
            if root:
                try:
                    why = await self._once(root)
                except Exception as error:  # acts go by commands until one is there again
                    why = "%s: %s" % (type(error).__name__, error)
                if why != self._told:
                    self._told = why
                    self._complain("acts on this machine go by commands for a while: %s" % why)
            await asyncio.sleep(RETRY_SECONDS)

    async def _once(self, root: str) -> str:
        """One process from start to end. :return: why it ended."""
        source, start = far_end()
        python = _USUAL_PYTHON if os.access(_USUAL_PYTHON, os.X_OK) else sys.executable
        process = await asyncio.create_subprocess_exec(
            python, "-I", "-S", *UTF8, "-c", start,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=LINE_BYTES, start_new_session=True, cwd="/",
            env={name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(source)
            async with asyncio.timeout(SILENT_SECONDS):
                await process.stdout.readline()
            order = {"root": root, "patience": PATIENCE_SECONDS, "events": False}
            process.stdin.write(json.dumps(order).encode() + b"\n")
            self.acts.opened(process.stdin)
            asking = asyncio.get_running_loop().create_task(self._ask(process.stdin))
            try:
                await self._listen(process.stdout)
            finally:
                asking.cancel()
        except TimeoutError:
            return "the agent does not answer"
        finally:
            self.acts.ended("the agent on this machine ended")
            with contextlib.suppress(ProcessLookupError):
                process._transport.close()  # type: ignore[attr-defined]
            await process.wait()
        return "the agent ended"

    async def _ask(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # its end is seen by the other task
            while True:
                writer.write(question(self._led()))
                await asyncio.sleep(ASK_SECONDS)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while True:
            async with asyncio.timeout(SILENT_SECONDS):
                try:
                    line = await reader.readline()
                except ValueError:
                    raise Nonsense("it writes a line of more than %d bytes" % LINE_BYTES) from None
            if not line:
                return
            feed(self.acts, line)
