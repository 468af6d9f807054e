# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a host, from /proc alone.

A process belongs to a host when its environment holds the MUSTER_SITE and MUSTER_HOST of that host: to a program with
MUSTER_INSTANCE, to the service manager without.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Set

KILL = 9
TERM = 15
CONTINUE = 18

_KERNEL_THREAD = 0x00200000
_EXEC_SECONDS = 0.1  # that an exec may take, a busy machine included
_kernel: Set[int] = set()  # pids of kernel threads, which never have an environment


class Process:
    """A process of this host."""

    __slots__ = ("environment", "pid")

    def __init__(self, pid: int, environment: Dict[str, str]) -> None:
        self.pid = pid
        self.environment = environment  # only MUSTER_*

    @property
    def instance(self) -> str:
        return self.environment.get("MUSTER_INSTANCE", "")

    @property
    def program(self) -> str:
        return self.environment.get("MUSTER_PROGRAM", "")

    @property
    def epoch(self) -> int:
        """-1 while muster-exec has not read the claim yet."""
        text = self.environment.get("MUSTER_EPOCH", "")
        return int(text) if text.isdigit() else -1

    @property
    def service(self) -> str:
        """The host service it belongs to; empty for a program of an item."""
        if self.environment.get("MUSTER_ITEM") or not self.instance:
            return ""
        host = self.environment.get("MUSTER_HOST", "")
        return self.program if self.instance == "%s_%s" % (self.program, host) else ""


class Stat:
    """The part of /proc/<pid>/stat that is needed here."""

    __slots__ = ("exit_code", "group", "parent", "resident", "started", "state", "ticks")

    def __init__(self, data: bytes) -> None:
        fields = data[data.rindex(b")") + 2 :].split()
        self.state = fields[0].decode()
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.ticks = int(fields[11]) + int(fields[12])  # user and system time, clock ticks
        self.started = int(fields[19])  # clock ticks since boot
        self.resident = int(fields[21])  # pages
        # As of waitpid; shown for a zombie of the same user. While it is collected (no threads left), it may be 0.
        self.exit_code = int(fields[49]) if fields[17] != b"0" else None

    @property
    def gone(self) -> bool:
        """Dead; perhaps its parent has not collected it yet."""
        return self.state in "ZX"


def read_file(path: str) -> bytes:
    """The content of a file, also of one in /proc.

    :raises OSError: as `open` and `read` do.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, 65536)
        part = data
        while part:  # tables in /proc come page by page
            part = os.read(descriptor, 65536)
            data += part
        return data
    finally:
        os.close(descriptor)


def stat(pid: int) -> Optional[Stat]:
    """The state of a process; None when there is no such process."""
    try:
        return Stat(read_file("/proc/%d/stat" % pid))
    except (OSError, ValueError, IndexError):
        return None


def alive(pid: int, started: int = 0) -> bool:
    """Whether the process that had this pid (and began at `started` ticks after boot) still runs."""
    found = stat(pid)
    return found is not None and not found.gone and (not started or found.started == started)


def end_of(pid: int) -> Optional[int]:
    """A descriptor that becomes readable when the process ends; None where the kernel or Python has no pidfd."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def environment(pid: int) -> Dict[str, str]:
    """The MUSTER_* variables of a process; {} when they cannot be read or it has none."""
    try:
        data = read_file("/proc/%d/environ" % pid)
    except OSError:
        return {}
    return _parse(data)


def command_name(pid: int) -> str:
    """As ``ps -o comm`` shows it; "" when there is no such process."""
    try:
        return read_file("/proc/%d/comm" % pid).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def sweep(site_id: str, host: str) -> List[Process]:
    """Every process of a host: its programs and its service manager."""
    marks = [b"\0MUSTER_SITE=%s\0" % site_id.encode(), b"\0MUSTER_HOST=%s\0" % host.encode()]
    found: List[Process] = []
    blank: List[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            _look(int(name), marks, found, blank)
    until = time.monotonic() + _EXEC_SECONDS
    while blank and time.monotonic() < until:
        time.sleep(0.0005)
        again, blank = blank, []
        for pid in again:
            _look(pid, marks, found, blank)
    return found


def _look(pid: int, marks: List[bytes], found: List[Process], blank: List[int]) -> None:
    try:
        data = read_file("/proc/%d/environ" % pid)
    except OSError:
        return
    if not data:
        if pid not in _kernel and _in_exec(pid):
            blank.append(pid)
        return
    bounded = b"\0%s\0" % data
    if all(mark in bounded for mark in marks):
        found.append(Process(pid, _parse(data)))


def _in_exec(pid: int) -> bool:
    """In the middle of an exec, for a moment, there is no environment yet; kernel threads and the dead have none."""
    try:
        data = read_file("/proc/%d/stat" % pid)
        fields = data[data.rindex(b")") + 2 :].split()
        if int(fields[6]) & _KERNEL_THREAD:
            _kernel.add(pid)
            return False
        return fields[0] not in (b"Z", b"X") and int(fields[48]) == 0  # where its environment ends
    except (OSError, ValueError, IndexError):
        return False


def _parse(data: bytes) -> Dict[str, str]:
    values: Dict[str, str] = {}
    for entry in data.split(b"\0"):
        if entry.startswith(b"MUSTER_"):
            name, _unused, value = entry.decode("utf-8", "surrogateescape").partition("=")
            values[name] = value
    return values


def send(pid: int, number: int) -> None:
    """Send a signal to a process. One that does not exist is ignored.

    :raises PermissionError: when the process belongs to another user.
    """
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def boot_id() -> str:
    """Of the running kernel: another one after each boot of the machine."""
    return read_file("/proc/sys/kernel/random/boot_id").decode().strip()


def boot_time() -> int:
    """Seconds since 1970 at which the kernel started."""
    for line in read_file("/proc/stat").splitlines():
        if line.startswith(b"btime "):
            return int(line.split()[1])
    return 0


def of_instance(processes: Iterable[Process], instance: str) -> List[Process]:
    """Those of one instance."""
    return [process for process in processes if process.instance == instance]
