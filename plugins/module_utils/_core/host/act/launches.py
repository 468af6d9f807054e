# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data of a staged start and stop: programs that are starting, processes that run, why a start failed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping

    from ..machine.procs import Process


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


class Launch:
    """A program that is starting, or runs."""

    __slots__ = ("executed", "gate", "log_offset", "ordered", "passed", "pid", "program", "started")

    def __init__(self, program: Mapping[str, Any], ordered: float, log_offset: float) -> None:
        self.program = program
        self.gate = bool(program["wait_exit"])
        self.ordered = ordered  # monotonic time of the order, s
        self.log_offset = log_offset  # where its log ended before, see `Manager.position`
        self.pid = 0
        self.started = 0  # clock ticks since boot: distinguishes the process from a later one with the same pid
        self.executed = 0.0  # monotonic time at which the program itself was seen, after muster-exec, s; 0: not yet
        self.passed = False
