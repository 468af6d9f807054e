# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads processes from /proc: which run, since when, and what they cost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 400  # looks at a new process before it counts as somebody else's
_TICKS = os.sysconf("SC_CLK_TCK")


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def environment(pid: int) -> dict[str, str]:
    """A process's environment; empty when it is gone, a zombie, or not ours to read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (pair.partition(b"=") for pair in raw.split(b"\0") if pair)
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, _, value in pairs}


def arguments(pid: int) -> str:
    """A process's command line, arguments separated by blanks."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Zombies are dead."""
    fields = stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def at_work(pid: int) -> bool:
    """Alive, and not stopped by a signal."""
    fields = stat(pid)
    return bool(fields) and fields[0] not in "ZXTt"


def pids() -> set[int]:
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}


def family(roots: Iterable[int]) -> set[int]:
    """The processes and everything they started."""
    parents = {pid: int(fields[1]) for pid in pids() if (fields := stat(pid))}
    found = set(roots) & parents.keys()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_seconds(found: Iterable[int]) -> float:
    """Of these processes and of what they started and waited for."""
    return sum(sum(map(int, fields[11:15])) for pid in found if (fields := stat(pid))) / _TICKS


def own_cpu_seconds(pid: int) -> float:
    """Of this process alone."""
    return sum(map(int, stat(pid)[11:13])) / _TICKS


def pss_mib(found: Iterable[int]) -> float:
    """Memory with every shared page counted once."""
    total = 0
    for pid in found:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


@dataclass(frozen=True)
class Process:
    """A process of an instance; `epoch` is "" where there is no such thing."""

    pid: int
    instance: str
    program: str
    epoch: str


class Watcher:
    """Follows the processes of instances by looking at /proc often and cheaply: a process is read only until known.

    `identify` makes (instance, program, epoch) of an environment, or None while it is not (or not yet) a program's.
    """

    def __init__(self, identify: Callable[[dict[str, str]], tuple[str, str, str] | None]) -> None:
        self._identify = identify
        self._known: dict[int, Process] = {}
        self._looks: dict[int, int] = {}
        self.look()
        # A process that was there before and belongs to no instance will not belong to one later.
        self._looks = dict.fromkeys(pids() - self._known.keys(), PATIENCE)

    def ignore(self, gone: Iterable[int]) -> None:
        """Ignore these processes: they are frozen, and out of reach."""
        for pid in gone:
            self._known.pop(pid, None)
            self._looks[pid] = PATIENCE

    def look(self) -> None:
        """Take in who came and who went."""
        present = pids()
        for pid in [pid for pid in self._known if pid not in present or not alive(pid)]:
            del self._known[pid]
        self._looks = {pid: looks for pid, looks in self._looks.items() if pid in present}
        for pid in present - self._known.keys():
            looks = self._looks.get(pid, 0)
            if looks >= PATIENCE:
                continue
            found = self._identify(environment(pid))
            if found is None:
                self._looks[pid] = looks + 1
            else:
                self._known[pid] = Process(pid, *found)

    def of(self, instance: str) -> dict[str, Process]:
        """program -> process of one instance, as of the last look."""
        return {process.program: process for process in self._known.values() if process.instance == instance}

    def instances(self) -> dict[str, set[str]]:
        """instance -> programs, as of the last look."""
        found: dict[str, set[str]] = {}
        for process in self._known.values():
            found.setdefault(process.instance, set()).add(process.program)
        return found

    def wait_for(self, wanted: dict[str, set[str]], timeout: float, step: float = 0.02) -> float:
        """Until all these programs run; returns the moment.

        :raises TimeoutError: naming what is missing.
        """
        deadline = time.time() + timeout
        while True:
            self.look()
            now, running = time.time(), self.instances()
            missing = {name: want - running.get(name, set()) for name, want in wanted.items()}
            missing = {name: programs for name, programs in missing.items() if programs}
            if not missing:
                return now
            if now > deadline:
                some = ", ".join(f"{name}: {' '.join(sorted(what))}" for name, what in list(missing.items())[:3])
                raise TimeoutError(f"{len(missing)} of {len(wanted)} instances do not run after {timeout:g} s ({some})")
            time.sleep(step)

    def wait_for_another(self, instance: str, program: str, pid: int, timeout: float, step: float = 0.02) -> None:
        """Until the program runs in another process than `pid`.

        :raises TimeoutError: when it does not.
        """
        deadline = time.monotonic() + timeout
        while (found := self.of(instance).get(program)) is None or found.pid == pid:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{program} of {instance} was not started again within {timeout:g} s")
            time.sleep(step)
            self.look()


@dataclass(frozen=True)
class Crash:
    """Events after a kill, in seconds since it; `running` is None where nothing should be restarted."""

    at: float  # seconds since 1970
    stopped: float
    first_new: float | None
    running: float | None


def crash(
    watcher: Watcher, instance: str, bus: str, comes_back: bool, timeout: float = 60.0, step: float = 0.003
) -> Crash:
    """Kill the bus of an instance with SIGKILL and watch what becomes of the whole of it.

    :raises TimeoutError: when it is neither stopped nor running again in time.
    """
    watcher.look()
    before = watcher.of(instance)
    old = {process.pid for process in before.values()}
    at = time.time()
    os.kill(before[bus].pid, 9)
    stopped = first = None
    while True:
        watcher.look()
        now = time.time() - at
        if stopped is None:
            old = {pid for pid in old if alive(pid)}
            stopped = None if old else now
        new = {program for program, process in watcher.of(instance).items() if process not in before.values()}
        if new and first is None:
            first = now
        if stopped is not None and (not comes_back or new >= before.keys()):
            return Crash(at, stopped, first, now if comes_back else None)
        if now > timeout:
            raise TimeoutError(f"{instance} was not {'running again' if comes_back else 'stopped'} after {timeout:g} s")
        time.sleep(step)
