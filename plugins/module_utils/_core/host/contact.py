# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``run/contact``: when a monitor that may act asked this host last. The line to it writes that at each question.

It holds hundredths of a second since boot, and the boot. The monitor sends this file along, so it needs nothing else.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

_FILE = "/run/contact"
_BOOT = "/proc/sys/kernel/random/boot_id"


def note(roots: Iterable[str]) -> None:
    """A monitor that may act has just asked the hosts with these folders."""
    for root in roots:
        data = ("%012d %s\n" % (now() * 100, _boot())).encode("ascii")
        try:
            descriptor = os.open(root + _FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError:
            continue  # it is not prepared, or its disk is full: then the host takes itself for alone
        try:
            os.pwrite(descriptor, data, 0)
        except OSError:
            continue
        finally:
            os.close(descriptor)


def last(root: str) -> float:
    """When it was, in seconds since this boot; 0.0 when it was not in this boot."""
    try:
        with open(root + _FILE, encoding="ascii") as handle:
            moment, _unused, boot = handle.readline().strip().partition(" ")
    except (OSError, UnicodeDecodeError):
        return 0.0
    return int(moment) / 100 if moment.isdigit() and boot == _boot() else 0.0


def now() -> float:
    """Seconds since boot, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot() -> str:
    with open(_BOOT, encoding="ascii") as handle:
        return handle.read().strip()
