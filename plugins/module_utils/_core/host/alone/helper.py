# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who helps this host now. Every look at a host asks this, so it imports nothing that is not there anyway."""

from __future__ import annotations

import os

from ..machine import procs

FILE = "run/helper"  # its process id, and when it began


def helper(root: str) -> int:
    """The process that helps this host now; 0: nobody does. With supervisor it is a child of supervisord, and no
    program."""
    try:
        with open(os.path.join(root, FILE), encoding="ascii") as handle:
            words = handle.read().split()
    except (OSError, UnicodeDecodeError):
        return 0
    pid = procs.number(words[0]) if len(words) == 2 else 0
    return pid if pid > 0 and procs.alive(pid, procs.number(words[1])) else 0
