# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervisord that muster starts, as the service manager of a host."""

from __future__ import annotations

from ...alone.helper import helper
from ...machine import instance_files, procs
from ..errors import ConfigurationRefused
from ..manager import Manager
from . import daemon, xmlrpc
from . import orders as supervisor_orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

    from ...machine.starts import Start
    from ..manager import Order, Reply


class SupervisordManager(Manager):
    """See `host.service.manager.Manager`."""

    def __init__(self, host: Mapping[str, Any]) -> None:
        super().__init__(host)
        self._orders = supervisor_orders.SupervisordOrders(self.root)

    def find(self, processes: Iterable[procs.Process]) -> int:
        return daemon.find(processes, self.root)

    def settled(self, processes: Iterable[procs.Process]) -> int:
        return daemon.settled(processes, self.root)

    def start(self, settings: Mapping[str, Any], warnings: Optional[List[str]] = None) -> int:
        command = list(settings.get("supervisord") or ["supervisord"])
        return daemon.start(self.host, command, settings.get("environment") or {}, warnings)

    def roots(self, pid: int, starts: Mapping[str, Start]) -> List[Tuple[int, str, str]]:
        ours = helper(self.root)
        return [(child, "", "") for child in procs.children(pid) if child != ours] if pid else []

    def mains(self, programs: Sequence[Tuple[str, str]], all_of_them: bool) -> Dict[int, Tuple[str, str]]:
        if not all_of_them:
            return super().mains(programs, False)
        try:
            known = self._orders.all_mains()
        except xmlrpc.Fault as fault:
            raise OSError(5, str(fault)) from None
        return {pid: (group if group != name else "%s_%s" % (name, self.host["host"]), name)
                for pid, (group, name) in known.items()}

    def unsettled(self, nameless: Sequence[procs.Process], pid: int) -> bool:
        for process in nameless:
            found = procs.stat(process.pid)
            if found is not None and found.parent == pid and not found.gone:
                return True
        return False

    def exchange(self, orders: Sequence[Order]) -> List[Reply]:
        try:
            return self._orders.exchange(orders)
        except xmlrpc.Fault as fault:
            raise OSError(5, str(fault)) from None

    def patience(self, seconds: float) -> None:
        self._orders.client.timeout = seconds

    def close(self) -> None:
        self._orders.client.close()

    def placing(self) -> instance_files.Placing:
        return instance_files.Placing(self.root, self.host)

    def load(self) -> Optional[Sequence[str]]:
        try:
            added, altered, _unused = self._orders.reload()
        except xmlrpc.Fault as fault:
            raise ConfigurationRefused(str(fault)) from None
        return [*added, *altered]

    def is_placed(self, instance: str) -> bool:
        return instance_files.is_placed(self.root, instance)

    def unplace(self, instance: str) -> None:
        instance_files.unplace(self.root, instance)

    def position(self, instance: str, program: str) -> float:
        return supervisor_orders.log_size(self._log(instance, program))

    def last_words(self, instance: str, program: str, position: float) -> str:
        return supervisor_orders.last_words(self._log(instance, program), int(position))

    def endings(self, instance: str, programs: Sequence[str]) -> Dict[str, str]:
        try:
            replies = self.exchange([("look", instance, program) for program in programs])
        except OSError:
            return {}
        found = {}
        for program, reply in zip(programs, replies):
            if reply.error or not reply.known or reply.pid:
                continue
            if reply.stopped:
                found[program] = "stopped"
                continue
            words = self.last_words(instance, program, 0)
            code = reply.exit_status
            how = "ended" if code is None else "was killed by a signal" if code < 0 else "exited with %d" % code
            found[program] = how + (" (%s)" % words if words else "")
        return found

    def _log(self, instance: str, program: str) -> str:
        return "%s/log/%s/%s.log" % (self.root, instance, program)

    def own(self, pid: int) -> int:
        return pid
