# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the guard of a host get processor and memory when the machine is overloaded, as far as its account may."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_NICE = -15
_LOCK = 1 | 2 | 4  # MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT


def raise_it(say: Callable[[str], None], lock: bool = True) -> str:
    """Go before ordinary processes; what this process starts does not. :return: how, in one word.

    :param lock: keep what this process uses in memory.
    """
    if lock and ctypes.CDLL(None, use_errno=True).mlockall(_LOCK):
        say("may be swapped out: %s" % os.strerror(ctypes.get_errno()))
    reset = os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, os.SCHED_RR | reset, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
        return "realtime"
    except OSError:  # the system, or the group of this process, has no time for that
        pass
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER | reset, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
        return "nice"
    except OSError:
        return ""
