# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load for the machine: processes that want a processor, as long as their maker lives."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

LONGEST = 900  # s that a loop lives, whatever becomes of its maker
LOOP = """
import ctypes, os, time
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
end = time.monotonic() + %d
while time.monotonic() < end and os.getppid() == %d:
    for number in range(100000):
        pass
"""


@contextlib.contextmanager
def loops(count: int) -> Iterator[None]:
    """So many processes that want a processor, at the nice level of their maker. They end with it, even when killed."""
    text = LOOP % (LONGEST, os.getpid())
    # Each in a session of its own, or the kernel's autogroups give all of them the share of one.
    command = [sys.executable, "-I", "-S", "-c", text]
    running = [subprocess.Popen(command, start_new_session=True) for _unused in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
        for one in running:
            one.wait()
