# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of programs that ended by themselves, from systemd's signals, as muster's listener makes them.

systemd sends each change of a unit to all connections to its own socket, so this takes no time while nothing happens.
An event is a hint: the monitor's next regular look finds the end of a program whose event was lost.
"""

from __future__ import annotations

import time

from ...machine import instance_files
from . import dbus, orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple

_UNIT = orders.BUS_NAME + ".Unit"
_SERVICE = orders.BUS_NAME + ".Service"
_OBJECTS = "/org/freedesktop/systemd1/unit/"
_OURS = _OBJECTS + "muster_2d"
_ENDED = ("inactive", "failed")


class _Program:
    """A service that was seen running."""

    __slots__ = ("asked", "code", "epoch", "pid", "running")

    def __init__(self) -> None:
        self.running = False
        self.asked = False  # a person, or a unit that it is bound to, has it stopped
        self.epoch = 0
        self.pid = 0
        self.code: Optional[int] = None


class Events:
    """Watches the services of one host."""

    def __init__(self, root: str, host: str) -> None:
        """:raises OSError: when systemd does not answer, or this process is not root's."""
        self._root = root
        self._host = host
        self._known: Dict[str, _Program] = {}
        self._client = dbus.DBusClient(orders.SOCKET, orders.BUS_NAME, 10.0)
        self._client.open()
        asking = orders.SystemdOrders(lambda _instance: None)
        try:
            listed = asking.call("ListUnitsByPatterns", ["active"], [orders.PREFIX + "*.service"])
            units = [str(unit[0]) for unit in listed]
            for unit, state in zip(units, asking.states(units)):
                self._unit(unit, {"ActiveState": state.active, "Job": (state.job, "")})
                self._service(unit, {"MainPID": state.pid})
        except OSError:
            self._client.close()
            raise
        finally:
            asking.client.close()

    def fileno(self) -> int:
        """Readable when signals have arrived."""
        return self._client.fileno()

    def close(self) -> None:
        """Close the connection to systemd. Idempotent."""
        self._client.close()

    def take(self) -> List[Dict[str, Any]]:
        """Events since the last call; never waits.

        :return: ``{"event": "exited", "host", "instance", "program", "epoch", "pid", "code", "expected", "stopped",
            "busy", "at"}`` each, ``at`` in seconds since 1970.

        :raises OSError: when systemd ended the connection.
        """
        found: List[Dict[str, Any]] = []
        for path, member, values in self._client.heard(_OURS):
            if member != "PropertiesChanged" or not path.endswith("_2eservice"):
                continue
            unit = _name(path[len(_OBJECTS) :])
            if values[0] == _SERVICE:
                self._service(unit, values[1])
            elif values[0] == _UNIT:
                event = self._unit(unit, values[1])
                if event is not None:
                    found.append(event)
        return found

    def _service(self, unit: str, changed: Mapping[str, Any]) -> None:
        program = self._known.get(unit)
        if program is None:
            program = self._known[unit] = _Program()
        program.pid = changed.get("MainPID") or program.pid
        code, status = changed.get("ExecMainCode"), changed.get("ExecMainStatus")
        if code is not None:
            program.code = orders.exit_code(int(code), int(status or 0))

    def _unit(self, unit: str, changed: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        program = self._known.get(unit)
        if program is None:
            program = self._known[unit] = _Program()
        state = changed.get("ActiveState")
        job = changed.get("Job")
        at_work = bool(job and job[0])
        if state == "active":
            if not program.running:
                names = _parts(unit)
                program.epoch = (instance_files.read_claim(self._root, names[0]) or 0) if names else 0
            program.running, program.asked = True, at_work
        elif state in _ENDED:
            del self._known[unit]
            if program.running and not program.asked and not at_work and program.epoch:
                return self._exited(unit, program)
        elif state == "deactivating":
            program.asked = program.asked or at_work
        elif state:
            program.running = False
        return None

    def _exited(self, unit: str, program: _Program) -> Optional[Dict[str, Any]]:
        names = _parts(unit)
        if names is None or instance_files.read_claim(self._root, names[0]) != program.epoch:
            return None  # stopped or started again meanwhile, or of another host of this machine
        busy = instance_files.at_work(self._root, names[0])
        return {
            "event": "exited", "host": self._host, "instance": names[0], "program": names[1], "epoch": program.epoch,
            "pid": program.pid, "code": program.code, "expected": False, "stopped": [], "busy": busy,
            "at": round(time.time(), 3),
        }  # fmt: skip


def _parts(unit: str) -> Optional[Tuple[str, str]]:
    """(instance, program) of the service of an item; None for another unit."""
    found = orders.parts(unit)
    return None if found is None else ("%s_%s" % found[:2], found[2])


def _name(path: str) -> str:
    """The name of a unit, from the last part of its object's path."""
    first, *rest = path.split("_")
    return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)
