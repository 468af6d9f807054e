# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load of a host: facts of the node by psutil, and what each instance uses.

A share of processor time needs two samples: the last one is kept in ``run/load.json``.
"""

from __future__ import annotations

import json
import os
import sys
import time

from .machine import files, json_files, limits, node, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Sequence, Tuple

    Used = Dict[str, Tuple[float, float]]

_MIN_SAMPLE_AGE = 0.08  # s between two samples
_MAX_SAMPLE_AGE = 300.0  # s
_SAMPLE_PAUSE = 0.1  # s between two new samples
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 1024 * 1024


def measure(
    root: str, processes: Sequence[procs.Process], own: bool, prepared: bool, pid: str = "self"
) -> Tuple[Dict[str, Any], Used]:
    """
    :param processes: of this host, from a sweep.
    :param own: report the load of these processes instead of the node's: several hosts on one machine stand for nodes.
    :param prepared: whether the host has a folder in which the sample can be kept.
    :param pid: a process whose limits (control groups, a container) are those of the programs.
    :return: ``{"cpu", "memory", "load_average", "cpus", "total_memory", "free_memory", "free_disk"}`` in percent of
        the node and MiB, ``received`` and ``sent`` in bytes a second (and as totals), ``uptime`` in seconds and what
        `node.pressure` has; and per instance (cpu, memory) in percent of the node.
    """
    before = _read_sample(root)
    now = _sample(processes)
    age = now["at"] - before.get("at", -1e9)
    if not (_MIN_SAMPLE_AGE <= age <= _MAX_SAMPLE_AGE) or before.get("boot") != now["boot"]:
        before = now
        time.sleep(_SAMPLE_PAUSE)
        now = _sample(processes)
    if prepared:
        _keep(root, now)
    facts = {**_within(_node(root), limits.of(pid)), **node.pressure(), "uptime": round(node.uptime())}
    seconds = max(now["at"] - before["at"], 1e-6)
    for number, what in enumerate(("received", "sent")):
        facts[what + "_total"] = now["network"][number]
        facts[what] = round(max(0, now["network"][number] - before.get("network", now["network"])[number]) / seconds)
    limited = facts.pop("limited", False)
    elapsed = seconds * facts["cpus"] * _TICKS
    total = facts["total_memory"] or 1
    facts["total_memory"] = total // _MIB
    used: Used = {}
    for process in processes:
        key = str(process.pid)
        ticks, resident, started = now["processes"].get(key, (0, 0, 0))
        old = before["processes"].get(key)
        spent = ticks - (old[0] if old and old[2] == started else 0)
        if not old and started < before["at"] * _TICKS:
            spent = 0  # not new, only not seen then
        cpu, memory = used.get(process.instance, (0.0, 0.0))
        used[process.instance] = (cpu + 100.0 * spent / elapsed, memory + 100.0 * resident * _PAGE / total)
    if own:
        facts["cpu"] = sum(cpu for cpu, _unused in used.values())
        facts["memory"] = sum(memory for _unused, memory in used.values())
    else:
        busy, idle = (now["node"][n] - before["node"][n] for n in (0, 1))
        ours = sum(cpu for cpu, _unused in used.values())  # may be more of what a container has than of the machine
        facts["cpu"] = max(100.0 * busy / max(busy + idle, 1e-6), ours if limited else 0.0)
    for key in ("cpu", "memory"):
        facts[key] = round(min(facts[key], 100.0), 1)
    return facts, {name: (round(cpu, 1), round(memory, 1)) for name, (cpu, memory) in used.items()}


def _keep(root: str, sample: Mapping[str, Any]) -> None:
    try:
        files.write_file(root + "/run/load.json", json.dumps(sample, separators=(",", ":")).encode())
    except OSError:
        return  # an error such as a full disk is reported by the step that must write


def _sample(processes: Sequence[procs.Process]) -> Dict[str, Any]:
    times: Dict[str, Any] = {}
    for process in processes:
        found = procs.stat(process.pid)
        if found is not None:
            times[str(process.pid)] = (found.ticks, found.resident, found.started)
    return {"at": round(time.clock_gettime(time.CLOCK_BOOTTIME), 3), "boot": procs.boot_id(), "node": _node_times(),
            "network": node.network(), "processes": times}


def _node_times() -> Tuple[float, float]:
    """Busy and idle seconds of all processors since boot."""
    fields = [int(field) / _TICKS for field in procs.read_file("/proc/stat").split(b"\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, idle


def _node(root: str) -> Dict[str, Any]:
    while root and not os.path.isdir(root):
        root = os.path.dirname(root)
    load = [round(figure, 2) for figure in os.getloadavg()]
    if "site" not in sys.modules:  # the agent is started with -S, which saves time; psutil is in a folder of site
        import site

        site.main()
    try:
        import psutil

        memory = psutil.virtual_memory()
        return {
            "load_average": load,
            "cpus": psutil.cpu_count() or 1,
            "memory": memory.percent,
            "total_memory": memory.total,
            "free_memory": memory.available // _MIB,
            "free_disk": psutil.disk_usage(root).free // _MIB,
        }
    except Exception:  # it is not there, or does not get on with this machine
        return {"load_average": load, **_node_without_psutil(root)}


def _within(facts: Dict[str, Any], limit: limits.Limits) -> Dict[str, Any]:
    """The facts of the node within limits: of both figures the smaller one is what programs get."""
    found = dict(facts)
    if limit.memory and limit.memory < facts["total_memory"]:
        free = min(facts["free_memory"], max(0, limit.memory - limit.used) // _MIB)
        found.update(total_memory=limit.memory, free_memory=free, limited=True)
        found["memory"] = max(0.0, 100.0 * (1 - free * _MIB / limit.memory))
    if limit.cpus and limit.cpus < facts["cpus"]:
        found.update(cpus=limit.cpus, limited=True)
    return found


def _node_without_psutil(root: str) -> Dict[str, Any]:
    lines = procs.read_file("/proc/meminfo").decode().splitlines()
    figures = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}
    total, available = figures["MemTotal"], figures.get("MemAvailable", figures["MemFree"])
    disk = os.statvfs(root)
    return {
        "cpus": os.cpu_count() or 1,
        "memory": 100.0 * (total - available) / total,
        "total_memory": total,
        "free_memory": available // _MIB,
        "free_disk": disk.f_bavail * disk.f_frsize // _MIB,
    }


def _read_sample(root: str) -> Mapping[str, Any]:
    sample = json_files.read(root + "/run/load.json")
    try:
        _at, _busy = float(sample["at"]), [float(seconds) for seconds in (*sample["node"], *sample["network"])]
        _ticks = [float(ticks) + resident + started for ticks, resident, started in sample["processes"].values()]
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}  # damaged, or written by another version
    return sample
