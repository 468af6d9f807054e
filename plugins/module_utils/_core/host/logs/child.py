# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line's half of reading logs: a process per host's folder reads them (`host.logs.serve`), and this passes on.

Nothing here waits: what the process does not take in at once ends it, and what it says is read as far as it is there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket

from .. import relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping

    Json = Dict[str, Any]

TOKEN = re.compile(r"[0-9a-f]{1,32}\Z")
MOST, MORE = 32, 16  # streams of one line that are followed, and more of those that end by themselves
_READ_BYTES = 64 << 10
_LARGEST = 1 << 20  # bytes of one document
_READER_ENDED = "what reads the logs there ended"


class _Reader:
    """One process, and what it has said so far."""

    __slots__ = ("end", "held", "pid")

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self.end = end
        self.held = b""


class Logs:
    """The streams of one line."""

    def __init__(self, permitted: Callable[[Mapping[str, Any]], Json]) -> None:
        """:param permitted: the request that is carried out, of the one that came; raises ValueError."""
        self._permitted = permitted
        self._readers: Dict[str, _Reader] = {}  # root -> its process
        self._streams: Dict[str, str] = {}  # token -> root
        self._ended: List[int] = []  # processes to collect

    def take(self, said: Mapping[str, Any]) -> Json:
        """A document of the monitor's, see `host.logs.serve`. :return: the answer to it; empty when it comes later."""
        token = said.get("log")
        if not isinstance(token, str) or not TOKEN.match(token):
            return {}
        self._collect()
        try:
            if said.get("do") == "open":
                self._open(token, said)
            elif token in self._streams:
                self._pass_on(self._streams[token], said)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._streams.pop(token, None)
            self._rest()
            return {"log": token, "over": "%s" % error or "it cannot be read now"}
        if said.get("do") == "close":
            self._streams.pop(token, None)
            self._rest()
        return {}

    def waited(self) -> List[int]:
        """Descriptors at which answers arrive."""
        return [reader.end.fileno() for reader in self._readers.values()]

    def answers(self, ready: List[int]) -> List[Json]:
        """What came at these descriptors."""
        found: List[Json] = []
        for root, reader in list(self._readers.items()):
            if reader.end.fileno() not in ready:
                continue
            try:
                data = reader.end.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            *lines, reader.held = (reader.held + data).split(b"\n")
            for line in lines:
                document = json.loads(line.decode("utf-8"))
                if "over" in document:
                    self._streams.pop(document["log"], None)
                found.append(document)
            if not data or len(reader.held) > _LARGEST:
                found += self._end(root, _READER_ENDED)
        self._rest()
        return found

    def close(self, why: str) -> List[Json]:
        """End all streams. :return: what is to be said about them."""
        return [said for root in list(self._readers) for said in self._end(root, why)]

    def _rest(self) -> None:
        """End each process that has no stream any more."""
        for root in set(self._readers) - set(self._streams.values()):
            self._end(root, "")

    def _open(self, token: str, said: Mapping[str, Any]) -> None:
        request = self._permitted(dict(said["request"]))
        if len(self._streams) >= (MOST if request.get("follow") else MOST + MORE) and token not in self._streams:
            raise ValueError("%d logs are read on this line already" % MOST)
        root = str(request["host"]["root"])
        if root not in self._readers:
            self._readers[root] = self._start(root)
        self._streams[token] = root
        self._pass_on(root, {"log": token, "do": "open", "request": request})

    def _start(self, root: str) -> _Reader:
        here, there = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            here.close()
            there.close()
            raise
        if pid == 0:
            try:
                signal.alarm(0)  # the line's patience
                descriptor = relay.alone(there.fileno())
                from . import serve

                serve.main(descriptor, root)
            finally:
                os._exit(0)
        there.close()
        here.setblocking(False)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        return _Reader(pid, here)

    def _pass_on(self, root: str, said: Mapping[str, Any]) -> None:
        data = json.dumps(said, separators=(",", ":")).encode("utf-8") + b"\n"
        try:
            sent = self._readers[root].end.send(data)
        except ConnectionError:
            raise ValueError(_READER_ENDED) from None
        if sent < len(data):
            raise ValueError("what reads the logs there does not answer")

    def _end(self, root: str, why: str) -> List[Json]:
        reader = self._readers.pop(root)
        reader.end.close()
        self._ended.append(reader.pid)
        tokens = [token for token, of in self._streams.items() if of == root]
        for token in tokens:
            del self._streams[token]
        return [{"log": token, "over": why} for token in tokens]

    def _collect(self) -> None:
        for pid in list(self._ended):
            try:
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            except ChildProcessError:
                pass
            self._ended.remove(pid)
