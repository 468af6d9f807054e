# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd as the service manager of a host: orders and questions, many in one round trip. Needs root.

The units of an application are templates: ``muster-<application>.<program>@<item>.service`` and
``muster-<application>@<item>.target``. systemd reads them when they are first used, so placing an instance needs no
reload, which takes a quarter of a second with 200 programs running (measured). The sequencer decides which program
starts when, so orders tell systemd to ignore requirements between units.
"""

from __future__ import annotations

import time

from ..manager import Reply
from . import dbus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

    from ..manager import Order

    Names = Callable[[str], "Optional[Tuple[str, str]]"]

SOCKET = "/run/systemd/private"
BUS_NAME = "org.freedesktop.systemd1"
PREFIX = "muster-"
_MANAGER_PATH = "/org/freedesktop/systemd1"
_MANAGER = BUS_NAME + ".Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_NO_SUCH_UNIT = BUS_NAME + ".NoSuchUnit"
_BEGIN_SECONDS = 2.0  # within which systemd must have begun what it was ordered to start
_ENDED_SIGNAL = (2, 3)  # CLD_KILLED, CLD_DUMPED
# In this order: properties that are read after the job ended are its result.
_STATE = (
    ("Unit", "Job"), ("Unit", "LoadState"), ("Unit", "ActiveState"), ("Service", "MainPID"),
    ("Service", "ExecMainCode"), ("Service", "ExecMainStatus"), ("Service", "ExecMainExitTimestamp"),
    ("Service", "Result"),
)  # fmt: skip


class State:
    """The state of a service, as systemd reports it."""

    __slots__ = ("active", "code", "ended", "job", "loaded", "pid", "result", "status")

    def __init__(self, values: Sequence[Any]) -> None:
        job, load, active, pid, code, status, ended, result = [
            None if isinstance(value, dbus.Error) else value for value in values]
        self.job = int(job[0]) if job else 0
        self.loaded = load == "loaded"
        self.active = active or "inactive"
        self.pid = int(pid or 0)
        self.code = int(code or 0)
        self.status = int(status or 0)
        self.ended = int(ended or 0) / 1e6  # seconds since 1970
        self.result = result or ""

    @property
    def exit_status(self) -> Optional[int]:
        """Of the last run; -1: ended by a signal; None: there was none."""
        return exit_code(self.code, self.status)

    def reply(self) -> Reply:
        return Reply(self.pid, self.exit_status, known=self.loaded)


def exit_code(code: int, status: int) -> Optional[int]:
    """The exit status of a service's last run; -1: ended by a signal; None: none ended yet.

    :param code: systemd's ``ExecMainCode``.
    :param status: systemd's ``ExecMainStatus``.
    """
    if not code:
        return None
    return -1 if code in _ENDED_SIGNAL else status


def unit_name(application: str, program: str, item: str) -> str:
    """The service of a program of an instance."""
    return "%s%s.%s@%s.service" % (PREFIX, application, program, escape(item))


def parts(unit: str) -> Optional[Tuple[str, str, str]]:
    """(application, item, program) of the service of an item; None for another unit."""
    name, _unused, item = unit[len(PREFIX) : -len(".service")].partition("@")
    application, _unused, program = name.partition(".")
    if not item or not program:
        return None
    return application, unescape(item), program


def target_name(application: str, item: str) -> str:
    """The target of an instance."""
    return "%s%s@%s.target" % (PREFIX, application, escape(item))


def slice_name(application: str, item: str) -> str:
    """The slice that holds all processes of an instance."""
    return "%s%s-%s.slice" % (PREFIX, escape(application), escape(item))


def escape(text: str) -> str:
    """As systemd-escape does, for part of a unit's name: ``-`` separates the levels of slices and must not remain."""
    result = "".join(c if c.isalnum() or c in "_." or c == ":" else "\\x%02x" % ord(c) for c in text)
    return "\\x2e" + result[1:] if result.startswith(".") else result


def unescape(text: str) -> str:
    """The reverse of `escape`."""
    first, *rest = text.split("\\x")
    return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)


class SystemdOrders:
    """A connection to the systemd of this machine. Orders are those of `host.service.manager.Manager`."""

    def __init__(self, names: Names, timeout: float = 10.0) -> None:
        """:param names: instance -> (application, item) of what is placed; None when it is not."""
        self.client = dbus.DBusClient(SOCKET, BUS_NAME, timeout)
        self._names = names

    def exchange(self, orders: Sequence[Order]) -> List[Reply]:
        """One reply per order.

        :raises OSError: when systemd does not answer.
        """
        replies: List[Optional[Reply]] = [None] * len(orders)
        calls: List[dbus.Call] = []
        asked: List[Tuple[int, str]] = []
        looks: Dict[int, str] = {}
        for position, (verb, instance, program) in enumerate(orders):
            names = self._names(instance)
            if names is None:
                replies[position] = Reply(known=False, error="" if verb in ("look", "drop") else "it is not placed")
                continue
            application, item = names
            unit = unit_name(application, program, item)
            if verb == "look":
                looks[position] = unit
            elif verb == "start":
                calls.append(_job("StartUnit", unit, "ignore-requirements"))
                asked.append((position, unit))
            elif verb == "stop":
                calls.append(_job("StopUnit", unit, "replace"))
                asked.append((position, ""))
            elif verb == "add":
                # its programs do not ask for it
                calls.append(_job("StartUnit", slice_name(application, item), "replace"))
                calls.append(_job("StartUnit", target_name(application, item), "ignore-dependencies"))
                asked += [(position, ""), (position, "")]
            elif verb == "drop":
                calls.append(_job("StopUnit", target_name(application, item), "ignore-dependencies"))
                calls.append(_job("StopUnit", slice_name(application, item), "replace"))  # and whatever is left in it
                asked += [(position, ""), (position, "")]
            else:
                raise ValueError("no such order: %s" % verb)
        begun: Dict[int, str] = {}
        for (position, unit), result in zip(asked, self.client.calls(calls) if calls else ()):
            if not isinstance(result, dbus.Error):
                replies[position] = Reply()
                if unit:
                    begun[position] = unit
            elif result.name == _NO_SUCH_UNIT and orders[position][0] in ("stop", "drop"):
                replies[position] = Reply(known=False)
            else:
                replies[position] = Reply(error=result.text)
        self._wait(begun, replies)
        states = self.states(list(looks.values())) if looks else []
        for position, state in zip(looks, states):
            replies[position] = state.reply()
        return [reply or Reply() for reply in replies]

    def _wait(self, begun: Dict[int, str], replies: List[Optional[Reply]]) -> None:
        """Wait until each of these has a process, or ended: systemd begins one after the other, 3 ms each."""
        until = time.monotonic() + _BEGIN_SECONDS
        while begun:
            for position, state in zip(list(begun), self.states(list(begun.values()))):
                reply = replies[position] = state.reply()
                if state.active in ("active", "activating") and state.pid:
                    del begun[position]
                elif state.active == "deactivating":
                    reply.busy = True
                    del begun[position]
                elif not state.job:
                    if state.active == "failed" and not state.code:
                        reply.error = "systemd says %s" % state.result
                    del begun[position]
                elif time.monotonic() > until:
                    reply.error = "systemd did not begin it within %.0f s" % _BEGIN_SECONDS
                    del begun[position]
            if begun:
                time.sleep(0.0005)

    def states(self, units: Sequence[str]) -> List[State]:
        """The states of services, in one round trip.

        :raises OSError: when systemd does not answer.
        """
        calls: List[dbus.Call] = []
        for unit in units:
            path = _object(unit)
            calls += [(path, _PROPERTIES, "Get", ("%s.%s" % (BUS_NAME, kind), name)) for kind, name in _STATE]
        values = self.client.calls(calls)
        size = len(_STATE)
        return [State(values[size * n : size * (n + 1)]) for n in range(len(units))]

    def waits(self) -> bool:
        """Whether a job of a muster unit has not begun yet."""
        return any(job[3] == "waiting" and str(job[1]).startswith(PREFIX) for job in self.call("ListJobs"))

    def failed(self) -> List[str]:
        """Names of muster units that failed, sorted."""
        return sorted(str(unit[0]) for unit in self.call("ListUnitsByPatterns", ["failed"], [PREFIX + "*"]))

    def call(self, member: str, *arguments: Any) -> Any:
        """Call a method of systemd's manager.

        :raises OSError: when it does not answer, or refuses.
        """
        try:
            return self.client.call(_MANAGER_PATH, _MANAGER, member, *arguments)
        except dbus.Error as error:
            raise OSError(5, error.text) from None

    def each(self, member: str, units: Sequence[str], *arguments: str) -> List[Any]:
        """Call a method of systemd's manager for each unit, in one round trip.

        :return: per unit the value, or a `dbus.Error`.
        """
        if not units:
            return []
        return self.client.calls([(_MANAGER_PATH, _MANAGER, member, (unit, *arguments)) for unit in units])


def _job(member: str, unit: str, mode: str) -> dbus.Call:
    return _MANAGER_PATH, _MANAGER, member, (unit, mode)


def _object(unit: str) -> str:
    return "%s/unit/%s" % (_MANAGER_PATH, "".join(
        c if c.isascii() and c.isalnum() else "_%02x" % ord(c) for c in unit))


def last_words(unit: str, since: float) -> str:
    """The last line in the journal of a unit, at most 300 characters; "" when there is none.

    :param since: lines before it do not count; seconds since 1970.
    """
    import subprocess

    text = ""
    command = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=4", "--since=@%.6f" % since,
               "_SYSTEMD_UNIT=%s" % unit]
    try:
        # the last lines of a program may not have reached the journal yet
        subprocess.run(["journalctl", "--quiet", "--sync"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=2, check=False)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=2, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = [line.strip() for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    text = lines[-1] if lines else ""
    return text if len(text) <= 300 else text[:297] + "..."
