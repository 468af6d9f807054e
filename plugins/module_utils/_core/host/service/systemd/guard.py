# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a host with systemd: a process of its own, to whose life every program of an item is bound.

systemd is the parent of those programs and never dies, so the kernel binds them to the guard instead: muster-exec tells
its process to the guard (``run/guard``, a FIFO) and goes on when the guard has bound it (see `lease.binding`) and says
so in a FIFO of the program. When the guard ends, by its deadline or by anything else, the kernel kills what is bound.
systemd then runs `ended`, which kills what left its process group, and stops the slices, which are bound to the guard.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from ...lease import allowed, post, priority, stopping
from ...lease.binding import Bindings
from ...machine import files, instance_files, procs
from . import groups, orders, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Tuple

ASK = "run/guard"  # where muster-exec tells its process
_RETRY = 0.002  # s until a program that does not listen yet is answered again
_PATIENCE = 2.0  # s for which a program is answered
_AT_ONCE = 256  # bytes of what programs tell that are read in one turn
_BREATH = 0.01  # s of pause after so many
_HURRY = 0.1  # s before the deadline, from which on nothing is asked to end any more
_ASKING = 0.4  # s that systemd may take for an answer


class Guard:
    """Joins `host.lease.post` to systemd and to the programs of one host."""

    def __init__(self, root: str) -> None:
        """:raises OSError, ValueError: when there can be no guard; then nothing of an item starts."""
        self._root = root
        self._bindings = Bindings()
        self._asked: Dict[int, Tuple[str, float]] = {}  # process -> FIFO to answer in, until when
        self._ordered: Dict[str, float] = {}  # unit -> when systemd was last asked to stop it
        self._placed: Dict[Optional[Tuple[str, str]], str] = {}  # (application, item) -> instance
        self._rest = b""
        self._ask = _fifo(os.path.join(root, ASK), 0o620)
        for instance in units.placed(root):
            units.make_replies(root, instance)
        for pid, _instance, _program in self._members():
            self._bind(pid)  # what ran before there were leases
        self._post = post.Post(root, lambda: any(True for _unused in self._members()), self.stop,
                               self._bindings.kill, say, 1)

    def run(self) -> None:
        """Hold the lease until this process is asked to end."""
        woken = _wakes()
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        poll.register(self._ask, select.POLLIN)
        turns = self._post.descriptors()
        for descriptor in turns:
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _unused in poll.poll(_RETRY * 1000 if self._asked else None)}
            if woken in ready:
                if not os.path.exists(os.path.join(self._root, allowed.SETTINGS_FILE)):
                    self._bindings.free_all()  # switched off: what runs goes on
                    files.remove(os.path.join(self._root, ASK))
                    allowed.forbid(self._root)  # without settings this takes the file away
                return
            try:
                if self._ask in ready:
                    self._take()
                self._answer()
                if ready.intersection(turns):
                    self._post.turn()
            except (OSError, ValueError) as error:  # the next turn comes; without one, the lease ends
                say("the guard: %r" % error)

    # Programs that start.

    def _take(self) -> None:
        """Bind the processes that muster-exec told."""
        try:
            new = os.read(self._ask, _AT_ONCE)
        except BlockingIOError:
            return
        if len(new) == _AT_ONCE:
            time.sleep(_BREATH)  # any program may write there, without end
        lines = (self._rest + new).split(b"\n")
        self._rest = lines.pop()[-32:]
        for line in lines:
            pid = procs.number(line.decode("ascii", "replace").strip())
            if pid > 1 and self._bind(pid):
                self._asked[pid] = (self._reply(pid), time.monotonic() + _PATIENCE)

    def _bind(self, pid: int) -> bool:
        """:return: whether that is a program of an item of this host, which is bound now."""
        try:
            group = os.getpgid(pid)
            if group in (0, 1, os.getpgid(0)):
                return False
            bound = group in self._bindings.groups()
            self._bindings.bind(group)
            if self._names(pid) is not None and (group == pid or self._names(group) is not None):
                return True
            if not bound:
                self._bindings.free(group)  # anybody in the group of programs may write any number
        except OSError as error:
            say("process %d is not bound: %s" % (pid, error))
        return False

    def _reply(self, pid: int) -> str:
        instance, program = self._names(pid) or ("", "")
        return "%s/etc/placed/%s/%s%s" % (self._root, instance, units.REPLY, program)

    def _answer(self) -> None:
        for pid, (path, until) in list(self._asked.items()):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:  # it does not listen yet
                if time.monotonic() > until:
                    del self._asked[pid]
                continue
            try:
                os.write(descriptor, b"%d\n" % pid)
            except OSError:
                continue
            finally:
                os.close(descriptor)
            del self._asked[pid]

    def _names(self, pid: int) -> Optional[Tuple[str, str]]:
        """(instance, program) of a process in a control group of this host's units; None for any other process."""
        found = orders.parts(groups.of_process(pid) or "")
        if found is None:
            return None
        if found[:2] not in self._placed:
            self._placed = {units.read_names(self._root, name): name for name in units.placed(self._root)}
        instance = self._placed.get(found[:2])
        return None if instance is None else (instance, found[2])

    # Programs that are to end.

    def stop(self, left: float) -> None:
        """End what lives; called again and again.

        :param left: seconds until the kernel ends everything.
        """
        living: Dict[str, List[Tuple[int, str]]] = {}
        for pid, instance, program in self._members():
            living.setdefault(instance, []).append((pid, program))
        wanted: List[str] = []
        for instance, members in living.items():
            stopping.remember(self._root, instance)
            claim = stopping.read(self._root, instance)
            if left < _HURRY or claim.kill:
                for pid, _unused in members:
                    procs.send(pid, procs.KILL)
                continue
            last = claim.last({program for _unused, program in members})
            names = units.read_names(self._root, instance)
            if names is not None:
                wanted += [orders.unit_name(names[0], program, names[1]) for program in last]
        now = time.monotonic()
        wanted = [unit for unit in wanted if now - self._ordered.get(unit, -60.0) > 1.0]
        if wanted:
            self._ordered.update((unit, now) for unit in wanted)
            try:
                systemd = orders.SystemdOrders(lambda _unused: None, _ASKING)
                systemd.each("StopUnit", wanted, "replace")
                systemd.client.close()
            except OSError as error:
                say("systemd does not stop %s: %s" % (", ".join(wanted), error))

    def _members(self) -> Iterator[Tuple[int, str, str]]:
        return members(self._root)


def members(root: str) -> Iterator[Tuple[int, str, str]]:
    """(process, instance, program) of everything in the control groups of placed instances."""
    top = groups.top()
    for instance in units.placed(root):
        names = units.read_names(root, instance)
        if names is not None:
            for pid, program in groups.members(groups.of_instance(top, *names)):
                yield pid, instance, program


def ended(root: str) -> None:
    """What systemd runs when the guard has ended: kill what lives of any item, and note why."""
    if not os.path.exists(os.path.join(root, allowed.SETTINGS_FILE)):
        return
    allowed.forbid(root)  # the next guard has another lease
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        living = list(members(root))
        if not living:
            break
        for pid, _unused, _unused2 in living:
            procs.send(pid, procs.KILL)
        time.sleep(0.005)
    for instance in instance_files.claims(root) if os.environ.get("SERVICE_RESULT") != "success" else ():
        stopping.remember(root, instance)


def main(root: str, verb: str) -> int:
    """
    :param root: the folder of the host.
    :param verb: "guard" (until it is asked to end) or "ended".
    :return: exit status.
    """
    if verb == "ended":
        ended(root)
        return 0
    priority.raise_it(say)
    Guard(root).run()
    return 0


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _fifo(path: str, mode: int) -> int:
    """A FIFO that is open at both ends, so that it never ends."""
    files.remove(path)
    os.mkfifo(path, mode)
    os.chmod(path, mode)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _wakes() -> int:
    """A descriptor that is readable when this process is asked to end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_inheritable(reader, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_unused: None)
    return reader
