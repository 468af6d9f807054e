# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a connection within this machine, as its kernel tells."""

from __future__ import annotations

import socket
import struct
from typing import Optional, Tuple

_LISTENING = "0A"


def unix_user(connection: socket.socket) -> Optional[int]:
    """The uid of the process that connected to a Unix socket."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    return int(struct.unpack("3i", raw)[1])


def tcp_user(peer: Tuple[str, int], local: Tuple[str, int]) -> Optional[int]:
    """The uid that owns the other end of a loopback connection, from the kernel's table; None when it is not there."""
    wanted = (_entry(*peer), _entry(*local))
    for table, mapped in (("/proc/net/tcp", False), ("/proc/net/tcp6", True)):
        try:
            with open(table, encoding="ascii") as handle:
                lines = handle.readlines()[1:]
        except OSError:
            continue
        ends = tuple(_mapped(end) for end in wanted) if mapped else wanted
        for line in lines:
            fields = line.split()
            if fields[1] == ends[0] and fields[2] == ends[1] and fields[3] != _LISTENING:
                # A socket that was closed already has no owner any more: inode 0, and uid 0 would be a lie.
                return int(fields[7]) if fields[9] != "0" else None
    return None


def _entry(address: str, port: int) -> str:
    """`127.0.0.1`, 80 -> `0100007F:0050`, as the kernel writes it on this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.inet_pton(family, address)
    words = struct.unpack("=%dI" % (len(raw) // 4), raw)
    return "%s:%04X" % ("".join("%08X" % word for word in words), port)


def _mapped(entry: str) -> str:
    """An IPv4 entry as the table of IPv6 has it."""
    address, _unused, port = entry.partition(":")
    return entry if len(address) > 8 else "%016X%08X%s:%s" % (0, socket.htonl(0xFFFF), address, port)
