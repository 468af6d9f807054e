# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc says: how long a run has waited for a processor, whether this machine is busy, what is connected."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

PRESSURE = 40.0  # percent of the last 10 s in which somebody waited for a processor
PER_PROCESSOR = 2.0  # tasks that can run, on average of the last minute
_ESTABLISHED = "01"
_SOME = re.compile(r"^some avg10=([0-9.]+)", re.MULTILINE)


def waited(pid: int) -> float:
    """Seconds that a process and its descendants could have run and had no processor; 0 where none are counted.

    Those that have ended do not count any more: compare with an earlier answer, and ignore what got less.
    """
    total, ahead, seen = 0, [pid], set[int]()
    while ahead:
        one = ahead.pop()
        if one in seen:
            continue
        seen.add(one)
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path("/proc/%d/schedstat" % one).read_text().split()[1])
        ahead += children(one)
    return total / 1e9


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [
            int(child)
            for task in os.listdir("/proc/%d/task" % pid)
            for child in Path("/proc/%d/task/%s/children" % (pid, task)).read_text().split()
        ]
    return []


def connected(pid: int) -> bool:
    """Whether a process, or a descendant, has a TCP connection that the other end has taken."""
    for one in (pid, *children(pid)):
        with contextlib.suppress(OSError):
            names = [os.readlink(entry.path) for entry in os.scandir("/proc/%d/fd" % one)]
            sockets = {name[8:-1] for name in names if name.startswith("socket:[")}
            for table in ("tcp", "tcp6"):
                for line in Path("/proc/%d/net/%s" % (one, table)).read_text().splitlines()[1:]:
                    columns = line.split()
                    if columns[3] == _ESTABLISHED and columns[9] in sockets:
                        return True
    return False


def busy() -> bool:
    """Whether what starts now has to wait for a processor."""
    pressure = ""
    with contextlib.suppress(OSError):
        pressure = Path("/proc/pressure/cpu").read_text()
    return is_busy(pressure, os.getloadavg()[0], len(os.sched_getaffinity(0)))


def is_busy(pressure: str, load: float, processors: int) -> bool:
    """:param pressure: the content of ``/proc/pressure/cpu``; empty where there is none: then the load decides."""
    found = _SOME.search(pressure)
    if load < PER_PROCESSOR * processors:
        return False
    return found is None or float(found[1]) >= PRESSURE
