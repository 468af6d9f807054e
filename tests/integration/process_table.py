# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of sites as `/proc` shows them: which instance, host, program and epoch each belongs to."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

SETTLED, AGAIN = 5.0, 1.0  # s
REUSED = 10.0  # s after which a process id that nobody looked at may be another process's
_TICKS = os.sysconf("SC_CLK_TCK")  # per second


@dataclass(frozen=True)
class Process:
    """A live process of a site, as its environment tells."""

    pid: int
    instance: str
    host: str
    program: str
    epoch: int
    started: float  # clock ticks since boot


_strangers: dict[str, tuple[float, float]] = {}  # process id -> when it was seen without an instance, first and last
_known: dict[str, _Seen] = {}  # process id -> one that carries an instance, of any site of this machine


@dataclass
class _Seen:
    """A process that carries an instance. Only of those of the swept site must the environment make sense."""

    start: bytes
    environment: bytes
    age: float  # s, when its environment was read
    process: Process | None = None


def sweep(root: str) -> list[Process]:
    """Processes whose MUSTER_ROOT is below this folder and that carry an instance.

    A test run makes tens of thousands of sweeps. So a process that had no instance for `SETTLED` is read again only
    after `AGAIN`, and one that has an instance since `SETTLED` only when its start time, which a reused process id
    changes, differs: until then a process may still execute another program. A stranger's start time is not read: that
    costs as much as its environment; its process id is forgotten when it is gone.
    """
    mark = b"MUSTER_ROOT=" + root.encode()
    now = time.monotonic()
    found = []
    listed = [name for name in os.listdir("/proc") if name.isdigit()]
    for pid in set(_strangers).difference(listed):
        _strangers.pop(pid, None)
    for pid in listed:
        stranger = _strangers.get(pid)
        if stranger and now - stranger[1] > REUSED:
            stranger = None
        if stranger and stranger[1] - stranger[0] > SETTLED and now - stranger[1] < AGAIN:
            continue
        known = _known.get(pid)
        try:
            stat = _read("/proc/%s/stat" % pid).rpartition(b")")[2].split() if known else []
            if known is None or stat[19] != known.start or known.age < SETTLED:
                data = _read("/proc/%s/environ" % pid)
                if b"MUSTER_INSTANCE=" not in data:
                    _known.pop(pid, None)
                    _strangers[pid] = (stranger[0] if stranger else now, now)
                    continue
                _strangers.pop(pid, None)
                stat = stat or _read("/proc/%s/stat" % pid).rpartition(b")")[2].split()
                known = _known[pid] = _Seen(stat[19], data, _age(stat[19]))
        except OSError:
            _known.pop(pid, None)
            continue
        if stat[0] != b"Z" and mark in known.environment:
            known.process = known.process or _process(int(pid), known.environment, float(known.start))
            found.append(known.process)
    return found


def _process(pid: int, data: bytes, started: float) -> Process:
    environment = dict(entry.partition("=")[::2] for entry in data.decode(errors="replace").split("\0"))
    return Process(
        pid,
        environment["MUSTER_INSTANCE"],
        environment["MUSTER_HOST"],
        environment.get("MUSTER_PROGRAM", ""),
        int(environment.get("MUSTER_EPOCH") or 0),
        started,
    )


def _age(started: bytes) -> float:
    """Seconds since a process started, of the clock ticks since boot that its stat has."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / _TICKS


def _read(path: str) -> bytes:
    """A file of /proc, which is short. :raises OSError:"""
    handle = os.open(path, os.O_RDONLY)
    try:
        data = os.read(handle, 65536)
        while more := os.read(handle, 65536):
            data += more
        return data
    finally:
        os.close(handle)


def alive(pid: int) -> bool:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
