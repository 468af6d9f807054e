# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting up a host whose service manager is a supervisord: its configuration, its unit, and the host services."""

from __future__ import annotations

import contextlib
import os
import time

from ...machine import accounts
from ..errors import ManagerError, without_setpriv
from ..preparation import Setup, service_names
from . import daemon, orders, xmlrpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Mapping, Set

    from ..preparation import Preparation

_SERVICE_STOP_SECONDS = 120.0  # it is killed long before; a loaded machine is slow to collect what ended
_RUNNING_STATES = (10, 20, 30)  # STARTING, RUNNING, BACKOFF: supervisord starts it again by itself


class SupervisordSetup(Setup):
    """See `host.service.preparation.Setup`."""

    def needs(self, check: bool) -> str:
        host = self.host
        if host.get("runs_as") and os.geteuid() != 0:
            return ("programs of %s run as %s, which needs a supervisord of root: set become there, or leave"
                    " muster_user out" % (host["host"], host.get("user")))
        missing = accounts.missing(host)
        if missing and not check:
            return "%s, as whom programs of %s run, does not exist there" % (missing, host["host"])
        return without_setpriv(daemon.environment_path())

    def take_folder(self, work: Preparation) -> None:
        if work.host.get("runs_as"):
            work.did += accounts.give_folder(work.host, work.check)

    def configure(self, work: Preparation, request: Mapping[str, Any]) -> List[str]:
        from . import boot_unit  # here and below: an observation needs none of it, and starts sooner

        late = [name for name in (daemon.PLAIN, daemon.WITH_LISTENER)
                if work.write(name, daemon.configuration(work.root, name == daemon.WITH_LISTENER))]
        boot_unit.prepare(work, bool(request.get("boot")))
        return late + (["bin/" + daemon.LISTENER] if daemon.LISTENER in work.programs else [])

    def serve(self, work: Preparation, request: Mapping[str, Any], changed: Set[str]) -> None:
        services = service_names(request.get("services") or {})
        if work.check:
            work.did += ["restarted the service %s" % name for name in sorted(changed)]
            return
        with self._client() as client:
            if changed:
                client.call("supervisor.reloadConfig")
            for name in sorted(changed):
                _stop_service(client, name)
                if name in services:
                    client.call("supervisor.addProcessGroup", name)  # autostart starts it
                work.did.append("%s the service %s" % ("restarted" if name in services else "stopped", name))
            work.did += ["started the service %s" % name for name in services
                         if name not in changed and _start_service(client, name)]

    def start_services(self) -> List[str]:
        try:
            names = sorted(name[:-4] for name in os.listdir(self.manager.root + "/etc/services") if _is_service(name))
        except OSError:
            return []
        with self._client() as client:
            return [name for name in names if _start_service(client, name)]

    @contextlib.contextmanager
    def _client(self) -> Iterator[xmlrpc.XmlRpcClient]:
        """:raises ManagerError: for what goes wrong within."""
        host, root = self.host["host"], self.manager.root
        client, lock = xmlrpc.XmlRpcClient(orders.socket_path(root)), daemon.alone(root)
        try:
            yield client
        except xmlrpc.Fault as error:
            raise ManagerError("the service manager of %s does not take the host services: %s" % (
                host, error)) from None
        except OSError as error:
            raise ManagerError("the service manager of %s does not answer: %s" % (
                host, error.strerror or error)) from None
        finally:
            client.close()
            os.close(lock)

    def forget(self) -> None:
        from . import boot_unit

        boot_unit.forget(self.host)


def _stop_service(client: xmlrpc.XmlRpcClient, name: str) -> None:
    until = time.monotonic() + _SERVICE_STOP_SECONDS
    try:
        client.call("supervisor.stopProcessGroup", name, False)
    except xmlrpc.Fault as error:
        if error.code == orders.BAD_NAME:
            return
        raise
    while True:
        try:
            client.call("supervisor.removeProcessGroup", name)
            return
        except xmlrpc.Fault as error:
            if error.code != orders.STILL_RUNNING:
                raise
            if time.monotonic() > until:
                raise ManagerError("the service %s was ordered to end, and still runs after %d s" % (
                    name, _SERVICE_STOP_SECONDS)) from None
        time.sleep(0.02)


def _is_service(name: str) -> bool:
    return name.endswith(".ini") and not name.startswith(".")


def _start_service(client: xmlrpc.XmlRpcClient, name: str) -> bool:
    """:return: whether it did not run."""
    full = "%s:%s" % (name, name)
    try:
        state = client.call("supervisor.getProcessInfo", full)["state"]
        if state in _RUNNING_STATES:
            return False
        client.call("supervisor.startProcess", full, False)
    except xmlrpc.Fault as error:
        if error.code != orders.BAD_NAME:
            raise
        client.call("supervisor.reloadConfig")
        client.call("supervisor.addProcessGroup", name)
    return True
