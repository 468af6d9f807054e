# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a staged start and stop talk about: programs on their way, what runs, why a start failed, what was answered."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping

    from ..machine.procs import Process


class Failure:
    """Why a start ends before its end."""

    __slots__ = ("program", "strategy", "why")

    def __init__(self, program: str, why: str, strategy: str) -> None:
        self.program = program
        self.why = why
        self.strategy = strategy  # "abort" | "stop"


class There:
    """What runs of an instance."""

    __slots__ = ("known", "mains", "processes")

    def __init__(self, processes: List[Process], mains: Dict[str, int], known: bool) -> None:
        self.processes = processes
        self.mains = mains  # program -> pid of the process that the service manager started
        self.known = known  # the service manager knows all programs of the instance


class Launch:
    """A program on its way, or running."""

    __slots__ = ("executed", "gate", "log_offset", "ordered", "passed", "pid", "program", "started")

    def __init__(self, program: Mapping[str, Any], ordered: float, log_offset: float) -> None:
        self.program = program
        self.gate = bool(program["wait_exit"])
        self.ordered = ordered  # when the start was asked for
        self.log_offset = log_offset  # where its log ended before
        self.pid = 0
        self.started = 0  # clock ticks since boot: tells a process from a later one with its pid
        self.executed = 0.0  # when the program itself was seen
        self.passed = False
