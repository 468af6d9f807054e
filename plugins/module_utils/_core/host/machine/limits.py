# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of memory and processors that a container or a control group sets below those of the machine."""

from __future__ import annotations

import os
from collections import namedtuple

from . import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional, Tuple

# memory and used: bytes, cpus: a number that may be broken; 0 for no limit
Limits = namedtuple("Limits", "memory used cpus")

_MOUNT = "/sys/fs/cgroup"
_ENDLESS = 1 << 60  # what version 1 says when there is no limit


def of(pid: str, mount: str = _MOUNT, proc: str = "/proc") -> Limits:
    """The narrowest limits of the control groups that a process is in.

    :param pid: or "self".
    """
    memory = used = 0
    cpus = 0.0
    for folder, old in _groups(pid, mount, proc):
        limit = _number(folder, "memory.limit_in_bytes" if old else "memory.max")
        if limit and limit < _ENDLESS and (not memory or limit < memory):
            memory = limit
            used = (_number(folder, "memory.usage_in_bytes" if old else "memory.current") or 0) - _cache(folder)
        share = _share(folder, old)
        if share and (not cpus or share < cpus):
            cpus = share
    return Limits(memory, max(0, used), cpus)


def _groups(pid: str, mount: str, proc: str) -> Iterator[Tuple[str, bool]]:
    """(folder, whether it is of version 1) of each control group of a process, and of those above."""
    try:
        lines = procs.read_file("%s/%s/cgroup" % (proc, pid)).decode("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        number, _unused, rest = line.partition(":")
        controllers, _unused, path = rest.partition(":")
        old = number != "0"
        if old and not {"memory", "cpu"} & set(controllers.split(",")):
            continue
        top = folder_of(mount, controllers) if old else mount
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for length in range(len(parts), -1, -1):
            yield os.path.join(top, *parts[:length]), old


def folder_of(mount: str, controllers: str) -> str:
    """The folder of controllers of version 1. Its name may have them in another order than /proc."""
    wanted = set(controllers.split(","))
    try:
        names = os.listdir(mount)
    except OSError:
        names = []
    return os.path.join(mount, next((name for name in names if set(name.split(",")) == wanted), controllers))


def _number(folder: str, name: str) -> Optional[int]:
    """The number in a file; None when there is none."""
    text = _text(folder, name).strip()
    return int(text) if text.isdigit() else None


def _share(folder: str, old: bool) -> float:
    """The processors that a control group may use; 0 for all."""
    if old:
        quota, period = _text(folder, "cpu.cfs_quota_us").strip(), _text(folder, "cpu.cfs_period_us").strip()
    else:
        quota, _unused, period = _text(folder, "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else 0.0


def _cache(folder: str) -> int:
    """Bytes of files that the kernel drops when memory is needed: they count as used and are not."""
    for line in _text(folder, "memory.stat").splitlines():
        name, _unused, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdigit():
            return int(value)
    return 0


def _text(folder: str, name: str) -> str:
    try:
        return procs.read_file("%s/%s" % (folder, name)).decode("utf-8", "replace")
    except OSError:
        return ""
