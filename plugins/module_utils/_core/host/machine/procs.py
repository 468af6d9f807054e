# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, from /proc alone.

The MUSTER_* variables of a process are labels: any user of the machine can forge them, a program can overwrite them,
and the kernel can hide them. `host.service.identity` says which processes are those of an instance.
"""

from __future__ import annotations

import os
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional

KILL = 9
TERM = 15
CONTINUE = 18

_KERNEL_THREAD = 0x00200000
_EXEC_SECONDS = 0.1  # that an exec may take, a busy machine included
_MAX_LABEL = 4096  # bytes of a variable that are kept
_KERNEL_SECONDS = 1.0  # within which no pid is used again
_kernel: Dict[int, float] = {}  # pids of kernel threads, which never have an environment: when that was read


class Process:
    """A process of this host. Without more than labels, its attributes are what the labels say."""

    __slots__ = ("environment", "epoch", "instance", "main", "pid", "program")

    def __init__(self, pid: int, environment: Dict[str, str]) -> None:
        self.pid = pid
        self.environment = environment  # only MUSTER_*
        self.instance = environment.get("MUSTER_INSTANCE", "")
        self.program = environment.get("MUSTER_PROGRAM", "")
        self.epoch = number(environment.get("MUSTER_EPOCH", ""))  # -1: muster-exec has not read the claim yet
        self.main = False  # whether the service manager started it itself

    @property
    def service(self) -> str:
        """The host service it belongs to; empty for a program of an item."""
        if self.environment.get("MUSTER_ITEM") or not self.instance:
            return ""
        host = self.environment.get("MUSTER_HOST", "")
        return self.program if self.instance == "%s_%s" % (self.program, host) else ""


def number(text: str) -> int:
    """A number in text that anybody may have written; -1 when it is none."""
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else -1


class Stat:
    """The part of /proc/<pid>/stat that is needed here."""

    __slots__ = ("exit_code", "group", "parent", "resident", "session", "started", "state", "ticks")

    def __init__(self, data: bytes) -> None:
        fields = data[data.rindex(b")") + 2 :].split()
        self.state = fields[0].decode()
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.session = int(fields[3])
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
        if time.monotonic() > _kernel.get(pid, 0.0) + _KERNEL_SECONDS and _in_exec(pid):
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
            _kernel[pid] = time.monotonic()
            return False
        return fields[0] not in (b"Z", b"X") and int(fields[48]) == 0  # where its environment ends
    except (OSError, ValueError, IndexError):
        return False


def _parse(data: bytes) -> Dict[str, str]:
    values: Dict[str, str] = {}
    for entry in data.split(b"\0"):
        if entry.startswith(b"MUSTER_"):
            name, _unused, value = entry[:_MAX_LABEL].decode("utf-8", "replace").partition("=")
            values[name] = value if value.isprintable() else "".join(c if c.isprintable() else "?" for c in value)
    return values


def send(pid: int, number_: int, started: int = 0) -> None:
    """Send a signal to a process. One that does not exist, or may not be signalled, is left alone: it shows as alive.

    :param started: clock ticks since boot; another process that has this pid by now gets no signal.
    """
    import signal

    descriptor = end_of(pid)  # from here on it is the same process
    try:
        if started and not alive(pid, started):
            return
        if descriptor is not None:
            signal.pidfd_send_signal(descriptor, number_)
        else:
            os.kill(pid, number_)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        if descriptor is not None:
            os.close(descriptor)


def user(pid: int) -> int:
    """The real user id of a process; -1 when there is no such process."""
    try:
        data = read_file("/proc/%d/status" % pid)
        begin = data.index(b"\nUid:") + 5
        return int(data[begin : data.index(b"\n", begin)].split()[0])
    except (OSError, ValueError, IndexError):
        return -1


def every() -> Dict[int, Stat]:
    """The state of every process of the machine."""
    found = {int(name): stat(int(name)) for name in os.listdir("/proc") if name.isdigit() and name.isascii()}
    return {pid: facts for pid, facts in found.items() if facts is not None}


def children(pid: int) -> List[int]:
    """Pids of the children of a process. Takes longer on a kernel without ``/proc/<pid>/task/<pid>/children``."""
    found: List[int] = []
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            found += [int(child) for child in read_file("/proc/%d/task/%s/children" % (pid, thread)).split()]
    except FileNotFoundError:
        if not os.path.exists("/proc/1/task/1/children"):
            return sorted(child for child, facts in every().items() if facts.parent == pid)
    except (OSError, ValueError):
        return found  # it ended meanwhile
    return found


def executed(pid: int, manager_pid: int, epoch: int) -> bool:
    """Whether a process that the service manager was ordered to start is the program itself, not on its way to that.

    A signal that comes earlier is lost. What shows the epoch was started by muster-exec; a program that hides or
    replaced its environment is known by not having the command line of a step before it.
    """
    name = command_name(pid)  # empty, too, where a program has made it so
    if name in ("setpriv", "muster-exec") or name.startswith(("(", "sd-exec")):
        return False
    try:
        data = read_file("/proc/%d/environ" % pid)
        if _parse(data).get("MUSTER_EPOCH") == str(epoch):
            return True
        if not data and _in_exec(pid):
            return False
    except PermissionError:
        data = b""  # it hides it, which no step before it does
    except OSError:
        return False
    try:
        arguments = read_file("/proc/%d/cmdline" % pid)
        if b"/bin/muster-exec\0" in arguments or (manager_pid and arguments == read_file(
                "/proc/%d/cmdline" % manager_pid)):
            return False
    except OSError:
        return False
    return bool(arguments) and alive(pid)


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
