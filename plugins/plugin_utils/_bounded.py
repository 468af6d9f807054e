# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound for what a host says: Ansible keeps all of it in memory before anybody can look at it."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

MOST = 512 << 20  # bytes that one call of a host may take, in this process


@contextlib.contextmanager
def memory(transport: str, most: int = MOST) -> Iterator[None]:
    """Within it, this process may grow by so many bytes. A task has a process for each host, so this costs one host.

    :param transport: of the connection. Only that of ssh is bounded: what other connections start on this machine would
        inherit the bound, for example a service manager.
    :raises MemoryError: from what is done within.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _size() + most
    if transport != "ssh" or _reached(wanted, soft) or _reached(wanted, hard):
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _reached(wanted: int, limit: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit <= wanted


def _size() -> int:
    """Bytes of address space that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
