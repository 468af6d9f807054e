# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's half of the way to the API: connections of people on the host, passed on with the names of their users.

A process of its own, the child of the monitor's line (`host.line`), takes them beside the socket that sshd forwards to
the monitor. It travels with the line.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import stat
import struct

MAX_PART_BYTES = 65536
# Holds a folder per host, with the API's socket for a group of people; the role monitor makes it.
SHARED = "/var/lib/muster_api"
SOCKET = "api.sock"
# A relayed connection begins with this, the name of the user and the end of the line.
INTRODUCTION = b"MUSTER-USER "
MAX_RELAYED = 64  # connections at a time


def relay(api: str, parent: int, confined: bool = False) -> None:
    """Take connections at ``api.sock`` beside the forwarded socket, and relay each with the name of its user.

    The kernel knows that name. The folder decides who may connect: its group below `SHARED`, else only its owner.

    :param api: path of the forwarded socket.
    :param parent: a descriptor that becomes readable when this must end.
    :param confined: do nothing as root.
    """
    folder = os.path.dirname(api)
    owner = os.lstat(folder)
    if os.geteuid() == 0 and owner.st_uid:
        os.setgroups([])
        os.setgid(_group_of(owner.st_uid))
        os.setuid(owner.st_uid)
    if confined and os.geteuid() == 0:
        return
    for name in os.listdir(folder):
        path = folder + "/" + name
        if name.startswith("api-") and path != api and dead(path):
            unlink(path)
    place, new = folder + "/" + SOCKET, "%s/new-%d.sock" % (folder, os.getpid())
    unlink(new)
    os.umask(0o117 if os.path.dirname(folder) == SHARED else 0o177)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(new)
    made.listen(MAX_RELAYED)
    mine = inode(new)
    os.rename(new, place)  # atomically, in place of the socket that an earlier connection left
    try:
        _take(made, api, parent)
    finally:
        for path, still in ((place, inode(place) == mine), (api, True)):
            if still:
                unlink(path)


def _take(made: socket.socket, api: str, parent: int) -> None:
    import threading

    free = threading.BoundedSemaphore(MAX_RELAYED)

    def serve_one(person: socket.socket) -> None:
        try:
            with person, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
                monitor.connect(api)
                monitor.sendall(INTRODUCTION + _user_at(person).encode("utf-8") + b"\n")
                join(person, monitor)
        except OSError:
            pass  # one of them is gone
        finally:
            free.release()

    while parent not in select.select([made.fileno(), parent], [], [])[0]:
        person = made.accept()[0]
        if not free.acquire(blocking=False):
            person.close()
            continue
        threading.Thread(target=serve_one, args=(person,), daemon=True).start()


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass on data between two sockets until one of them ends.

    :raises OSError: when one is broken.
    """
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(MAX_PART_BYTES)
            if not data:
                return
            (other if source is one else one).sendall(data)


def _user_at(connection: socket.socket) -> str:
    """The name of the user at the other end, by this host's kernel and its list of users."""
    import pwd

    user = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return "user %d" % user


def _group_of(user: int) -> int:
    """The user's own group; that of nobody for a user without an account."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return 65534


def alone(parent: int) -> int:
    """Close every descriptor but one: the connection of the line must be able to end without waiting for this process.

    :return: `parent`, under another number.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # from a terminal that sudo made; this process ends with `parent`
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.dup2(parent, 3)
    os.closerange(4, 1024)
    return 3


def inode(path: str) -> int:
    """The inode of a socket; 0 when there is no socket at that path."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else 0


def dead(path: str) -> bool:
    """Whether it is a socket at which no process listens: sshd leaves its own when a connection breaks."""
    if not inode(path):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
