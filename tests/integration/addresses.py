# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loopback addresses of this test process: test processes that run beside each other never share one."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []  # for as long as this process lives


def own(first: int, count: int) -> int:
    """A number from `first` on that no other test process of this machine has, until this one ends."""
    for number in range(first, first + count):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind("\0muster-tests-127.%d" % number)  # a name without a file, which ends with its process
        except OSError:
            name.close()
            continue
        _held.append(name)
        return number
    raise RuntimeError("no network between 127.%d and 127.%d is free" % (first, first + count - 1))


# The installed collection takes 127.61.
NET = "127.%d" % own(70, 30)
SITES = "127.%d" % own(100, 100)
