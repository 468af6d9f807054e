# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that reads logs for a line: one for all streams of a host's folder, apart from the line itself.

It takes documents ``{"log": token, "do": "open" | "got" | "close", ...}``, one a line, and answers ``{"log": token,
"lines", "cursor", "size"}``, and last ``{"log": token, "over": sentence}``. What it has sent and nobody has taken in
(``got``) is bounded, and so is its rate: the line's own answers never wait behind more than that.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections import deque

from . import figures, files, history, journal, left, text, times
from .sources import Wanted, Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Dict, List, Mapping, Optional

    Json = Dict[str, Any]

WINDOW_BYTES = 96 << 10  # sent, and not taken in yet
RATE_BYTES = 512 << 10  # a second
BURST_BYTES = 2 << 20  # after a pause
PART_BYTES = 16 << 10  # of one document, about
_LOOK_SECONDS = 0.05  # between looks at files that are followed
_IDLE_SECONDS = 0.15  # the same when nothing was written for a while
_IDLE_AFTER = 100  # looks
_NICE = 10


class Stream:
    """One request. `step` is called until it is `over`."""

    def __init__(self, wanted: Wanted) -> None:
        """:raises Wrong: when it makes no sense. :raises OSError: when a log cannot be read."""
        self._wanted = wanted
        self._filter = wanted.filter()
        self._pending: Deque[Json] = deque()
        self._files: Dict[str, files.Follower] = {}  # by the key of its source
        self._journal: Optional[journal.Follower] = None
        self._turn = 0
        self._told = False  # whether its first cursor was given
        began = time.time()
        self._left: Any = left.gathered(wanted, wanted.ended) if wanted.ended else None
        if wanted.figures:
            self._left = figures.figures(wanted)
        if self._left is not None:
            pass
        elif wanted.after and wanted.follow:
            self._resume(wanted.after, began)
        else:
            found = history.read(wanted)
            self._pending.extend(found.lines)
            if wanted.follow:
                self._follow(found.places, found.cursor, began)
        self.over = False

    @property
    def answers(self) -> bool:
        """Whether it is a question that has its answer."""
        return self._left is not None

    def descriptors(self) -> List[int]:
        """At which more may arrive."""
        return [self._journal.descriptor] if self._journal is not None else []

    def step(self) -> Optional[Json]:
        """The next part, or None when there is nothing at the moment.

        :raises OSError: when a log cannot be read any more.
        """
        if self._left is not None:
            self.over = True
            return {"lines": [], "cursor": None, "left": self._left}
        lines: List[Json] = []
        size = 0
        while self._pending and size < PART_BYTES:
            lines.append(self._pending.popleft())
            size += len(lines[-1].get("t") or "") + 50
        if not lines and self._told:
            lines = self._new()
        self.over = not self._pending and not self._wanted.follow
        # A reader knows by the first cursor that what comes next is new, also where there was nothing before.
        if not lines and (self._told or not self._wanted.follow):
            return None
        self._told = self._wanted.follow and not self._pending
        return {"lines": lines, "cursor": None if self._pending else self.cursor()}

    def cursor(self) -> Json:
        """Where it goes on."""
        places = {key: reader.place() for key, reader in self._files.items()}
        found: Json = {"f": {key: place for key, place in places.items() if place}}
        if self._journal is not None and self._journal.cursor:
            found["j"] = self._journal.cursor
        return found

    def close(self) -> None:
        for reader in self._files.values():
            reader.close()
        if self._journal is not None:
            self._journal.close()

    def _resume(self, after: Mapping[str, Any], began: float) -> None:
        """:raises Wrong: when it is none of our cursors."""
        try:
            places = {str(number): (int(place[0]), int(place[1])) for number, place in after.get("f", {}).items()}
            if any(offset < 0 for _inode, offset in places.values()):
                raise ValueError
            self._follow(places, str(after.get("j") or ""), began)
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError):
            raise Wrong("this is no cursor of a log") from None

    def _follow(self, places: Mapping[str, Any], cursor: str, began: float) -> None:
        for source in self._wanted.sources:
            if source.path:
                self._files[source.key] = files.Follower(source.path, places.get(source.key))
        units = {source.unit: source.number for source in self._wanted.sources if source.unit}
        if units:
            self._journal = journal.Follower(units, cursor, began)

    def _new(self) -> List[Json]:
        """What was written since: of one file after the other, so that a loud one does not hide the others."""
        if self._journal is not None:
            found = [line for line in self._journal.lines() if self._filter.takes(line["t"], line["at"])]
            if found:
                return found
        keys = list(self._files)
        for ahead in range(len(keys)):
            key = keys[(self._turn + ahead) % len(keys)]
            lines = self._of_file(key)
            if lines:
                self._turn = (self._turn + ahead + 1) % len(keys)
                return lines
        return []

    def _of_file(self, key: str) -> List[Json]:
        reader, now, number = self._files[key], time.time(), int(key.rstrip("e"))
        found: List[Json] = []
        data = reader.lines(PART_BYTES)
        if reader.lost:
            found.append(text.note(number, now, reader.lost))
            reader.lost = ""
        for raw, more in data:
            at = times.written(raw, now)
            made = text.line(number, now if at is None or at > now + times.DAY else at, raw, more)
            if self._filter.takes(made["t"], made["at"]):
                found.append(made)
        return found


class Server:
    """All streams of one process."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._held = b""
        self._streams: Dict[str, Stream] = {}
        self._sent = 0  # bytes that were not taken in yet
        self._allowance = float(BURST_BYTES)
        self._filled = time.monotonic()
        self._idle = 0

    def run(self) -> None:
        """Until the other end is closed."""
        busy = True
        while True:
            waited: List[Any] = [self._end]
            may = self._may()
            if may:
                waited += [number for stream in self._streams.values() for number in stream.descriptors()]
            ready = select.select(waited, [], [], self._pause(busy, may))[0]
            if self._end in ready and not self._take():
                return
            busy = self._turn()
            self._idle = 0 if busy else self._idle + 1

    def _pause(self, busy: bool, may: bool) -> Optional[float]:
        if not self._streams:
            return None
        if busy and may:
            return 0.0
        return _IDLE_SECONDS if self._idle > _IDLE_AFTER else _LOOK_SECONDS

    def _may(self) -> bool:
        """Whether more may be sent now."""
        now = time.monotonic()
        self._allowance = min(BURST_BYTES, self._allowance + (now - self._filled) * RATE_BYTES)
        self._filled = now
        return self._sent < WINDOW_BYTES and self._allowance > 0

    def _turn(self) -> bool:
        """One part of each stream. :return: whether there was any."""
        busy = False
        # Questions that have their answer first, then who waits longest: what many read must not hold those up.
        for token in sorted(self._streams, key=lambda token: not self._streams[token].answers):
            if not self._may():
                return busy
            stream = self._streams.pop(token)
            self._streams[token] = stream
            try:
                part = stream.step()
            except OSError as error:
                self._over(token, "its log cannot be read: %s" % (error.strerror or error))
                continue
            if part is not None:
                busy = True
                self._say({"log": token, **part})
            if stream.over:
                self._over(token, "")
        return busy

    def _take(self) -> bool:
        """Read what is wanted. :return: False when the other end is closed."""
        data = self._end.recv(1 << 16)
        if not data:
            return False
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                self._do(json.loads(line.decode("utf-8")))
        return True

    def _do(self, said: Mapping[str, Any]) -> None:
        token, verb = str(said["log"]), said["do"]
        if verb == "got":
            self._sent = max(0, self._sent - int(said["bytes"]))
        elif verb == "close":
            self._over(token, None)
        elif verb == "open":
            try:
                self._streams[token] = Stream(Wanted(said["request"]))
            except Wrong as error:
                self._over(token, "%s" % error)
            except OSError as error:
                self._over(token, "its log cannot be read: %s" % (error.strerror or error))

    def _over(self, token: str, why: Optional[str]) -> None:
        stream = self._streams.pop(token, None)
        if stream is not None:
            stream.close()
        if why is not None:
            self._say({"log": token, "over": why})

    def _say(self, document: Json) -> None:
        document["size"] = size = len(json.dumps(document, separators=(",", ":")))
        self._end.sendall(json.dumps(document, separators=(",", ":")).encode("utf-8") + b"\n")
        if "lines" in document:
            self._sent += size
            self._allowance -= size


def main(descriptor: int, root: str) -> None:
    """Be that process, forked from a line. Root becomes the owner of the folder.

    :param descriptor: a socket to the line.
    """
    owner = os.stat(root)
    if os.geteuid() == 0 and owner.st_uid:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as end:
        Server(end).run()
