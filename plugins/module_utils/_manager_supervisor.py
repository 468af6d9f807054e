# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervisord of our own as the service manager of a host."""

from __future__ import annotations

from . import _instancefiles, _managers, _procs, _supervisor, _supervisord, _xmlrpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Mapping, Optional, Sequence

    from ._launch import Reply
    from ._prepare import Work


class Supervisord(_managers.Manager):
    """See `_managers.Manager`."""

    def __init__(self, host: Mapping[str, Any]) -> None:
        super().__init__(host)
        self._orders = _supervisor.Supervisor(self.root)

    def find(self, processes: Iterable[_procs.Process]) -> int:
        return _supervisord.find(processes, self.root)

    def settled(self, processes: Iterable[_procs.Process]) -> int:
        return _supervisord.settled(processes, self.root)

    def start(self, settings: Mapping[str, Any], warnings: Optional[List[str]] = None) -> int:
        command = list(settings.get("supervisord") or ["supervisord"])
        return _supervisord.start(self.host, command, settings.get("environment") or {}, warnings)

    def started(self, process: _procs.Process, found: _procs.Stat, pid: int) -> bool:
        return found.parent == pid

    def unsettled(self, nameless: Sequence[_procs.Process], pid: int) -> bool:
        for process in nameless:
            found = _procs.stat(process.pid)
            if found is not None and found.parent == pid and not found.gone:
                return True
        return False

    def exchange(self, orders: Sequence[_managers.Order]) -> List[Reply]:
        try:
            return self._orders.exchange(orders)
        except _xmlrpc.Fault as fault:
            raise OSError(5, str(fault)) from None

    def patience(self, seconds: float) -> None:
        self._orders.client.timeout = seconds

    def close(self) -> None:
        self._orders.client.close()

    def placing(self) -> _instancefiles.Placing:
        return _instancefiles.Placing(self.root)

    def load(self) -> Optional[Sequence[str]]:
        try:
            added, altered, _unused = self._orders.reload()
        except _xmlrpc.Fault as fault:
            raise _managers.Refused(str(fault)) from None
        return [*added, *altered]

    def is_placed(self, instance: str) -> bool:
        return _instancefiles.is_placed(self.root, instance)

    def unplace(self, instance: str) -> None:
        _instancefiles.unplace(self.root, instance)

    def position(self, instance: str, program: str) -> float:
        return _supervisor.log_size(self._log(instance, program))

    def last_words(self, instance: str, program: str, position: float) -> str:
        return _supervisor.last_words(self._log(instance, program), int(position))

    def _log(self, instance: str, program: str) -> str:
        return "%s/log/%s/%s.log" % (self.root, instance, program)

    def needs(self, check: bool) -> str:
        from . import _supervisor_prepare

        return _supervisor_prepare.needs()

    def configure(self, work: Work, request: Mapping[str, Any]) -> List[str]:
        from . import _boot, _supervisor_prepare

        late = _supervisor_prepare.configure(work)
        _boot.prepare(work, bool(request.get("boot")))
        return late

    def serve(self, work: Work, request: Mapping[str, Any], changed: Iterable[str]) -> None:
        from . import _supervisor_prepare

        _supervisor_prepare.serve(work, request, set(changed))

    def own(self, pid: int) -> int:
        return pid

    def forget(self) -> None:
        from . import _boot

        _boot.forget(self.host)
