# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's process: started and ended with the published site, started again when it fails.

The supervising loop only sends what it sees, at a limited rate, and takes a limited number of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.channel import Channel, Closed
from .base.files import file_stamp
from .base.journal import Journal
from .base.pacing import rest
from .core.controller import publish
from .core.controller.places import SITE_FILE
from .core.model import api
from .core.model.request import filled
from .exec_task import Executions
from .log_task import LogStreams

if TYPE_CHECKING:
    from .loop import Monitor


RETRY_SECONDS = 1.0  # until a process that ended is started again; doubled each time
LONGEST_RETRY_SECONDS = 30.0
WELL_AFTER_SECONDS = 60.0  # a process that lived so long did not fail at once
SILENT_SECONDS = 60.0  # without a sign of life, after which the process is started again
TURNED_SECONDS = 2.0  # between two messages that tell when the loop turned last
SEEN_APART_SECONDS = 0.05  # between two descriptions of what the monitor sees; they take a tenth of its time at most
REQUESTS = 400  # under way at once; the API itself takes fewer
END_SECONDS = 5.0  # for the process to end
ROOT = Path(__file__).resolve().parent.parent


@contextlib.asynccontextmanager
async def surface(monitor: Monitor, journal: Journal) -> AsyncIterator[None]:
    """Serve the API while the body runs. Failures of the API are logged; the monitor keeps running."""
    following = asyncio.get_running_loop().create_task(_follow(monitor, journal))
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def _follow(monitor: Monitor, journal: Journal) -> None:
    """Have a process while the published site wants the API."""
    changed = monitor.subscribe()
    serving: asyncio.Task[None] | None = None
    known: object = None
    try:
        while True:
            stamp = file_stamp(monitor.state_dir / SITE_FILE)
            if stamp is not None and stamp != known:
                wanted, known = _wanted(monitor.state_dir), stamp
                if wanted and serving is None:
                    serving = asyncio.get_running_loop().create_task(_serve(monitor, journal))
                elif not wanted and serving is not None:
                    over, serving = serving, None
                    await _ended(over)
            await changed.wait()
            changed.clear()
    finally:
        monitor.unsubscribe(changed)
        if serving is not None:
            await _ended(serving)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _wanted(state_dir: Path) -> bool:
    site = publish.read_published(str(state_dir), SITE_FILE).get("site")
    return isinstance(site, dict) and bool(api.api_settings(site)["api"])


async def _serve(monitor: Monitor, journal: Journal) -> None:
    """Keep a process. A reason is logged once, not with every attempt."""
    told, pause, loop = "", RETRY_SECONDS, asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            why = await ApiProcess(monitor, journal).run()
        except Exception as error:
            why = "%s: %s" % (type(error).__name__, error)
        if loop.time() - began > WELL_AFTER_SECONDS:
            told, pause = "", RETRY_SECONDS
        if why != told:
            told = why
            journal.say("api", "the API is not served for a moment: %s; its process is started again" % why)
        await asyncio.sleep(pause)
        pause = min(LONGEST_RETRY_SECONDS, 2 * pause)


class ApiProcess:
    """One process of the API, from its start to its end."""

    def __init__(self, monitor: Monitor, journal: Journal) -> None:
        self._monitor = monitor
        self._journal = journal
        self._look = 0  # the last question what the monitor sees
        self._asked = asyncio.Event()
        self._requests: set[asyncio.Task[None]] = set()
        self._heard = 0.0

    async def run(self) -> str:
        """:return: why it ended."""
        here, there = socket.socketpair()
        with here, there:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "monitor.web.process", str(there.fileno()), str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL, pass_fds=(there.fileno(),), cwd=ROOT, start_new_session=True,
            )  # fmt: skip
            there.close()
            here.setblocking(False)
            channel = await Channel.over(here)
            channel.send({"state_dir": str(self._monitor.state_dir)})
            self._logs = LogStreams(channel, self._monitor.logs)
            self._executions = Executions(self._monitor.state_dir, self._monitor.looks, self._monitor.rank.leads)
            steps = (self._listen(channel), self._tell_turns(channel), self._tell_changes(channel), self._show(channel))
            tasks = [asyncio.get_running_loop().create_task(step) for step in steps]
            try:
                done, _unused = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                return await self._why(process, next(iter(done)))
            finally:
                channel.send({"end": True})
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._logs.end()
                await _end(process)
                channel.close()

    async def _why(self, process: asyncio.subprocess.Process, over: asyncio.Task[str]) -> str:
        error = over.exception()
        if error is not None and not isinstance(error, Closed):
            return "%s: %s" % (type(error).__name__, error)
        if error is None:
            return over.result()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                return "its process ended with %d" % await process.wait()
        return "its process no longer listens"

    async def _listen(self, channel: Channel) -> str:
        """Take in what the process sends."""
        while True:
            message = await channel.receive()
            self._heard = asyncio.get_running_loop().time()
            if "look" in message:
                self._look = int(message["look"])
                self._asked.set()
            elif "say" in message:
                self._journal.say(str(message["say"]), str(message["why"]), **message["facts"])
            elif "ask" in message:
                work = self._monitor.ask(filled(message["request"]), str(message.get("id") or ""))
                self._take(channel, int(message["ask"]), work)
            elif "withdraw" in message:
                work = self._monitor.withdraw(str(message["id"]), message["by"])
                self._take(channel, int(message["withdraw"]), work, always=True)
            elif "execute" in message:
                self._take(channel, int(message["execute"]), self._executions.run(message["asked"]))
            elif "logs" in message:
                self._logs.take(message)
            elif "over" in message:
                return str(message["over"])

    def _take(
        self, channel: Channel, number: int, work: Coroutine[Any, Any, dict[str, Any]], always: bool = False
    ) -> None:
        if len(self._requests) >= REQUESTS and not always:
            why = "%d requests are under way already, more are not taken" % REQUESTS
            channel.send({"answer": number, "why": why, "later": True})
            work.close()
            return
        task = asyncio.get_running_loop().create_task(self._answer(channel, number, work))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _answer(self, channel: Channel, number: int, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Carry a request out. It goes on when the process ends meanwhile."""
        try:
            content = await work
        except Exception as error:
            channel.send({"answer": number, "why": "%s: %s" % (type(error).__name__, error)})
        else:
            channel.send({"answer": number, "content": content})

    async def _tell_turns(self, channel: Channel) -> str:
        """Tell when the loop turned last. :return: when the process gives no sign of life any more."""
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while loop.time() - self._heard < SILENT_SECONDS:
            channel.send({"turned": self._monitor.turned})
            await asyncio.sleep(TURNED_SECONDS)
        return "its process gave no sign of life for %d s" % SILENT_SECONDS

    async def _tell_changes(self, channel: Channel) -> str:
        changed = self._monitor.subscribe()
        try:
            while True:
                await changed.wait()
                changed.clear()
                channel.send({"changed": True})
                await asyncio.sleep(SEEN_APART_SECONDS)
        finally:
            self._monitor.unsubscribe(changed)

    async def _show(self, channel: Channel) -> str:
        """Answer what the monitor sees: once for all who asked meanwhile."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            began, monitor = time.thread_time(), self._monitor
            counts = [[event, cause, number] for (event, cause), number in self._journal.counts.items()]
            heard = {name: at for host in monitor.watch.hosts for name, at in monitor.heard(host).items()}
            seen = {
                "seen": monitor.snapshot(), "look": self._look, "turned": monitor.turned, "counts": counts,
                "heard": heard,
            }  # fmt: skip
            if not channel.send(seen):
                self._asked.set()
            await asyncio.sleep(rest(SEEN_APART_SECONDS, time.thread_time() - began))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of the process, with a limit."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
            return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
