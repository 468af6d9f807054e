# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports to systemd that the monitor is ready, that its loop turns, and its last sentence: `sd_notify`.

Without a `Type=notify` unit it does nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

STATUS_CHARACTERS = 200  # of a status line


class Notify:
    """Takes the socket from the environment and clears it there: processes that the monitor starts must not use it."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        path, pid = environ.pop("NOTIFY_SOCKET", ""), environ.pop("WATCHDOG_PID", "")
        interval = environ.pop("WATCHDOG_USEC", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path
        watched = interval.isdigit() and pid in ("", str(os.getpid()))
        self._every = int(interval) / 4e6 if watched else 0.0  # s between signs of life, four in each interval
        self._due = 0.0
        self._ready = False
        self._told = ""

    def turned(self, now: float, ready: bool, said: str) -> None:
        """Report that the loop turned.

        :param now: seconds of a monotonic clock.
        :param ready: the monitor knows its watch list, or that there is none yet.
        :param said: its last sentence.
        """
        lines = []
        if ready and not self._ready:
            self._ready = True
            lines.append("READY=1")
        if self._every and now >= self._due:
            self._due = now + self._every
            lines.append("WATCHDOG=1")
        if said != self._told:
            self._told = said
            lines.append("STATUS=" + " ".join(said.split())[:STATUS_CHARACTERS])
        if lines:
            self._send("\n".join(lines))

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._path:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(), self._path)
        except OSError:
            return  # a service manager that does not listen must not stop the supervision
