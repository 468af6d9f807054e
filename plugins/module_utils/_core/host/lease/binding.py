# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Process groups that the kernel kills when this process ends, whatever ends it, and whichever process is their parent.

A pipe is closed at one end when its process ends, and the kernel sends the signal that the other end asks for to the
process group that the other end names. Both ends are in this process. In which order the kernel closes them differs
between its versions (ascending or descending), so there are two pipes: one written to at the lowest number and one at
the highest. One of the two is always closed at the writing end first.
"""

from __future__ import annotations

import fcntl
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

_SET_SIGNAL = 10  # F_SETSIG, which the module fcntl names on some systems only
_LOW, _HIGH = 40, 512  # the reading ends are between them; a reload of supervisord closes lower ones
_MOST = 60000  # descriptors


class Bindings:
    """The process groups that end with this process. The caller must not fork without closing its descriptors."""

    def __init__(self) -> None:
        """:raises OSError: when there are too few descriptors."""
        import resource

        soft = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST)
        self._pipes = []
        for least in (_LOW, soft - 8):
            reader, writer = os.pipe()
            for end in (reader, writer):
                os.set_blocking(end, False)
            self._pipes.append((_moved(reader, _HIGH), _moved(writer, least)))
        self._bound: Dict[int, List[int]] = {}  # process group -> descriptors

    def bind(self, group: int) -> None:
        """Let a process group end with this process. Idempotent.

        :raises OSError: when there is none, or too few descriptors.
        """
        if group in self._bound:
            return
        self._forget_ended()
        ends: List[int] = []
        try:
            for reader, _unused in self._pipes:
                # opened again, so that it has an owner of its own
                end = _moved(os.open("/proc/self/fd/%d" % reader, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), _HIGH)
                ends.append(end)
                fcntl.fcntl(end, fcntl.F_SETOWN, -group)
                fcntl.fcntl(end, _SET_SIGNAL, signal.SIGKILL)
                fcntl.fcntl(end, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        except OSError:
            for end in ends:
                os.close(end)
            raise
        self._bound[group] = ends

    def free(self, group: int) -> None:
        """Let a process group outlive this process. Idempotent."""
        for end in self._bound.pop(group, ()):
            os.close(end)

    def free_all(self) -> None:
        for group in list(self._bound):
            self.free(group)

    def kill(self) -> None:
        """Kill every bound process group now, as the end of this process would. Any thread may.

        The kernel knows the groups: the number of one that ended may be another's by now.
        """
        for reader, writer in self._pipes:
            try:
                os.write(writer, b"\0")
                os.read(reader, 4096)
            except BlockingIOError:
                continue

    def groups(self) -> List[int]:
        return list(self._bound)

    def _forget_ended(self) -> None:
        """The kernel remembers the group itself, not its number, so one that ended is never mistaken."""
        for group in list(self._bound):
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                self.free(group)
            except OSError:
                continue


def _moved(descriptor: int, least: int) -> int:
    """The same file under a number that is at least this."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    finally:
        os.close(descriptor)
