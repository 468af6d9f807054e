# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the node beside processor and memory: how long it has run, how programs wait for it, its network."""

from __future__ import annotations

import time

from . import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

WAITED_FOR = ("cpu", "memory", "io")


def uptime() -> float:
    """Seconds since it was booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def pressure() -> Dict[str, float]:
    """``pressure_cpu``, ``pressure_memory``, ``pressure_io``: percent of the last minute in which a program waited.

    A kernel without pressure stall information has none of them.
    """
    found = {}
    for what in WAITED_FOR:
        try:
            lines = procs.read_file("/proc/pressure/" + what).decode().splitlines()
            words = dict(word.split("=", 1) for line in lines if line.startswith("some ") for word in line.split()[1:])
            found["pressure_" + what] = float(words["avg60"])
        except (OSError, ValueError, KeyError):
            continue  # not built in, or switched off (psi=0), when opening or reading it fails
    return found


def network() -> Tuple[int, int]:
    """(received, sent) bytes of all interfaces but the loopback, since they are there."""
    received = sent = 0
    try:
        lines = procs.read_file("/proc/net/dev").decode().splitlines()[2:]
    except OSError:
        return 0, 0
    for line in lines:
        name, _unused, figures = line.partition(":")
        fields = figures.split()
        if name.strip() != "lo" and len(fields) >= 9:
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent
