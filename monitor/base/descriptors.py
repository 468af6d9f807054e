# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File descriptors: how many this process may have, and whether it has any left."""

from __future__ import annotations

import contextlib
import os
import resource

WANTED = 65536
SPARE = 16  # fewer than this is none: a probe, a run and a file need some at once


def raise_limit(wanted: int = WANTED) -> int:
    """Raise this process's own soft limit as far as it may.

    :return: the soft limit that it had: what it starts for others gets that one back (`lower_limit`).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < goal:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
    return soft


def limit() -> int:
    """The soft limit."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else WANTED


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
