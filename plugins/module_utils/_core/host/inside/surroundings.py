# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process has that a command beside it is to have, too: from /proc. Nothing here changes anything but `enter`,
which the process calls that becomes the command.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource

from ..machine import procs
from ..machine.limits import folder_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

_JOINED = ("mnt", "net", "ipc", "uts")  # namespaces that a command enters
_OTHERS = ("user", "pid")  # that it cannot enter
_CGROUPS = "/sys/fs/cgroup"
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_KILL = 9
_LIMITS = tuple(number for name, number in sorted(vars(resource).items()) if name.startswith("RLIMIT_"))


class Foreign(Exception):
    """A command cannot be what the process is; the text is one sentence."""


class Surroundings:
    """Those of one process."""

    def __init__(self, pid: int) -> None:
        """:raises OSError: when it has ended, or this account may not look at it.
        :raises Foreign:"""
        self.pid = pid
        self.environment = environment(pid)
        self.uid, self.gid, self.groups = identity(pid)
        fields = _status(pid)
        self.umask = int(fields["Umask"][0], 8) if fields.get("Umask") else 0o027
        self.no_new_privileges = fields.get("NoNewPrivs") == ["1"]
        self.capabilities = int(fields["CapBnd"][0], 16) if fields.get("CapBnd") else -1
        self.nice = os.getpriority(os.PRIO_PROCESS, pid)
        self.limits: List[Tuple[int, Any]] = []
        for number in _LIMITS:
            with contextlib.suppress(OSError, ValueError):
                self.limits.append((number, resource.prlimit(pid, number)))
        self._root = os.geteuid() == 0
        self._namespaces = [name for name in _JOINED if self._another(name)]
        apart = [name for name in _OTHERS if self._another(name)]
        if apart or (self._namespaces and not self._root):
            raise Foreign("it has a namespace of its own (%s), which no command can enter from here" % ", ".join(
                apart or self._namespaces))
        if self.uid != os.geteuid() and not self._root:
            raise Foreign("it runs as another user than the agent")

    def _another(self, name: str) -> bool:
        def of(pid: Any) -> str:
            return os.readlink("/proc/%s/ns/%s" % (pid, name))

        try:
            return of(self.pid) != of("self")
        except OSError:
            return False  # a kernel without it, or a process that hides it: then it can be entered by nobody

    def enter(self) -> None:
        """Become a process like that one, but for the program that it runs: it ends with its parent.

        :raises OSError: when that is not possible.
        """
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        folder = os.open("/proc/%d/cwd" % self.pid, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        spaces = [os.open("/proc/%d/ns/%s" % (self.pid, name), os.O_RDONLY | os.O_CLOEXEC) for name in self._namespaces]
        if self._root:
            self._join_groups()
        for descriptor in spaces:
            if libc.setns(descriptor, 0):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), "its namespaces")
        os.fchdir(folder)
        for number, values in self.limits:
            with contextlib.suppress(OSError, ValueError):  # higher than this account may have
                resource.setrlimit(number, values)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, self.nice)
        os.umask(self.umask)
        if self._root:
            for number in range(64):
                if not self.capabilities >> number & 1:
                    libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # one that the kernel does not know is no loss
        if self.uid != os.geteuid() or self._root:
            os.setgroups(self.groups)
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        if self.no_new_privileges:
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, _KILL, 0, 0, 0)

    def _join_groups(self) -> None:
        """Enter its control groups, so that their limits hold, and what ends the program ends the command, too."""
        names = ("%s/cgroup" % self.pid, "self/cgroup", "self/mountinfo")
        theirs, own, mounts = (procs.read_file("/proc/" + name).decode("utf-8", "replace") for name in names)
        for members in groups_to_join(theirs, own, mounts):
            descriptor = os.open(members, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, b"0")
            finally:
                os.close(descriptor)


def groups_to_join(theirs: str, own: str, mounts: str = "", root: str = _CGROUPS) -> List[str]:
    """The files by which a process enters control groups.

    :param theirs: `/proc/PID/cgroup` of who is in them. :param own: the same of the process.
    :param mounts: `/proc/self/mountinfo`: a container may have a tree mounted at its own group, which the paths begin
        with where it has no namespace of control groups.
    Those of version 1 that cannot be seen from here are left out: a container does not show them.

    :raises OSError: when that of version 2 cannot be seen from here: its limits would not hold.
    """
    known = dict(line.split(":", 2)[1:] for line in own.splitlines())
    shown = {words[4]: words[3].rstrip("/") for words in map(str.split, mounts.splitlines()) if len(words) > 4}
    found: List[str] = []
    second = os.path.exists(root + "/cgroup.controllers")  # version 2 limits; else it only keeps processes together
    for line in theirs.splitlines():
        _number, controllers, path = line.split(":", 2)
        if known.get(controllers) == path:
            continue  # it is in there; a container may have the folder read-only
        limits = second and not controllers  # the one of version 2; a hierarchy of version 1 may be there beside it
        base = root if limits else folder_of(root, controllers.replace("name=", "") or "unified")
        top = shown.get(base, "")
        below = path[len(top) :] if (path + "/").startswith(top + "/") else path
        members = base + below.rstrip("/") + "/cgroup.procs"
        if os.path.exists(members):
            found.append(members)
        elif limits:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), "its control group %s" % path)
    return found


def environment(pid: int) -> Dict[str, str]:
    """The environment that a program was started with.

    :raises OSError: when this account may not see it.
    """
    pairs = [os.fsdecode(entry).partition("=") for entry in procs.read_file("/proc/%d/environ" % pid).split(b"\0")]
    return {name: value for name, sign, value in pairs if sign and name}


def identity(pid: int) -> Tuple[int, int, List[int]]:
    """(user, group, further groups) that a process acts as.

    :raises OSError: when it has ended.
    :raises KeyError: when the kernel does not say.
    """
    fields = _status(pid)
    return int(fields["Uid"][1]), int(fields["Gid"][1]), [int(group) for group in fields.get("Groups", ())]


def _status(pid: int) -> Dict[str, List[str]]:
    lines = procs.read_file("/proc/%d/status" % pid).decode("utf-8", "replace").splitlines()
    return {name: value.split() for name, _unused, value in (line.partition(":") for line in lines)}
