# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of the service manager of a host on this machine, as they happen.

The listener inside supervisord sends one JSON datagram per event to every ``<host root>/run/listeners/*.sock``. An
event is an early hint, not the truth: it may be lost (a full socket, a host without the listener). So a run that acts
on it looks at the host first, and the scheduled observation finds what was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..base.files import SOCKET_PATH_BYTES

FOLDER = "run/listeners"
_DATAGRAM_BYTES = 65536  # of a datagram
_DATAGRAMS_PER_TURN = 256  # taken in one turn of the loop, which others need too


class EventSocketError(Exception):
    """Events cannot be received there; the text is one sentence."""


class EventSocket:
    """Receives the events of one host until it is closed. Make it in a running asyncio loop."""

    def __init__(self, root: Path, received: Callable[[dict[str, Any]], None]) -> None:
        """
        :param root: folder of a host (``muster_root``) that was prepared.
        :param received: called in the loop with each event: ``{"event": "exited", "host", "instance", "program",
            "epoch" (0: a host service), "pid", "code" (-1: by a signal), "expected" (a gate that passed), "stopped":
            [programs that were stopped because of it], "busy" (a run was at work on the instance), "at": s since
            1970}``, or ``{"event": "ending", "host", "at"}`` when the service manager is asked to end.
        :raises EventSocketError: when the path is too long, or the socket cannot be made.
        """
        self.path = root / FOLDER / f"{os.getpid()}.sock"
        self.ignored = 0  # datagrams that were no event
        self._received = received
        length = len(os.fsencode(self.path))
        if length > SOCKET_PATH_BYTES:
            raise EventSocketError(
                f"the path {self.path} has {length} bytes, but that of a socket at most {SOCKET_PATH_BYTES}:"
                " choose a shorter muster_root"
            )
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            clean(self.path.parent)
            _remove(self.path)  # of a process before us that had our pid
            self._socket.bind(str(self.path))
            os.chmod(self.path, 0o600)
        except OSError as error:
            self._socket.close()
            raise EventSocketError(f"cannot listen at {self.path}: {error.strerror or error}") from None
        self._loop.add_reader(self._socket.fileno(), self._take)

    def close(self) -> None:
        """Stop receiving events and remove the socket. Idempotent."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        _remove(self.path)

    def _take(self) -> None:
        for _unused in range(_DATAGRAMS_PER_TURN):
            if self._socket.fileno() < 0:
                return  # closed by the receiver
            try:
                data = self._socket.recv(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self.ignored += 1
                return
            event = decode(data)
            if event is None:
                self.ignored += 1
            else:
                self._received(event)


def decode(data: bytes) -> dict[str, Any] | None:
    """The event in a datagram; None when it holds none."""
    try:
        event = json.loads(data)
    except ValueError:  # also text that is not UTF-8
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    return event


def clean(folder: Path) -> list[Path]:
    """Remove sockets that no process reads any more; other files stay.

    :return: what was removed.
    :raises OSError: when the folder cannot be read.
    """
    removed = []
    for path in sorted(folder.glob("*.sock")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect(str(path))
            except ConnectionRefusedError:
                if _remove(path):
                    removed.append(path)
            except OSError:
                continue
    return removed


def _remove(path: Path) -> bool:
    """Remove a socket, and nothing else. :return: whether there was one."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
            return True
    return False
