# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a process of the program lives, for buses without a port; not whether it works.

Processes are recognised by their environment and held by a descriptor (pidfd), so that an end is seen at once. This
works only on the monitor's own machine; on another one the state is unknown.
"""

from __future__ import annotations

import asyncio
import os
import socket

from ...base import descriptors
from ...core.host.machine import procs
from ...core.model.site import HERE, reach_of
from ...judge.health import Kind, Result
from ...judge.target import Target, Whose
from . import Report
from ._turns import next_turn, slot_of

_STOPPED = "Tt"  # states of a process that is stopped by a signal or a debugger


class Probe:
    """Holds one process of the program; when it ends, another one of the same epoch if there is one."""

    def __init__(self, name: str, target: Target, report: Report) -> None:
        assert target.whose is not None
        self.target = target
        self.whose: Whose = target.whose
        self.program = target.how.program or target.whose.program
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._slot = slot_of(name)
        self._turn: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._held = 0  # pid
        self._descriptor: int | None = None
        self._seen = False  # a process was held under this epoch
        self._stopped = False

    def start(self) -> None:
        self._next_turn()
        self._look()

    def nudge(self) -> None:
        """Ask now instead of at the next turn."""
        if self._held:
            self._ask()
        else:
            self._look()

    def stop(self) -> None:
        self._stopped = True
        self._let_go()
        if self._turn is not None:
            self._turn.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _next_turn(self) -> None:
        self._turn = self._loop.call_at(next_turn(self._loop.time(), self._slot, self.target.interval), self._at_turn)

    def _at_turn(self) -> None:
        self._next_turn()
        self.nudge()

    def _ask(self) -> None:
        found = procs.stat(self._held)
        if found is None or found.gone:
            self._ended()
        elif found.state in _STOPPED:
            self._emit(Kind.MISSED, "%s (process %d) is stopped by a signal" % (self._what(), self._held))
        else:
            self._emit(Kind.ANSWERED)

    def _look(self, gone: int = 0) -> None:
        """Look for a process to hold; `gone` is the pid of the one that just ended."""
        if self._looking is None or self._looking.done():
            self._looking = self._loop.create_task(self._find(gone))

    async def _find(self, gone: int) -> None:
        whose = self.whose
        if not _here(whose, self.target.address):
            why = "%s is another machine: give its bus a probe that asks over the network" % whose.host
            self._emit(Kind.UNSURE, "%s cannot be looked at from the monitor: %s" % (self._what(), why))
            return
        for pid, environment in await _sweep():
            if pid != gone and self._is_ours(environment) and self._hold(pid):
                self._seen = True
                self._ask()
                return
        if gone:
            self._emit(Kind.GONE, "%s (process %d) ended, and no other process of it runs" % (self._what(), gone))
        elif self._seen or _sees_all(whose):
            self._emit(Kind.REFUSED, "no process of %s runs" % self._what())
        else:
            self._emit(
                Kind.UNSURE,
                "no process of %s is seen, but the monitor may not look into the processes of the user that owns %s"
                % (self._what(), whose.root or "its folder"),
            )

    def _is_ours(self, environment: dict[str, str]) -> bool:
        whose, get = self.whose, environment.get
        return (
            get("MUSTER_INSTANCE") == whose.instance
            and get("MUSTER_PROGRAM") == self.program
            and get("MUSTER_SITE") == whose.site_id
            and get("MUSTER_HOST") == whose.host
            and (not whose.epoch or get("MUSTER_EPOCH") == str(whose.epoch))
        )

    def _hold(self, pid: int) -> bool:
        self._let_go()
        descriptor = procs.end_of(pid)
        found = procs.stat(pid)
        if found is None or found.gone:
            if descriptor is not None:
                os.close(descriptor)
            return False
        self._held, self._descriptor = pid, descriptor
        if descriptor is not None:
            self._loop.add_reader(descriptor, self._ended)
        return True

    def _ended(self) -> None:
        pid = self._held
        self._let_go()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._look(gone=pid)

    def _let_go(self) -> None:
        self._held = 0
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _emit(self, kind: Kind, why: str = "") -> None:
        if kind in (Kind.GONE, Kind.REFUSED) and (why_not := descriptors.scarce()):
            kind, why = Kind.UNSURE, "%s cannot be looked at: %s" % (self._what(), why_not)
        if not self._stopped:
            self._report(Result(kind, self._loop.time(), why))

    def _what(self) -> str:
        return "%s of %s on %s" % (self.program, self.whose.instance, self.whose.host)


class _Sweeps:
    """One look at all processes serves every probe that waits for one; it must have begun after the question."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.begun = 0
        self.found: list[tuple[int, dict[str, str]]] = []


_sweeps: dict[asyncio.AbstractEventLoop, _Sweeps] = {}


async def _sweep() -> list[tuple[int, dict[str, str]]]:
    """(pid, MUSTER_* variables) of every process that belongs to an instance."""
    loop = asyncio.get_running_loop()
    sweeps = _sweeps.get(loop)
    if sweeps is None:
        _sweeps.clear()  # of loops that are closed
        sweeps = _sweeps[loop] = _Sweeps()
    before = sweeps.begun
    async with sweeps.lock:
        if sweeps.begun == before:
            sweeps.begun += 1
            sweeps.found = await loop.run_in_executor(None, _look_at_all)
        return sweeps.found


def _look_at_all() -> list[tuple[int, dict[str, str]]]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = ((pid, procs.environment(pid)) for pid in pids)
    return [(pid, environment) for pid, environment in found if environment.get("MUSTER_INSTANCE")]


def _here(whose: Whose, address: str) -> bool:
    """Whether the host's processes are this machine's."""
    if reach_of(whose.connection, {}) == HERE:
        return True
    return not whose.connection and _is_own(address)


def _is_own(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            trial.bind((address, 0))
    except (OSError, UnicodeError):
        return False
    return True


def _sees_all(whose: Whose) -> bool:
    """Whether no process of that host can be hidden from this user."""
    own = os.geteuid()
    if own == 0:
        return True
    try:
        return bool(whose.root) and os.stat(whose.root).st_uid == own
    except OSError:
        return False
