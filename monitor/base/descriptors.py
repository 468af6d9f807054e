# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File descriptors: how many this process may have, and whether it has any left."""

from __future__ import annotations

import contextlib
import errno
import os
import resource

WANTED = 65536
_given: list[int] = []  # the soft limit before this process raised it
SPARE = 16  # fewer than this is none: a probe, a run and a file need some at once


def raise_limit(wanted: int = WANTED) -> None:
    """Raise this process's own soft limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _given[:] = [soft]
    goal = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < goal:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))


def given() -> int:
    """The soft limit that this process was started with. Runs get that one: programs that they start would else have
    another limit than those that a person's deploy starts."""
    return _given[0] if _given else resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def limit() -> int:
    """The soft limit."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else WANTED


def missing(error: OSError) -> bool:
    """Whether it failed because this process, or this machine, has none left: that says nothing about anything else."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def scarce() -> str:
    """Why this process can hardly open a file any more, a sentence; "" while it can."""
    most = limit()
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        used = most
    if used + SPARE < most:
        return ""
    return "the monitor has no file descriptors left (%d of %d are in use): probes and runs fail" % (used, most)
