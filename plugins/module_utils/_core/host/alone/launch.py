# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's part: it starts who helps, when no monitor that may act has asked this host for long enough."""

from __future__ import annotations

import contextlib
import os
import sys

from .. import contact
from ..machine import files, procs
from . import grants
from .helper import FILE, helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_LOOK = 0.5  # s between two looks
_AGAIN = 5.0  # s until one that ended is started again


class Launcher:
    """Belongs to the guard, and costs it a look at one small file now and then."""

    def __init__(self, root: str, say: Callable[[str], None]) -> None:
        self._root = root
        self._say = say
        self._next = 0.0
        self._child = 0

    def turn(self, now: float, after: float) -> None:
        """While the host holds a lease.

        :param now: seconds since boot.
        :param after: s without a monitor, from which on the host helps itself; 0: it never does.
        """
        if now < self._next or not after:
            return
        self._next = now + _LOOK
        if self._child:
            with contextlib.suppress(ChildProcessError):  # supervisord has collected it
                os.waitpid(self._child, os.WNOHANG)
        if not alone(self._root, after, now) or not grants.names(self._root) or helper(self._root):
            return
        self._next = now + _AGAIN
        try:
            self._child = _start(self._root)
        except OSError as error:
            self._say("nobody helps this host while no monitor is there: %s" % error)


def alone(root: str, after: float, now: float) -> bool:
    """Whether no monitor has asked this host for so long.

    A run that was here counts as a question: it made the grants, and its monitor may connect a moment later.
    """
    if now - contact.last(root) < after:
        return False
    return now - max([0.0] + [_given(root, name) for name in grants.names(root)]) >= after


def _given(root: str, instance: str) -> float:
    kept = grants.read(root, instance)
    return kept.grant.since if kept is not None else 0.0


def _start(root: str) -> int:
    """:return: the process; it is noted before anybody can take it for a program."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    nothing = [(os.POSIX_SPAWN_OPEN, end, os.devnull, os.O_RDWR, 0) for end in (0, 1, 2)]
    pid = os.posix_spawn(sys.executable, [sys.executable, "-I", root + "/bin/muster-boot", "alone"], environment,
                         file_actions=nothing)  # fmt: skip
    found = procs.stat(pid)
    if found is not None:
        files.write_file(os.path.join(root, FILE), b"%d %d\n" % (pid, found.started))
    return pid
