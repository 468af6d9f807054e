# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a program that was started is ready: it says so itself, or its port answers.

Nothing here waits: the sequencer asks again and again. The socket for what a program says is there before the program,
and is gone when its start is over; what is sent there later is refused, which sd_notify(3) lets a program ignore.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time

from ..machine import notify, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Mapping, Optional

_MOST_BYTES = 4096  # of one message, or of the beginning of an answer
_MOST_MESSAGES = 16  # that one look reads
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_ANSWER_SECONDS = 2.0  # after which a connection is given up and another one made
_PAUSE_SECONDS = 0.05  # between two tries


class Ready:
    """Whether one start of a program has come so far."""

    def look(self, pid: int) -> bool:
        """One look, which never waits. :param pid: of the program."""
        raise NotImplementedError

    def close(self) -> None:
        """Idempotent."""
        raise NotImplementedError


def of(
    program: Mapping[str, Any], root: str, instance: str, host: Mapping[str, Any], ports: Mapping[str, int]
) -> Optional[Ready]:
    """What tells when a program is ready; None where it is ready once it runs. Call it before the program is started.

    :param program: of an act, with ``ready`` as in a site.
    :param ports: of the instance, by name.
    :raises OSError: when the socket cannot be made.
    """
    how = program.get("ready") or {}
    if not how:
        return None
    if how["type"] == "notify":
        return _Notified(root, instance, str(program["name"]))
    return _Answers(host["address"], ports[how["port"]], how.get("path", "/") if how["type"] == "http" else "")


class _Notified(Ready):
    """``READY=1`` at the program's NOTIFY_SOCKET, from its user or root.

    Not from its process only: a script has ``systemd-notify`` say it, which may have ended before this looks.
    """

    def __init__(self, root: str, instance: str, program: str) -> None:
        self._path = root + notify.below(instance, program)
        folder = os.path.dirname(self._path)
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o711)
        self._said = False
        _remove(self._path)  # of a start that was killed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(self._path)
            os.chmod(self._path, 0o666)  # who says it is checked; the folders above decide who comes here
        except OSError:
            self.close()
            raise

    def look(self, pid: int) -> bool:
        for _unused in range(_MOST_MESSAGES):
            if self._said:
                break
            try:
                # no room for descriptors: the kernel closes those that come along
                data, extra, _flags, _address = self._socket.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
            except OSError:
                break
            self._said = b"READY=1" in data.split(b"\n") and self._may_say(extra, pid)
        return self._said

    def _may_say(self, extra: List[Any], pid: int) -> bool:
        for level, kind, data in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) >= _CREDENTIALS.size:
                sender = int(_CREDENTIALS.unpack(data[: _CREDENTIALS.size])[1])
                return sender in (0, procs.user(pid))
        return False

    def close(self) -> None:
        self._socket.close()
        _remove(self._path)


class _Answers(Ready):
    """Its port takes a connection, or answers a GET there."""

    def __init__(self, address: str, port: int, path: str) -> None:
        """:param path: what is asked for; "": a connection is enough."""
        self._where = (address, port)
        self._request = path and "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, address)
        self._socket: Optional[socket.socket] = None
        self._sent = False
        self._begun = 0.0
        self._got = b""

    def look(self, pid: int) -> bool:
        now = time.monotonic()
        if self._socket is None and now < self._begun + _PAUSE_SECONDS:
            return False
        try:
            if self._goes_on(self._socket or self._begin(now)):
                self.close()
                return True
        except BlockingIOError:
            if now > self._begun + _ANSWER_SECONDS:
                self.close()
        except (OSError, UnicodeError):  # the latter for a name that can be none of a host
            self.close()
        return False

    def _begin(self, now: float) -> socket.socket:
        self._begun, self._sent, self._got = now, False, b""
        family, kind, protocol, _name, where = socket.getaddrinfo(*self._where, type=socket.SOCK_STREAM)[0]
        self._socket = one = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        code = one.connect_ex(where)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        return one

    def _goes_on(self, one: socket.socket) -> bool:
        """:raises BlockingIOError: when there is nothing new yet. :raises OSError: when the connection is over."""
        code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        if not self._connected(one):
            raise BlockingIOError
        if not self._request:
            return True
        if not self._sent:
            one.send(self._request.encode("ascii"))
            self._sent = True
        while b"\r\n" not in self._got:
            data = one.recv(_MOST_BYTES)
            if not data or len(self._got) > _MOST_BYTES:
                raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
            self._got += data
        words = self._got.split(b"\r\n")[0].split()
        if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() and 200 <= int(words[1]) < 400:
            return True
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))

    @staticmethod
    def _connected(one: socket.socket) -> bool:
        try:
            one.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return False
            raise
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
