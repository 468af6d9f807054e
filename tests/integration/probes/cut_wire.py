# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy between a client and a server of a test."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable

from tests.integration.probes.real_buses import WAIT


class Wire:
    """A proxy in front of a port: passes on, swallows everything, holds it up for a while, or is cut until mended."""

    def __init__(self, to: tuple[str, int], listen: str, source: str = "") -> None:
        """:param listen: the address where it accepts connections; :param source: the address that it connects from"""
        self.swallow = False
        self._cut = False
        self.delay = 0.0  # s for what the server says
        self._to, self._source = to, (source, 0) if source else None
        self._server = socket.create_server((listen, 0))
        self._ends: list[socket.socket] = []
        self.place: tuple[str, int] = self._server.getsockname()[:2]
        self.port = self.place[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _unused = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._to, 5.0, self._source)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._ends += [client, server]
            if self._cut:
                _end((client, server))
            for source, sink, slow in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._pass, args=(source, sink, slow), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if slow and self.delay:
                    time.sleep(self.delay)
                if not self.swallow:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End what it carries, and at once what comes until it is mended."""
        self._cut = True
        _end(self._ends)

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        _end([self._server, *self._ends])
        for thread in self._threads:
            thread.join(WAIT)


def _end(ends: Iterable[socket.socket]) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
