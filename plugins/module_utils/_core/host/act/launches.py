# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data of a staged start and stop: programs that are starting, processes that run, why a start failed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional

    from ..machine.procs import Process
    from .ready import Ready

_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
            11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}


class Failure:
    """Why a start is given up."""

    __slots__ = ("program", "strategy", "why")

    def __init__(self, program: str, why: str, strategy: str) -> None:
        self.program = program
        self.why = why
        self.strategy = strategy  # "abort" | "stop"


class Present:
    """Processes of one instance found on this host."""

    __slots__ = ("known", "mains", "processes")

    def __init__(self, processes: List[Process], mains: Dict[str, int], known: bool) -> None:
        self.processes = processes
        self.mains = mains  # program -> pid of the process that the service manager started
        self.known = known  # whether the service manager has the instance's programs

    def of(self, programs: Iterable[str]) -> Present:
        """Only what belongs to these programs."""
        names = set(programs)
        return Present([p for p in self.processes if p.program in names],
                       {name: pid for name, pid in self.mains.items() if name in names}, self.known)

    def without(self, programs: Iterable[str]) -> Present:
        """All but what belongs to these programs."""
        names = {p.program for p in self.processes} | set(self.mains)
        return self.of(names - set(programs))


class Launch:
    """A program that is starting, or runs."""

    __slots__ = ("ends", "executed", "gate", "log_offset", "ordered", "passed", "pid", "program",
                 "ready", "started")

    def __init__(self, program: Mapping[str, Any], ordered: float, log_offset: float) -> None:
        self.program = program
        self.gate = bool(program["wait_exit"])
        self.ends = frozenset(program.get("exit_codes") or ((0,) if self.gate else ()))  # no failure
        self.ordered = ordered  # monotonic time of the order, s
        self.log_offset = log_offset  # where its log ended before, see `Manager.position`
        self.pid = 0
        self.started = 0  # clock ticks since boot: distinguishes the process from a later one with the same pid
        self.executed = 0.0  # monotonic time at which the program itself was seen, after muster-exec, s; 0: not yet
        self.passed = False
        self.ready: Optional[Ready] = None  # what tells when it is ready, until it is

    def expect_ready(self, root: str, instance: str, host: Mapping[str, Any], ports: Mapping[str, int]) -> None:
        """Before it is started; see `host.act.ready.of`."""
        if self.program.get("ready"):
            from . import ready  # its imports cost those time that need none of it

            self.ready = ready.of(self.program, root, instance, host, ports)

    def forget_ready(self) -> None:
        if self.ready is not None:
            self.ready.close()
            self.ready = None


def exit_code(status: Optional[int]) -> Optional[int]:
    """:param status: a wait status. :return: the exit code; None when a signal ended it, or nothing is known."""
    return None if status is None or status & 0x7F else status >> 8


def ending(status: Optional[int], code: Optional[int]) -> str:
    """How a process ended, as a phrase.

    :param status: its wait status, where that was seen.
    :param code: its exit code; -1: a signal ended it; None: that is not known.
    """
    if status is not None and status & 0x7F:
        return "was killed by %s" % _SIGNALS.get(status & 0x7F, "signal %d" % (status & 0x7F))
    if code is None:
        return "ended"
    return "was killed by a signal" if code < 0 else "exited with %d" % code
