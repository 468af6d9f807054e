# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line to every host: one of the signals from which `monitor.judge.hosts` concludes whether the host is up.

The kind of line depends on how Ansible reaches the host. For a host on this machine it is a connection to the socket
of its service manager, asked at an interval: an end with a reconnect refused is seen at once, silence after a timeout.
Over ssh it is `monitor.watch.lines_ssh`. Other hosts have no line, and are judged by the other signals.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..base import descriptors
from ..base.ssh_settings import SshSettings
from ..core.controller.way import way
from ..core.model.site import BY_SSH, HERE
from ..judge.hosts import Signal
from ..judge.watch_list import Watch, WatchedHost
from .host_events import HostEvents
from .line_acts import LineActs
from .line_logs import LineLogs
from .lines_here import HereLine
from .lines_ssh import SshLine
from .local_events import EventSocket, EventSocketError

RETRY_SECONDS = 0.5  # between attempts to get a line back
SILENT_AFTER_QUESTIONS = 2  # questions without an answer that make silence
# s after a silence for which a refusal is part of it: the kernel ends what stands still without a lease, and it is this
# machine that refuses then, which says nothing of the host.
SILENCE_SECONDS = 10.0
ANSWER_BYTES = 65536  # of an answer
POWER = "power"  # below the root of a host of the demo (connection plugin machine): it has none, or is frozen
# supervisord answers this without looking at any process.
_QUESTION = b"GET /muster HTTP/1.1\r\nHost: muster\r\nContent-Length: 0\r\n\r\n"

Changed = Callable[[str, Signal, str], None]  # host, signal, why
Event = Callable[[dict[str, Any]], None]


class SocketLine:
    """A line to a service manager on this machine, by its Unix socket."""

    def __init__(self, host: WatchedHost, interval: float, changed: Changed) -> None:
        self._host = host
        self._path = os.path.join(host.root, "run", "supervisor.sock")
        self._interval = interval
        self._tell = changed
        self.answers = False  # whether it answered the last question
        self._asked = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._hold())

    def stop(self) -> None:
        self._task.cancel()

    def ask(self) -> None:
        """Ask now, without waiting for the next question."""
        self._asked.set()

    def _changed(self, host: str, signal: Signal, why: str) -> None:
        self.answers = signal is Signal.FINE
        self._tell(host, signal, why)

    async def _hold(self) -> None:
        silent, silent_until = 0, -math.inf
        while True:
            why, gone = "", False
            try:
                async with asyncio.timeout(self._interval):
                    reader, writer = await asyncio.open_unix_connection(self._path, limit=ANSWER_BYTES)
            except TimeoutError:
                why = "%s takes no connection" % self._what
            except OSError as error:
                if descriptors.missing(error):  # that says nothing about the host
                    self._changed(self._host.name, Signal.NONE, "no line to %s: %s" % (self._host.name, error.strerror))
                    await asyncio.sleep(self._interval)
                    continue
                silent, gone = SILENT_AFTER_QUESTIONS, isinstance(error, (ConnectionRefusedError, FileNotFoundError))
                why = "%s is gone (%s)" % (self._what, error.strerror or error)
            if not why:
                try:
                    why = await self._ask(reader, writer)
                finally:
                    writer.transport.abort()
                if not why:
                    silent, silent_until = 0, -math.inf
                    continue  # it may close the connection: connect again at once
            silent += 1
            signal = Signal.LOST if silent >= SILENT_AFTER_QUESTIONS else Signal.DOUBT
            if signal is Signal.LOST and not gone:
                silent_until = time.monotonic() + SILENCE_SECONDS
            gone = gone and time.monotonic() > silent_until
            self._changed(self._host.name, Signal.GONE if gone else signal, why)
            await asyncio.sleep(RETRY_SECONDS if silent >= SILENT_AFTER_QUESTIONS else 0)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Ask until the connection ends or an answer is missing. :return: why, "" if it ended after an answer."""
        answered = False
        while True:
            writer.write(_QUESTION)
            try:
                async with asyncio.timeout(self._interval):
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(_length(head))
            except TimeoutError:
                return "%s does not answer within %g s" % (self._what, self._interval)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return "" if answered else "%s ends the connection without an answer" % self._what
            answered = True
            self._changed(self._host.name, Signal.FINE, "")
            if await self._ended(reader):
                return ""

    async def _ended(self, reader: asyncio.StreamReader) -> bool:
        """Wait until the next question is due. :return: whether the connection ended meanwhile."""
        self._asked.clear()
        end = asyncio.ensure_future(reader.read(1))  # nothing comes without a question: only the end of the connection
        early = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({end, early}, timeout=self._interval, return_when=asyncio.FIRST_COMPLETED)
            return end.done()  # an error is an end, too
        finally:
            end.cancel()
            early.cancel()
            await asyncio.gather(end, early, return_exceptions=True)  # nobody else reads when the next question goes

    @property
    def _what(self) -> str:
        return "the service manager of %s" % self._host.name


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _unused, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return min(int(value), ANSWER_BYTES)
    return 0


class Lines:
    """The lines to all hosts of the watch list, and the events their service managers send."""

    def __init__(
        self, changed: Changed, event: Event, complain: Callable[[str], None], doors: Path | None = None,
        ssh: Callable[[], SshSettings] = SshSettings,
    ) -> None:  # fmt: skip
        """
        :param doors: folder with the API's socket of each host that is reached over ssh.
        :param ssh: reads what the settings of runs say about ssh to any host.
        """
        self.leads: Callable[[], bool] = lambda: True  # whether this monitor may act
        self._changed = changed
        self._event = event
        self._complain = complain
        self._doors = doors
        self._ssh = ssh
        self._ways: dict[str, dict[str, Any]] = {}  # host -> how its line over ssh gets there
        self._lines: dict[str, tuple[WatchedHost, float, SocketLine | SshLine]] = {}
        self._event_sockets: dict[str, EventSocket] = {}
        self._told: set[str] = set()
        self._here: HereLine | None = None

    def acts(self, name: str, reached: Mapping[str, Any]) -> LineActs | str:
        """The line for an act on a host.

        :param reached: the way of the run that sends it, see `controller.way`.
        :return: or why it does not go that way, a sentence.
        """
        line = self.looks(name)
        if not isinstance(line, str) and (not reached or reached != self.way(name)):
            return "the line to %s goes another way than the run" % name
        return line

    def logs(self, name: str) -> LineLogs | str:
        """The line for the logs of a host, or why there is none, a sentence."""
        line = self.looks(name)
        return "%s, so its logs cannot be read now" % line if isinstance(line, str) else line.logs

    def looks(self, name: str) -> LineActs | str:
        """The line by which a host is observed, or why there is none, a sentence."""
        host, _interval, line = self._lines.get(name) or (None, 0.0, None)
        if host is None or line is None or not line.answers:
            return "no line to %s answers" % name
        if isinstance(line, SshLine):
            return line.acts
        if self._here is None or os.path.exists(os.path.join(host.root, POWER)):
            return "no agent is ready on this machine"
        return self._here.acts

    def ask(self, name: str) -> None:
        """Ask a host at once, if there is a line."""
        line = self._lines[name][2] if name in self._lines else None
        if line is not None:
            line.ask()

    def way(self, name: str) -> dict[str, str]:
        """How the line to a host gets there, see `controller.way`; empty where there is none."""
        host, _interval, _line = self._lines.get(name) or (None, 0.0, None)
        return way(host.connection, self._ways.get(name) or host.ssh) if host is not None else {}

    def follow(self, watch: Watch) -> None:
        """Start and end lines, so that they are those of the watch list."""
        for name, (host, interval, line) in list(self._lines.items()):
            known = watch.machines.get(name)
            if known is None or (known.root, known.connection, known.ssh, watch.host_interval) != (
                host.root, host.connection, host.ssh, interval,
            ):  # fmt: skip
                line.stop()
                del self._lines[name]
                self._close_events(name)
        for name, host in watch.machines.items():
            if name not in self._lines and host.reach == HERE and host.root:
                self._lines[name] = (host, watch.host_interval, SocketLine(host, watch.host_interval, self._changed))
            elif name not in self._lines and host.reach == BY_SSH:
                self._lines[name] = (host, watch.host_interval, self._over_ssh(host, watch.host_interval))
            if name in self._lines and name not in self._event_sockets and host.reach == HERE:
                self._open_events(host)
        roots = tuple(host.root for host in watch.machines.values() if host.reach == HERE and host.root)
        if self._here is not None and self._here.roots != roots:
            self._here.stop()
            self._here = None
        if roots and self._here is None:
            self._here = HereLine(roots, self._complain, self._led)

    def stop(self) -> None:
        for name, (_host, _interval, line) in self._lines.items():
            line.stop()
            self._close_events(name)
        self._lines.clear()
        if self._here is not None:
            self._here.stop()

    def _over_ssh(self, host: WatchedHost, interval: float) -> SshLine:
        door = self._doors / (host.name + ".sock") if self._doors is not None else None
        settings = self._ssh()
        self._ways[host.name] = settings.with_host(host.ssh)
        reached = replace(host, ssh=self._ways[host.name])
        return SshLine(reached, interval, self._changed, self._events(host), self._complain, door, settings.folder,
                       lambda: self.leads())  # noqa: PLW0108 - another one may be set  # fmt: skip

    def _led(self) -> list[str]:
        """Folders of the hosts on this machine that answer, while this monitor may act."""
        if not self.leads():
            return []
        here = [host for host, _interval, line in self._lines.values() if host.reach == HERE and line.answers]
        return [host.root for host in here if not os.path.exists(os.path.join(host.root, POWER))]

    def _events(self, host: WatchedHost) -> Event:
        return HostEvents(host.name, self._event, self._complain).take

    def _open_events(self, host: WatchedHost) -> None:
        try:
            self._event_sockets[host.name] = EventSocket(Path(host.root), self._events(host))
        except EventSocketError as error:  # tried again with the next watch list
            if host.name not in self._told:
                self._told.add(host.name)
                self._complain("no events from %s: %s" % (host.name, error))

    def _close_events(self, name: str) -> None:
        events = self._event_sockets.pop(name, None)
        if events is not None:
            events.close()
