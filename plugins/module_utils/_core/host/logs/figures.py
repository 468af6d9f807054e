# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs of a host use now: of each with its children, from /proc."""

from __future__ import annotations

import os
import time

from ..machine import procs, starts
from . import marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, Dict, List, Mapping, Sequence

    from .sources import Source, Wanted

_COUNTED_SECONDS = 86400.0  # in which restarts are counted
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def figures(wanted: Wanted) -> List[Dict[str, Any]]:
    """Per program: ``s`` (its source), ``state``, ``pid``, ``since``, ``cpu`` (percent of one processor; None
    where ``wanted.over`` is 0), ``used`` (seconds of a processor since they began), ``memory`` (bytes), ``threads``,
    ``files`` (None where they cannot be seen), ``restarts`` of the last day, ``how`` it ended."""
    own = [source for source in wanted.sources if source.instance and source.key == str(source.number)]
    records = {name: starts.read(wanted.root, name) for name in {source.instance for source in own}}
    noted = {name: marks.read(wanted.root, name) for name in records}
    pids = {}
    for source in own:
        pid, started = records[source.instance].programs.get(source.program, (0, 0))
        if pid and procs.alive(pid, started):
            pids[source.number] = pid
    every = procs.every()
    families = {number: _family(pid, every) for number, pid in pids.items()}
    over = wanted.over if families else 0.0
    time.sleep(over)
    later = procs.every() if over else every
    boot = procs.boot_time()
    done = _done(wanted.host, records, {(source.instance, source.program) for source in own if source.number in pids})
    ended = _endings(wanted.host, [source for source in own if source.number not in pids])
    found = []
    for source in own:
        runs = noted[source.instance].get(source.program, [])
        recent = [mark for mark in runs if mark.at > time.time() - _COUNTED_SECONDS]
        entry: Dict[str, Any] = {"s": source.number, "restarts": max(0, len(recent) - 1)}
        pid = pids.get(source.number, 0)
        if pid:
            entry.update(_use(pid, families[source.number], every, later, over), state="running")
            entry["since"] = boot + every[pid].started / _TICKS if pid in every else None
        elif (source.instance, source.program) in done:
            entry.update(state="done", how="exited with %d" % done[source.instance, source.program])
        else:
            entry.update(state="ended" if runs else "not started", how=ended.get((source.instance, source.program), ""))
        found.append(entry)
    return found


def _family(pid: int, every: Mapping[int, procs.Stat]) -> List[int]:
    """A process and all that descends from it."""
    below: Dict[int, List[int]] = {}
    for child, stat in every.items():
        below.setdefault(stat.parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += below.get(one, [])
    return found


def _use(
    pid: int, family: Sequence[int], before: Mapping[int, procs.Stat], after: Mapping[int, procs.Stat], over: float
) -> Dict[str, Any]:
    used = ticks = memory = threads = files = 0
    hidden = False
    for one in family:
        if one not in before or one not in after:
            continue
        used += after[one].ticks
        ticks += after[one].ticks - before[one].ticks
        memory += after[one].resident * _PAGE
        try:
            threads += len(os.listdir("/proc/%d/task" % one))
        except OSError:
            continue
        try:
            files += len(os.listdir("/proc/%d/fd" % one))
        except OSError:
            hidden = True
    cpu = round(100.0 * ticks / _TICKS / over, 1) if over else None
    return {"pid": pid, "cpu": cpu, "used": used / _TICKS, "memory": memory, "threads": threads,
            "files": None if hidden else files, "processes": len(family)}  # fmt: skip


def _done(host: Mapping[str, Any], records: Mapping[str, starts.Start], living: Collection[Any]) -> Dict[Any, int]:
    """Those that ended as they may: (instance, program) -> exit code."""
    if not any(record.ends for record in records.values()):
        return {}
    from ..service import ends
    from ..service.choose import manager_of

    manager = manager_of(host)
    found: Dict[Any, int] = {}
    for instance, record in records.items():
        lives = [program for one, program in living if one == instance]
        found.update(((instance, program), code) for program, code in ends.done(manager, record, lives).items())
    manager.close()
    return found


def _endings(host: Mapping[str, Any], sources: Sequence[Source]) -> Dict[Any, str]:
    """How those ended that do not live, as the service manager knows: (instance, program) -> a phrase."""
    from ..service.choose import manager_of

    found = {}
    by_instance: Dict[str, List[str]] = {}
    for source in sources:
        by_instance.setdefault(source.instance, []).append(source.program)
    if not by_instance:
        return {}
    try:
        manager = manager_of(host)
        for instance, programs in by_instance.items():
            for program, how in manager.endings(instance, programs).items():
                found[instance, program] = how
        manager.close()
    except OSError:
        pass
    return found
