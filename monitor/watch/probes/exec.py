# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program of the user's says: a Nagios plug-in (exit code 0, 1, 2 or 3, first line of its output).

It runs here, as the user of the monitor, in a group of its own that ends with it: at its deadline, when the probe ends
and when the monitor does. No shell, and nothing of the monitor's environment but where programs and home are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess

from ...core.host.machine import procs
from ...judge.health import Kind, Result
from ...judge.target import Target
from . import Report
from ._turns import next_turn, slot_of

_OK, _WARNING, _CRITICAL = 0, 1, 2
_OUTPUT_BYTES = 65536  # of output that are looked at
_SHOWN_CHARACTERS = 300  # of its first line
_POLL_SECONDS = 0.02  # where the kernel has no pidfd
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Probe:
    """One process at a time."""

    def __init__(self, name: str, target: Target, report: Report) -> None:
        assert target.whose is not None
        self.target = target
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._slot = slot_of(name)
        whose = target.whose
        words = {
            "address": target.address,
            "port": str(target.port),
            "host": whose.host,
            "instance": whose.instance,
            "item": whose.item,
        }
        self.command = [_filled(argument, words) for argument in target.how.command]
        self._turn: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._next_turn()
        self.nudge()

    def nudge(self) -> None:
        """Ask now instead of at the next turn."""
        if self._running is None or self._running.done():
            self._running = self._loop.create_task(self._ask())

    def stop(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
        if self._running is not None:
            self._running.cancel()

    def _next_turn(self) -> None:
        self._turn = self._loop.call_at(next_turn(self._loop.time(), self._slot, self.target.interval), self._at_turn)

    def _at_turn(self) -> None:
        self._next_turn()
        self.nudge()

    async def _ask(self) -> None:
        began = self._loop.time()
        try:
            process = subprocess.Popen(
                _guarded(self.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            self._emit(Kind.UNSURE, "%s cannot be started: %s" % (self.command[0], error.strerror or error))
            return
        assert process.stdout is not None
        output = _Output(self._loop, process.stdout.fileno())
        try:
            try:
                async with asyncio.timeout(self.target.timeout):
                    await _end_of(self._loop, process.pid)
            finally:
                # Before its pid is collected and may be another's.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                output.close()
                process.stdout.close()
                code = process.poll()  # one that even now does not end is collected by a later Popen
        except TimeoutError:
            self._emit(Kind.MISSED, "%s did not end within %g s" % (self.command[0], self.target.timeout))
            return
        self._tell(code or 0, output.first_line(), self._loop.time() - began)

    def _tell(self, code: int, line: str, latency: float) -> None:
        program = self.command[0]
        if code == _OK:
            self._report(Result(Kind.ANSWERED, self._loop.time(), "", latency))
        elif code == _WARNING:
            self._report(Result(Kind.ANSWERED, self._loop.time(), "", latency, line or "%s warns" % program))
        elif code == _CRITICAL:
            self._emit(Kind.MISSED, line or "%s says critical, and no reason" % program)
        elif code < 0:
            self._emit(Kind.UNSURE, "%s was ended by signal %d" % (program, -code))
        else:
            self._emit(Kind.UNSURE, line or "%s ended with exit code %d, and said nothing" % (program, code))

    def _emit(self, kind: Kind, why: str) -> None:
        self._report(Result(kind, self._loop.time(), why))


class _Output:
    """What a process writes, taken as it comes, so that it never waits for us."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        self._loop, self._descriptor = loop, descriptor
        self._data = b""
        self._open = True
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._take)

    def _take(self) -> bool:
        try:
            data = os.read(self._descriptor, _OUTPUT_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._stop()
            return False
        if len(self._data) < _OUTPUT_BYTES:
            self._data += data
        return True

    def _stop(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._descriptor)

    def close(self) -> None:
        """Take the rest."""
        while self._open and len(self._data) < _OUTPUT_BYTES and self._take():
            pass
        self._stop()

    def first_line(self) -> str:
        for line in self._data.decode("utf-8", "replace").splitlines():
            text = "".join(c for c in line.split("|", 1)[0] if c.isprintable()).strip()  # figures follow the bar
            if text:
                return text[:_SHOWN_CHARACTERS]
        return ""


async def _end_of(loop: asyncio.AbstractEventLoop, pid: int) -> None:
    """Until the process ended; it is not collected."""
    descriptor = procs.end_of(pid)
    if descriptor is None:
        while procs.alive(pid):
            await asyncio.sleep(_POLL_SECONDS)
        return
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, end)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _filled(argument: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        argument = argument.replace("{%s}" % word, value)
    return argument


def _guarded(command: list[str]) -> list[str]:
    """The command, which ends with the monitor however that ends."""
    guard = shutil.which("setpriv")
    if guard is None or not os.access(command[0], os.X_OK):
        return command  # the second one: so that starting it says what is wrong
    return [guard, "--pdeathsig", "KILL", "--", *command]


def _environment() -> dict[str, str]:
    return {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
