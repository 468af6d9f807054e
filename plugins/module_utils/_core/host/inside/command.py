# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command, with bounds: its time, what is kept of its output, and what it leaves behind."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time

from ..machine import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

MOST_BYTES = 256 << 10  # of each of its outputs (`model.execution`); what is beyond is read and counted
LATE, CANNOT, MISSING, BY_SIGNAL = 124, 126, 127, 128  # exit codes, as shells and timeout(1) have them
_LEAVE_SECONDS = 2.0  # that what it left behind may take to die
_PART = 65536
_PR_SET_CHILD_SUBREAPER = 36
_DEFAULT = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)  # the agent ignores some of them


class Output:
    """One of its outputs."""

    __slots__ = ("data", "left_out")

    def __init__(self) -> None:
        self.data = b""
        self.left_out = 0  # bytes

    def take(self, data: bytes) -> None:
        room = MOST_BYTES - len(self.data)
        self.data += data[:room]
        self.left_out += max(0, len(data) - room)


def run(
    command: Sequence[str], environment: Mapping[str, str], enter: Callable[[], None], seconds: float
) -> Dict[str, Any]:
    """Run a command to its end, without a shell and without input.

    :param enter: makes the new process what it is to be.
    :param seconds: after which it is killed.
    :return: ``code``; ``why``: that it could not be started, or did not end in time, a phrase; ``out``, ``err``: see
        `Output`; ``took`` s.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that nothing that it starts gets away
    began = time.monotonic()
    pipes = [os.pipe() for _unused in range(3)]
    pid = os.fork()
    if pid == 0:
        _become(command, environment, enter, pipes)
    for _unused, writing in pipes:
        os.close(writing)
    outputs = {pipes[0][0]: Output(), pipes[1][0]: Output()}
    failed = pipes[2][0]
    why = _read_all(failed)
    status, late = _follow(pid, outputs, began + seconds)
    _end_rest(began + seconds)
    _drain(outputs)
    for reading in (*outputs, failed):
        with contextlib.suppress(OSError):
            os.close(reading)
    out, err = outputs.values()
    answer = {"out": out, "err": err, "took": time.monotonic() - began, "why": ""}
    if why:
        number, _sign, text = why.decode("utf-8", "replace").partition(" ")
        code = MISSING if number == str(errno.ENOENT) else CANNOT
        return dict(answer, code=code, why=text)
    if late:
        return dict(answer, code=LATE, why="did not end within %g s and was killed" % seconds)
    return dict(answer, code=BY_SIGNAL + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _become(
    command: Sequence[str], environment: Mapping[str, str], enter: Callable[[], None], pipes: Sequence[Tuple[int, int]]
) -> None:
    """The new process: becomes the command, or tells why it cannot. Never returns."""
    report, entered = pipes[2][1], False
    try:
        os.setsid()
        for number in _DEFAULT:
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(pipes[0][1], 1)
        os.dup2(pipes[1][1], 2)
        enter()
        entered = True
        os.execvpe(command[0], list(command), dict(environment))
    except OSError as error:
        # the name is that of the last folder in which it was looked for
        where = command[0] if entered else str(error.filename or "its surroundings")
        text = "%s %s: %s" % (error.errno if entered else 0, where, error.strerror or error)
        os.write(report, text.encode("utf-8", "replace"))
    except Exception as error:
        os.write(report, ("0 %s: %s" % (command[0], type(error).__name__)).encode("utf-8", "replace"))
    finally:
        os._exit(CANNOT)


def _read_all(descriptor: int) -> bytes:
    """What comes until the other end closes: at the latest when the command was started."""
    found = b""
    while True:
        data = os.read(descriptor, _PART)
        if not data:
            return found
        found += data


def _follow(pid: int, outputs: Dict[int, Output], until: float) -> Tuple[int, bool]:
    """Take in its output until it ends. :return: (its wait status, whether it was too late)."""
    ends = procs.end_of(pid)
    awaited = list(outputs)
    late = False
    try:
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return status, late
            left = until - time.monotonic()
            if left <= 0 and not late:
                late = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            wait = min(0.02 if ends is None else 1.0, max(left, 0.01))
            sources = [*awaited, *([] if ends is None else [ends])]
            for reading in select.select(sources, [], [], wait)[0]:
                if reading == ends:
                    continue
                data = os.read(reading, _PART)
                if data:
                    outputs[reading].take(data)
                else:
                    awaited.remove(reading)
    finally:
        if ends is not None:
            os.close(ends)


def _end_rest(until: float) -> None:
    """Kill what the command left behind: all of it is ours to collect."""
    give_up = time.monotonic() + _LEAVE_SECONDS
    while time.monotonic() < give_up:
        for child in _below(os.getpid()):
            procs.send(child, procs.KILL)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _below(pid: int) -> List[int]:
    found: List[int] = []
    waiting = [pid]
    while waiting:
        children = procs.children(waiting.pop())
        found += children
        waiting += children
    return found


def _drain(outputs: Mapping[int, Output]) -> None:
    """What is still in the pipes; what cannot be killed may hold them open."""
    for reading, output in outputs.items():
        os.set_blocking(reading, False)
        data: Optional[bytes] = b"-"
        while data:
            try:
                data = os.read(reading, _PART)
            except OSError:
                break
            output.take(data)
