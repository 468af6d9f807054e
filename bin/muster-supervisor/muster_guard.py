# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a host, inside its supervisord: holds the lease under which programs of items run there.

The kernel ends supervisord when the lease does, and with it what it started. Shortly before, the guard stops every
instance in order: programs first, then their bus. Host services go on. It exists on hosts with ``etc/lease.json`` only
(``muster_settings.exclusion: witnesses``); the work is done by `host.lease` of the agent that was installed last.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_STARTING, _RUNNING, _STOPPING = 10, 20, 40  # states of a process
_guard: Guard | None = None  # outlasts a reload of supervisord, as its timer does


def make(supervisord: Any, say: Callable[[str], None]) -> bool:
    """Begin to hold a lease, where the host has settings for one; again after a reload. :return: whether it has.

    :raises OSError, ValueError, ImportError: when there are settings but no guard; then no program of an item starts.
    """
    global _guard
    root = os.environ["MUSTER_ROOT"]
    if _guard is None:
        if not os.path.exists(root + "/etc/lease.json"):
            return False
        _guard = Guard(root, say)
    _guard.serve(supervisord)
    return True


class Guard:
    """Joins `host.lease.post` to supervisord's loop."""

    def __init__(self, root: str, say: Callable[[str], None]) -> None:
        self._supervisord: Any = None
        self.say = say
        self._killed: set[int] = set()
        self._root = root
        self._told: set[tuple[str, int]] = set()  # instance, epoch: noted that its lease ended
        post, self._stopping, priority, binding = _agent(root)
        self._bindings = binding.Bindings()
        self._unbound: list[int] = []  # processes that were started since the last turn
        priority.raise_it(lambda _unused: None)  # as far as it goes; its programs do not get it
        self._post = post.Post(root, self.lives, self.stop, self.kill, say, os.getpid())

    def serve(self, supervisord: Any) -> None:
        from supervisor import events

        self._supervisord = supervisord
        events.subscribe(events.ProcessStateRunningEvent, self._started)
        connections = supervisord.options.get_socket_map()  # what supervisord's loop waits for
        for descriptor in self._post.descriptors():
            connections[descriptor] = _Wakes(self)

    def turn(self) -> None:
        self._post.turn()
        self._bind()

    def _started(self, event: Any) -> None:
        if event.process.pid and _of(event.process, "MUSTER_ITEM"):
            self._unbound.append(event.process.pid)

    def _bind(self) -> None:
        """The kernel kills a program with supervisord, but not its children: so it kills their process group, too."""
        forked, self._unbound = self._unbound, []
        for pid in forked:
            try:
                if os.getpgid(pid) == pid:
                    self._bindings.bind(pid)
                else:
                    self._unbound.append(pid)  # it has no group of its own yet
            except OSError:
                continue  # it has ended

    def lives(self) -> bool:
        """Whether a process of an item lives, or is just being started."""
        return bool(self._processes() or self._left())

    def stop(self, left: float) -> None:
        """End what lives; called again and again.

        :param left: seconds until the kernel ends everything.
        """
        living = self._processes()
        for process in living:
            self._remember(process)
        hurry = left < 0.1
        ends = {}
        for instance in {_of(process, "MUSTER_INSTANCE") for process in living}:
            claim = self._stopping.read(self._root, instance)
            names = {_of(p, "MUSTER_PROGRAM") for p in living if _of(p, "MUSTER_INSTANCE") == instance}
            ends[instance] = claim.kill, names if hurry or claim.kill else set(claim.last(names))
        for process in living:
            kill, names = ends[_of(process, "MUSTER_INSTANCE")]
            if _of(process, "MUSTER_PROGRAM") not in names:
                continue
            state = process.get_state()
            if hurry or kill:
                if process.pid not in self._killed:
                    self._killed.add(process.pid)
                    process.kill(signal.SIGKILL)
            elif state in (_STARTING, _RUNNING):
                process.stop()
        if not living:
            for pid in self._left():
                _kill(pid)

    def _remember(self, process: Any) -> None:
        """Write down why an instance ended, so that no run takes it for a stop by somebody."""
        known = _of(process, "MUSTER_INSTANCE"), int(getattr(process, "muster_epoch", 0))
        if known not in self._told:
            self._told.add(known)
            self._stopping.remember(self._root, known[0])

    def _processes(self) -> list[Any]:
        if self._supervisord is None:
            return []
        found = []
        for group in list(self._supervisord.process_groups.values()):
            for process in group.processes.values():
                if process.pid and "MUSTER_ITEM" in (process.config.environment or {}):
                    found.append(process)
        return found

    def kill(self) -> None:
        """End what lives at once. A thread of its own calls this: supervisord may stand still, and collects nothing."""
        self._bindings.kill()
        for pid in _children():
            if _of_item(pid):
                _kill(pid)

    def _left(self) -> list[int]:
        """What programs started and left behind: supervisord became its parent."""
        if self._supervisord is None:
            return []
        known = {process.pid for group in self._supervisord.process_groups.values()
                 for process in group.processes.values()}  # fmt: skip
        return [pid for pid in _children() if pid not in known and _of_item(pid)]


class _Wakes:
    """What supervisord's loop calls when a descriptor of the guard is readable."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        try:
            self._guard.turn()
        except Exception as error:  # the next turn comes; without one, the kernel ends supervisord with the lease
            self._guard.say("the guard: %r" % error)

    def handle_error(self) -> None:
        return


def _of(process: Any, variable: str) -> str:
    return str((process.config.environment or {}).get(variable, ""))


def _children() -> list[int]:
    try:
        with open("/proc/self/task/%d/children" % os.getpid(), encoding="ascii") as handle:
            return [int(word) for word in handle.read().split()]
    except (OSError, ValueError):
        return []


def _of_item(pid: int) -> bool:
    try:
        with open("/proc/%d/environ" % pid, "rb") as handle:
            return b"\0MUSTER_ITEM=" in b"\0" + handle.read(65536)
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


def _agent(root: str) -> tuple[Any, Any, Any, Any]:
    """Modules of the installed agent. Its folder is in the path of modules for that time only."""
    import importlib

    library = os.path.join(root, "lib")
    agents = [os.path.join(library, name) for name in os.listdir(library) if "." not in name]
    if not agents:
        raise ImportError("no agent is installed below %s" % library)
    newest = max(agents, key=os.path.getmtime)
    sys.path.insert(0, newest)
    try:
        names = ("post", "stopping", "priority", "binding")
        post, stopping, priority, binding = [importlib.import_module("muster_host.lease." + name) for name in names]
        return post, stopping, priority, binding
    finally:
        sys.path.remove(newest)
