# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd of the machine as the service manager of a host."""

from __future__ import annotations

import os
import time

from ...machine import instance_files, procs
from ..errors import ManagerError
from ..manager import Manager
from . import groups as systemd_groups
from . import orders as systemd_orders
from . import units as systemd_units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

    from ...machine.starts import Start
    from ..manager import Order, Reply


class SystemdManager(Manager):
    """See `host.service.manager.Manager`."""

    asks_all = True  # between fork and exec a process shows systemd's own environment

    def __init__(self, host: Mapping[str, Any]) -> None:
        super().__init__(host)
        self._known: Dict[str, Tuple[str, str]] = {}
        self.systemd = systemd_orders.SystemdOrders(self._names)

    def _names(self, instance: str) -> Optional[Tuple[str, str]]:
        if instance not in self._known:
            names = systemd_units.read_names(self.root, instance)
            if names is None:
                return None
            self._known[instance] = names
        return self._known[instance]

    def find(self, processes: Iterable[procs.Process]) -> int:
        return 1 if os.path.isdir("/run/systemd/system") and procs.command_name(1) == "systemd" else 0

    def start(self, settings: Mapping[str, Any], warnings: Optional[List[str]] = None) -> int:
        raise ManagerError(
            "the machine of %s does not run systemd: set muster_service_manager to supervisor" % self.host["host"])

    def roots(self, pid: int, starts: Mapping[str, Start]) -> List[Tuple[int, str, str]]:
        """Every process in a control group of this host's units, which no process of a program can leave."""
        top = systemd_groups.top()
        found: List[Tuple[int, str, str]] = []
        for instance in {*starts, *instance_files.claims(self.root), *systemd_units.placed(self.root)}:
            names = self._names(instance)
            if names:
                folder = systemd_groups.of_instance(top, *names)
                found += [(member, instance, program) for member, program in systemd_groups.members(folder)]
        for service in systemd_units.services(self.root):
            found += [(member, "%s_%s" % (service, self.host["host"]), service)
                      for member in systemd_groups.of_service(top, service)]
        return found

    def mains(self, programs: Sequence[Tuple[str, str]], all_of_them: bool) -> Dict[int, Tuple[str, str]]:
        host = self.host["host"]
        units = []
        for instance, program in programs:
            names = self._names(instance)
            units.append(systemd_orders.unit_name(names[0], program, names[1]) if names else
                         systemd_orders.PREFIX + program + ".service" if instance == "%s_%s" % (program, host) else "")
        states = self.systemd.states(units) if units else []
        return {state.pid: pair for pair, state in zip(programs, states) if state.pid}

    def unsettled(self, nameless: Sequence[procs.Process], pid: int) -> bool:
        return self.systemd.waits()

    def exchange(self, orders: Sequence[Order]) -> List[Reply]:
        replies = self.systemd.exchange(orders)
        dropped = [order[1] for order in orders if order[0] == "drop" and self._names(order[1])]
        if dropped:
            self.systemd.each("ResetFailedUnit", [unit for name in dropped for unit in self.units(name)])
        return replies

    def units(self, instance: str) -> List[str]:
        """Names of the services of a placed instance."""
        names = self._names(instance)
        if names is None:
            return []
        folder = "%s/etc/placed/%s" % (self.root, instance)
        return [systemd_orders.unit_name(names[0], program, names[1]) for program in sorted(os.listdir(folder))
                if not program.startswith(".")]

    def patience(self, seconds: float) -> None:
        self.systemd.client.timeout = seconds

    def close(self) -> None:
        self.systemd.client.close()

    def placing(self) -> systemd_units.UnitPlacing:
        self._known = {}
        self._placing = systemd_units.UnitPlacing(self.host)
        return self._placing

    def load(self) -> Optional[Sequence[str]]:
        if self._placing.must_reload:
            self.systemd.call("Reload")
        return None

    def is_placed(self, instance: str) -> bool:
        return systemd_units.is_placed(self.root, instance)

    def unplace(self, instance: str) -> None:
        systemd_units.unplace(self.host, instance)
        self._known.pop(instance, None)

    def position(self, instance: str, program: str) -> float:
        return time.time()

    def last_words(self, instance: str, program: str, position: float) -> str:
        names = self._names(instance)
        if not names:
            return ""
        return systemd_orders.last_words(systemd_orders.unit_name(names[0], program, names[1]), position)

    def ended(self, instance: str, epoch: int) -> Optional[Dict[str, Any]]:
        names = self._names(instance)
        program = systemd_units.bus_of(self.root, instance) if names else ""
        if names is None or not program:
            return None
        try:
            state = self.systemd.states([systemd_orders.unit_name(names[0], program, names[1])])[0]
        except OSError:
            return None  # not root: the reason stays unknown
        if state.active != "failed":
            return None
        return {"program": program, "epoch": epoch, "code": state.exit_status, "at": round(state.ended, 3)}
