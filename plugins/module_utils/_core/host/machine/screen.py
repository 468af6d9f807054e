# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the windows of an X server whether they answer: ``_NET_WM_PING`` of EWMH, as window managers do.

A client of the X protocol of the few requests that this takes, because agents have the standard library only. It reads
lists and properties, sends pings, and listens for their answers; it changes nothing and draws nothing. What another
program wrote into the server is bounded and untrusted.

Sources: X Window System Protocol, X11 release 7.7, appendix B (encoding); X Resource Extension 1.2; EWMH 1.5,
_NET_WM_PING and _NET_CLIENT_LIST.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, NamedTuple, Optional, Set, Tuple

    class Window(NamedTuple):
        number: int  # of the X server
        pid: int  # 0: not known

else:
    from collections import namedtuple

    Window = namedtuple("Window", "number pid")

WITHIN_SECONDS = 3.0  # for each answer of the X server itself
MOST_WINDOWS = 1000
DEEP = 3  # levels of windows, where no window manager has a list of them
MOST_BYTES = 1 << 20  # of an answer
_NAME = re.compile(r"(?:unix)?:(\d{1,5})(?:\.\d+)?\Z")
_COOKIE = b"MIT-MAGIC-COOKIE-1"
_ERROR, _REPLY, _CLIENT_MESSAGE, _SENT = 0, 1, 33, 0x80
_EVENTS_OF_CHILDREN = 1 << 19  # SubstructureNotify: answers to pings are sent to the root window with it
_EVENT_MASK = 1 << 11  # of ChangeWindowAttributes


class NoScreen(Exception):
    """The X server cannot be asked; the text is one sentence."""


class Screen:
    """A connection to an X server of this machine."""

    def __init__(self, display: str, authority: str = "") -> None:
        """
        :param display: as in DISPLAY, for a server of this machine: ``:0``.
        :param authority: path as in XAUTHORITY; "" for none.
        :raises NoScreen:
        """
        named = _NAME.match(display)
        if not named:
            raise NoScreen("%s is no display of this machine, such as :0" % display)
        self._display = display
        self._buffer = b""
        self._sequence = 0
        self._pings = 0
        self._asked: Set[int] = set()
        self._answers: Set[int] = set()  # of those that were asked; `_fresh`: since they were asked last
        self._fresh: Set[int] = set()
        self._socket = _connected(named.group(1), display)
        try:
            cookie, owner = _cookie(authority, named.group(1))
            if cookie and _user(self._socket) not in (0, owner):
                raise NoScreen("the X server of %s is another user's than its secret" % display)
            self._root = self._begin(cookie)
            names = ("_NET_CLIENT_LIST", "_NET_WM_PID", "WM_PROTOCOLS", "_NET_WM_PING")
            self._list, self._pid, self._protocols, self._ping = [self._atom(name) for name in names]
            self._resources = self._extension("X-Resource")
            self._send(struct.pack("<BBHIII", 2, 0, 4, self._root, _EVENT_MASK, _EVENTS_OF_CHILDREN))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def windows(self) -> List[Window]:
        """The windows of programs: those that the window manager lists, else all that take part in any protocol of it.

        Not only those that say that they answer pings: windows of Tk answer and do not say it.

        :raises NoScreen:
        """
        listed = self._property(self._root, self._list)
        found = []
        for number in (listed or self._tree(self._root, DEEP))[:MOST_WINDOWS]:
            if self._property(number, self._protocols):
                found.append(Window(number, self._owner(number)))
        return found

    def _owner(self, window: int) -> int:
        """The process that the server has a window's connection from; where it does not tell, what the window says."""
        if self._resources:
            reply = self._ask(struct.pack("<BBHIII", self._resources, 4, 4, 1, window, 2))
            if reply and len(reply) >= 48 and struct.unpack_from("<I", reply, 40)[0] == 4:
                return int(struct.unpack_from("<I", reply, 44)[0])
        return (self._property(window, self._pid) or [0])[0]

    def _extension(self, name: str) -> int:
        """The opcode of an extension; 0 where the server has none of this name."""
        data = name.encode("ascii")
        reply = self._ask(struct.pack("<BBHHH", 98, 0, 2 + len(_padded(data)) // 4, len(data), 0) + _padded(data))
        return reply[9] if reply and reply[8] else 0

    def ping(self, numbers: Iterable[int]) -> None:
        """Ask windows whether they answer. Once this returns, the server has passed the question on.

        :raises NoScreen:
        """
        self._asked = set(numbers)
        self._pings = self._pings % 0x7FFFFFFF + 1
        for number in self._asked:
            event = struct.pack("<BBHII5I", _CLIENT_MESSAGE, 32, 0, number, self._protocols,
                                self._ping, self._pings, number, 0, 0)  # fmt: skip
            self._send(struct.pack("<BBHII", 25, 0, 11, number, 0) + event)
        self._round_trip()
        self._fresh.clear()

    def wait(self, seconds: float) -> None:
        """Wait until every window has answered since it was asked, or the time is over. :raises NoScreen:"""
        until = time.monotonic() + seconds
        while True:
            while len(self._buffer) >= 32:
                self._packet(0.0)
            if self._asked <= self._fresh or not self._fill(until):
                return

    def answered(self) -> Set[int]:
        """The windows that have answered since this was called last, to whichever question: one that answers late is
        slow, and not silent. What had reached the server before this call is in it. :raises NoScreen:"""
        for _again in range(2):  # it may answer us before it has looked at all that others sent it
            self._round_trip()
        found, self._answers = self._answers & self._asked, set()
        return found

    def _round_trip(self) -> None:
        self._ask(struct.pack("<BBH", 43, 0, 1))  # GetInputFocus: the shortest question to the server itself

    def _begin(self, cookie: bytes) -> int:
        """Introduce ourselves. :return: the root window."""
        name = _COOKIE if cookie else b""
        head = struct.pack("<BBHHHHH", ord("l"), 0, 11, 0, len(name), len(cookie), 0)
        self._write(head + _padded(name) + _padded(cookie))
        status, _reason, _major, _minor, words = struct.unpack("<BBHHH", self._read(8))
        body = self._read(4 * words)
        if status != 1:
            raise NoScreen("the X server of %s does not let this user in" % self._display)
        vendor, _requests, roots, formats = struct.unpack_from("<HHBB", body, 16)
        at = 32 + vendor + -vendor % 4 + 8 * formats
        if not roots or len(body) < at + 4:
            raise NoScreen("the X server of %s has no screen" % self._display)
        return int(struct.unpack_from("<I", body, at)[0])

    def _atom(self, name: str) -> int:
        data = name.encode("ascii")
        reply = self._ask(struct.pack("<BBHHH", 16, 0, 2 + len(_padded(data)) // 4, len(data), 0) + _padded(data))
        return int(struct.unpack_from("<I", reply, 8)[0]) if reply else 0

    def _property(self, window: int, name: int) -> List[int]:
        """A property of 32-bit numbers; nothing where there is none, or the window is gone."""
        reply = self._ask(struct.pack("<BBHIIIII", 20, 0, 6, window, name, 0, 0, MOST_WINDOWS))
        if not reply or reply[1] != 32:
            return []
        count = min(struct.unpack_from("<I", reply, 16)[0], (len(reply) - 32) // 4)
        return list(struct.unpack_from("<%dI" % count, reply, 32))

    def _tree(self, window: int, levels: int) -> List[int]:
        reply = self._ask(struct.pack("<BBHI", 15, 0, 2, window)) if levels else None
        if not reply:
            return []
        count = min(struct.unpack_from("<H", reply, 16)[0], (len(reply) - 32) // 4, MOST_WINDOWS)
        children = list(struct.unpack_from("<%dI" % count, reply, 32))
        return [*children, *(one for child in children for one in self._tree(child, levels - 1))]

    def _ask(self, request: bytes) -> Optional[bytes]:
        """The reply to a request; None for an error, as of a window that was just closed."""
        wanted = self._send(request)
        until = time.monotonic() + WITHIN_SECONDS
        while True:
            kind, sequence, packet = self._packet(until)
            if sequence == wanted and kind in (_ERROR, _REPLY):
                return packet if kind == _REPLY else None

    def _send(self, request: bytes) -> int:
        self._write(request)
        self._sequence = (self._sequence + 1) & 0xFFFF
        return self._sequence

    def _packet(self, until: float) -> Tuple[int, int, bytes]:
        """The next packet: its kind, the number of its request, and all of it. Answers to pings are noted."""
        packet = self._read(32, until)
        kind, sequence = packet[0], struct.unpack_from("<H", packet, 2)[0]
        if kind == _REPLY:
            more = 4 * struct.unpack_from("<I", packet, 4)[0]
            if more > MOST_BYTES:
                raise NoScreen("the X server of %s answers nonsense" % self._display)
            packet += self._read(more, until)
        elif kind & ~_SENT == _CLIENT_MESSAGE:
            self._note(packet)
        return kind, sequence, packet

    def _note(self, event: bytes) -> None:
        """Keep who answers a ping. No stamp tells whose question it was: any answer shows that the window lives."""
        _code, form, _seq, _window, kind, ping, _stamp, number = struct.unpack_from("<BBHIIIII", event)
        if number in self._asked and form == 32 and (kind, ping) == (self._protocols, self._ping):
            self._answers.add(number)
            self._fresh.add(number)

    def _read(self, count: int, until: float = 0.0) -> bytes:
        until = until or time.monotonic() + WITHIN_SECONDS
        while len(self._buffer) < count:
            if not self._fill(until):
                raise NoScreen("the X server of %s does not answer" % self._display)
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _fill(self, until: float) -> bool:
        """Wait for bytes. :return: whether there were any in time."""
        ready = select.select([self._socket], [], [], max(0.0, until - time.monotonic()))[0]
        if not ready:
            return False
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise NoScreen("the X server of %s is gone: %s" % (self._display, error.strerror)) from None
        if not data:
            raise NoScreen("the X server of %s is gone" % self._display)
        self._buffer += data
        return True

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise NoScreen("the X server of %s is gone: %s" % (self._display, error.strerror or error)) from None


def _connected(number: str, display: str) -> socket.socket:
    path = "/tmp/.X11-unix/X" + number
    for address in (path, "\0" + path):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(WITHIN_SECONDS)
        try:
            made.connect(address)
            return made
        except OSError:
            made.close()
    raise NoScreen("there is no X server %s on this machine" % display)


def _user(connection: socket.socket) -> int:
    """Who has the other end of a Unix socket."""
    size = struct.calcsize("3i")
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[1])


def _cookie(path: str, number: str) -> Tuple[bytes, int]:
    """The secret of a display in a file of xauth, and the user whose file it is; b"" where there is none."""
    data, owner = b"", 0
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) if path else -1
        if handle >= 0:
            with os.fdopen(handle, "rb") as file:
                owner = os.fstat(handle).st_uid
                data = file.read(MOST_BYTES)
    while len(data) > 2:
        fields: List[bytes] = []
        at = 2
        for _unused in range(4):
            size = struct.unpack_from(">H", data, at)[0] if len(data) >= at + 2 else 0
            fields.append(data[at + 2 : at + 2 + size])
            at += 2 + size
        _address, of, name, secret = fields
        if name == _COOKIE and of in (number.encode("ascii"), b""):
            return secret, owner
        data = data[at:]
    return b"", owner


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
