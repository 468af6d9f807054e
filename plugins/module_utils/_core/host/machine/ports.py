# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes listen on a TCP port already."""

from __future__ import annotations

import _socket as socket
import errno
import os

from . import accounts, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Set, Tuple

_LISTEN = b"0A"


def taken(address: str, ports: Iterable[int], site_id: str = "") -> Dict[int, str]:
    """Find ports on which a program could not listen, because a process does already.

    :param site_id: of a process of another muster site the phrase says so, and what to do.
    :return: port -> phrase such as "nginx (process 812)".
    """
    return {port: _describe(pid, site_id) for port, pid in _listeners(address, ports).items()}


def taken_for_datagrams(address: str, port: int) -> str:
    """Why no process can take datagrams there; "" when one can."""
    probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.bind((address, port))
    except OSError as error:
        return "UDP port %d at %s cannot be used (%s)" % (port, address, os.strerror(error.errno or 0))
    finally:
        probe.close()
    return ""


def cannot_ask(host: str, lease: Mapping[str, Any]) -> str:
    """A sentence when the guard of a host, which does not run yet, could not listen for its witnesses; else "".

    :param lease: see `host.lease.settings`.
    """
    problem = taken_for_datagrams(lease["address"], lease["port"])
    return "%s cannot ask for a lease: %s" % (host, problem) if problem else ""


def _listeners(address: str, ports: Iterable[int]) -> Dict[int, int]:
    """Port -> process that keeps this address from listening there; 0 for one that cannot be seen from here.

    A bind that is undone at once shows which ports are free: reading the kernel's table of sockets takes milliseconds.
    """
    wanted = {b"%04X" % port: port for port in ports if not _free(address, port)}
    if not wanted:
        return {}
    mine = _hexadecimal(address)
    found: Dict[int, int] = {}
    for table, any_address in (("tcp", b"0" * 8), ("tcp6", b"0" * 32)):
        try:
            data = procs.read_file("/proc/net/" + table)
        except OSError:
            continue
        if not any(b":" + port + b" " in data for port in wanted):
            continue
        for line in data.splitlines()[1:]:
            fields = line.split()
            where, _unused, port = fields[1].partition(b":")
            if fields[3] != _LISTEN or port not in wanted:
                continue
            if where == any_address or mine is None or where in mine:
                found[wanted[port]] = _owner(fields[9].decode())
    return found


def strangers(host: Mapping[str, Any], services: Mapping[str, Mapping[str, int]]) -> List[str]:
    """Sentences about processes that keep a host service from listening.

    :param services: service -> {name of a port: number}, of this host.
    """
    wanted = {port: (service, name) for service in sorted(services) for name, port in services[service].items()}
    found = []
    for port, pid in sorted(_listeners(host["address"], wanted).items()):
        service, name = wanted[port]
        shown = procs.environment(pid).get("MUSTER_INSTANCE") == "%s_%s" % (service, host["host"])
        if not shown or procs.user(pid) not in _users(host):
            found.append("port %d of %s (%s) is taken on %s by %s: the service cannot start before that ends" % (
                port, service, name, host["host"], _describe(pid, host["site_id"])))
    return found


def _users(host: Mapping[str, Any]) -> Set[int]:
    """Who a host service may run as: anybody can copy its variables."""
    return {0, os.geteuid(), os.stat(host["root"]).st_uid, *accounts.ids(host)}


def lingering(address: str, ports: Iterable[int]) -> List[int]:
    """Ports where nobody listens, and which the kernel keeps from a program that does not use SO_REUSEADDR."""
    kept = [port for port in ports if not _free(address, port, reuse=0)]
    listeners = _listeners(address, kept)
    return [port for port in kept if port not in listeners]


def _free(address: str, port: int, reuse: int = 1) -> bool:
    """Whether the address can listen there. False may be wrong: then the kernel's table of sockets decides."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        probe.bind((address, port))
    except OSError as error:
        return error.errno in (errno.EADDRNOTAVAIL, errno.EACCES)
    finally:
        probe.close()
    return True


def _hexadecimal(address: str) -> Optional[Tuple[bytes, ...]]:
    """The address as /proc/net writes it, plain and mapped into IPv6; None for anything but an IPv4 address."""
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        return None
    plain = b"".join(b"%02X" % int(part) for part in reversed(parts))
    return plain, b"0" * 16 + b"FFFF0000" + plain


def _owner(inode: str) -> int:
    link = "socket:[%s]" % inode
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        folder = "/proc/%s/fd" % name
        try:
            descriptors = os.listdir(folder)
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                if os.readlink("%s/%s" % (folder, descriptor)) == link:
                    return int(name)
            except OSError:
                continue
    return 0


def _describe(pid: int, site_id: str) -> str:
    if not pid:
        return "a process that cannot be seen from here"
    values = procs.environment(pid)
    what = "%s (process %d)" % (procs.command_name(pid), pid)
    if values.get("MUSTER_INSTANCE"):
        what += " of %s on %s" % (values["MUSTER_INSTANCE"], values.get("MUSTER_HOST", "?"))
    theirs = values.get("MUSTER_SITE", "")
    if site_id and theirs and theirs != site_id:
        where = " in %s" % values["MUSTER_ROOT"] if values.get("MUSTER_ROOT") else ""
        what += " of another muster site (%s%s): give each site on a machine addresses of its own; a local one has" \
            " them from MUSTER_LOCAL_NET" % (theirs.rpartition("-")[0] or theirs, where)  # fmt: skip
    return what
