# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks: the one place where the caller of a request is known.

A caller is never what a request says of itself. It comes from the connection: the door (socket) it came through tells
the host, the kernel tells the user at its other end. Roles and tokens will attach here.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOOK, ACT = "look", "act"
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Door:
    """A place where the API listens. `host`: the inventory host whose people come through it."""

    kind: str  # unix | tcp
    host: str
    place: str  # the path of the socket, or the address
    port: int = 0

    def __str__(self) -> str:
        if self.kind == "unix":
            return self.place
        return "%s:%d" % ("[%s]" % self.place if ":" in self.place else self.place, self.port)


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection: its door, and what the kernel says of the other end."""

    door: Door
    uid: int | None = None  # of a Unix socket's peer
    peer: tuple[str, int] | None = None  # TCP: address and port
    local: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """What of the site tells where a caller is."""

    controller: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)  # address -> host
    consoles: frozenset[str] = frozenset()  # hosts that may show an item
    owner: int = 0  # uid of the state folder


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, from which host; `console` is that host when it can show items, else empty."""

    who: str
    host: str
    console: str
    address: str
    may: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "who": self.who,
            "host": self.host,
            "console": self.console,
            "address": self.address,
            "may": list(self.may),
        }


def places_of(document: Mapping[str, Any], owner: int) -> Places:
    """From a published site's document."""
    consoles = {
        host
        for application in document.get("applications", [])
        if not application.get("start_sequence")
        for host in application.get("identifiers", [])
    }
    addresses: dict[str, str] = {}
    shared = set()
    for host in document.get("hosts", []):
        if host["address"] in addresses:
            shared.add(host["address"])
        addresses[host["address"]] = host["name"]
    for address in shared:  # several hosts behind one address: it says nothing about which one
        del addresses[address]
    return Places(str(document.get("controller", "")), addresses, frozenset(consoles), owner)


def caller(connection: Connection, places: Places) -> Caller:
    """Who is at the other end. Only the owner of the state folder, or root, may act; anybody let in may look."""
    host, address = connection.door.host, ""
    uid = connection.uid
    if connection.peer is not None:
        address = connection.peer[0]
        host = places.addresses.get(address, host)
        if connection.local is not None:
            uid = tcp_user(connection.peer, connection.local)
    who = user_name(uid) if uid is not None else "somebody on %s" % (address or host)
    acts = uid is not None and uid in (0, places.owner)
    return Caller(who, host, host if host in places.consoles else "", address, (LOOK, ACT) if acts else (LOOK,))


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "user %d" % uid


def unix_user(connection: socket.socket) -> int | None:
    """The uid of the process that connected to a Unix socket."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    return int(struct.unpack("3i", raw)[1])


def tcp_user(peer: tuple[str, int], local: tuple[str, int]) -> int | None:
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


def owner_of(state_dir: os.PathLike[str]) -> int:
    return os.stat(state_dir).st_uid
