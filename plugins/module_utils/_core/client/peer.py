# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a connection within this machine, as its kernel tells."""

from __future__ import annotations

import errno
import socket
import struct
from typing import List, Optional, Tuple

_LISTENING = "0A"
_ANSWERED: List[bool] = []  # not empty once the kernel answered by `_asked`: what it does not know then is not there
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_MESSAGE = struct.Struct("=IHHII")  # length, type, flags, number, port
_END = struct.Struct("!HH16s16s")  # port and address of both ends
_ALL_STATES = 0xFFFFFFFF


def unix_user(connection: socket.socket) -> Optional[int]:
    """The uid of the process that connected to a Unix socket."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    return int(struct.unpack("3i", raw)[1])


def tcp_user(peer: Tuple[str, int], local: Tuple[str, int]) -> Optional[int]:
    """The uid that owns the other end of a loopback connection; None when there is none."""
    try:
        return _asked(peer, local)
    except OSError as error:
        if error.errno == errno.ENOENT and _ANSWERED:
            return None
    return _listed(peer, local)


def _asked(peer: Tuple[str, int], local: Tuple[str, int]) -> Optional[int]:
    """Ask the kernel for this one connection, however many there are.

    :raises OSError: when it does not know it (ENOENT), or answers no such questions.
    """
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    addresses = [socket.inet_pton(family, end[0]).ljust(16, b"\0") for end in (peer, local)]
    ends = _END.pack(peer[1], local[1], *addresses)
    body = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, _ALL_STATES) + ends + struct.pack("=III", 0, *_ANY)
    head = _MESSAGE.pack(_MESSAGE.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)
        kernel.sendto(head + body, (0, 0))
        answer = kernel.recv(4096)
    kind = _MESSAGE.unpack_from(answer)[1]
    if kind != _SOCK_DIAG_BY_FAMILY:
        code = struct.unpack_from("=i", answer, _MESSAGE.size)[0]
        raise OSError(-code, "the kernel does not tell")
    _ANSWERED[:] = [True]
    _unused, state = struct.unpack_from("=BB", answer, _MESSAGE.size)
    found = answer[_MESSAGE.size + 4 : _MESSAGE.size + 4 + _END.size]
    uid, inode = struct.unpack_from("=II", answer, _MESSAGE.size + 4 + _END.size + 12 + 12)
    if found[:4] != ends[:4] or state == int(_LISTENING, 16) or not inode:
        return None  # the listener of the same port, or a socket that was closed: its uid would be a lie
    return int(uid)


_ANY = (0xFFFFFFFF, 0xFFFFFFFF)  # whichever socket it is


def _listed(peer: Tuple[str, int], local: Tuple[str, int]) -> Optional[int]:
    """The same from the kernel's table of all connections."""
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
