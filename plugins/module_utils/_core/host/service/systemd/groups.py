# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of units: which processes belong to a service, whatever they show or become."""

from __future__ import annotations

import os

from ...machine import procs
from . import orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Tuple

_TREES = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")


def top() -> str:
    """The folder of systemd's own root group; "" where control groups cannot be read."""
    try:
        lines = procs.read_file("/proc/1/cgroup").decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    below = [line.split(":", 2)[2] for line in lines if line.split(":", 2)[1] in ("", "name=systemd")]
    for path in [*below, "/"]:  # the last for a container that has the tree mounted at its own group
        base = path[: -len("/init.scope")] if path.endswith("/init.scope") else path
        for tree in _TREES:
            found = tree + base.rstrip("/")
            if os.path.exists(found + "/init.scope/cgroup.procs"):
                return found
    return ""


def of_instance(root: str, application: str, item: str) -> str:
    """The folder of an instance's slice.

    :param root: as `top` returns it.
    """
    return "%s/muster.slice/%s%s.slice/%s" % (
        root, orders.PREFIX, orders.escape(application), orders.slice_name(application, item))


def of_process(pid: int) -> str:
    """The service of an item in whose control group a process is; "" for any other process."""
    try:
        lines = procs.read_file("/proc/%d/cgroup" % pid).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _unused, kind, path = line.split(":", 2)
        words = path.split("/")
        if kind in ("", "name=systemd") and "muster.slice" in words:
            below = words[words.index("muster.slice") + 1 :]
            return next((word for word in below if word.endswith(".service")), "")
    return ""


def members(folder: str) -> Iterator[Tuple[int, str]]:
    """(pid, program) of each process in the services of a slice."""
    try:
        units = [name for name in os.listdir(folder) if name.startswith(orders.PREFIX) and name.endswith(".service")]
    except OSError:
        return
    for unit in units:
        program = unit[len(orders.PREFIX) : -len(".service")].partition("@")[0].partition(".")[2]
        for pid in _below(os.path.join(folder, unit)):
            yield pid, program


def of_service(root: str, service: str) -> List[int]:
    """The processes of a host service.

    :param root: as `top` returns it.
    """
    return list(_below("%s/system.slice/%s%s.service" % (root, orders.PREFIX, service)))


def _below(folder: str) -> Iterator[int]:
    for where, _unused, names in os.walk(folder):
        if "cgroup.procs" in names:
            try:
                yield from [int(pid) for pid in procs.read_file(where + "/cgroup.procs").split()]
            except (OSError, ValueError):
                continue  # the unit ended meanwhile
