# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting up a host whose service manager is systemd: who may read its folder, host services, units, removal."""

from __future__ import annotations

import contextlib
import os
import time

from ...machine import accounts
from ...machine import files as machine_files
from ..errors import ManagerError, without_setpriv
from ..preparation import Setup, environment_lines
from . import guard_unit, orders, own_units
from . import units as systemd_units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

    from ..preparation import Preparation
    from .manager import SystemdManager

_STOP_SECONDS = 20.0  # within which units must have stopped; then processes are ended one by one
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SystemdSetup(Setup):
    """See `host.service.preparation.Setup`."""

    manager: SystemdManager

    def needs(self, check: bool) -> str:
        name = self.host["host"]
        if not self.manager.find(()):
            return ("%s does not run systemd (process 1 is something else): set muster_service_manager to supervisor"
                    % name)
        if os.geteuid() != 0:
            return "units of systemd need root on %s: set become, or muster_service_manager to supervisor" % name
        problem = without_setpriv(_PATH)
        if problem:
            return problem
        for user in _users(self.host):
            if _user(user) is None and not check:
                return "the user %s does not exist on %s: the role control_room.muster.host makes it, or do" % (
                    user, name)
        return ""

    def take_folder(self, work: Preparation) -> None:
        work.did += accounts.give_folder(work.host, work.check)

    def configure(self, work: Preparation, request: Mapping[str, Any]) -> List[str]:
        """Write the environment of all programs, and remove units of applications that left the site."""
        host = work.host
        variables = {"PATH": _PATH, "LANG": "C.UTF-8", "MUSTER_ADDRESS": host["address"]}
        variables.update(request.get("environment") or {})
        work.write("etc/environment", environment_lines(variables))
        mine = systemd_units.owner(host)
        left = [name for name in systemd_units.names_of(systemd_units.UNITS, mine)
                if not os.path.exists("%s/etc/available/%s.units" % (work.root, _application(name)))]
        if left:
            work.did.append("removed %d units of applications that left the site" % len(left))
            if not work.check:
                systemd_units.remove_units(systemd_units.UNITS, left)
        return []

    def hold_lease(self, work: Preparation, lease: Optional[Mapping[str, Any]]) -> None:
        guard_unit.hold(self.manager, work, lease)

    def serve(self, work: Preparation, request: Mapping[str, Any], changed: Set[str]) -> None:
        mine = systemd_units.owner(work.host)
        wanted = _service_units(work)
        if work.check:
            work.did += ["restarted the service %s" % name for name in sorted(changed)]
            return
        with systemd_units.ServicesLock(work.root):
            kept = {*wanted, systemd_units.guard_name(work.host)}
            gone = [name for name in systemd_units.names_of(systemd_units.PERSISTENT_UNITS, mine) if name not in kept]
            try:
                _stop(self.manager, gone, work)
                replaced = bool(gone)
                for unit, text in wanted.items():
                    written = systemd_units.write_unit(systemd_units.PERSISTENT_UNITS, unit, text, mine)
                    replaced = replaced or bool(written)
                    accounts.let_write(work.host, _service(unit))
                    systemd_units.link(unit)
                if replaced:
                    self.manager.systemd.call("Reload")
                states = dict(zip(wanted, self.manager.systemd.states(list(wanted))))
                again = [unit for unit in wanted if _service(unit) in changed]
                idle = [unit for unit in wanted
                        if unit not in again and states[unit].active not in ("active", "activating")]
                for member, verb, units in (("RestartUnit", "restarted", again), ("StartUnit", "started", idle)):
                    for unit, result in zip(units, self.manager.systemd.each(member, units, "replace")):
                        if isinstance(result, Exception):
                            raise ManagerError("systemd of %s does not take the service %s: %s" % (
                                work.host["host"], _service(unit), result))
                        work.did.append("%s the service %s" % (verb, _service(unit)))
            except systemd_units.NotOurs as error:
                raise ManagerError(str(error.strerror)) from None
            except OSError as error:
                raise ManagerError("systemd of %s does not take the host services: %s" % (
                    work.host["host"], error.strerror or error)) from None
            finally:
                self.manager.close()

    def start_services(self) -> List[str]:
        units = systemd_units.names_of(systemd_units.PERSISTENT_UNITS, systemd_units.owner(self.host))
        try:
            with systemd_units.ServicesLock(self.manager.root):
                states = zip(units, self.manager.systemd.states(units))
                idle = [unit for unit, state in states if state.active not in ("active", "activating")]
                for unit, result in zip(idle, self.manager.systemd.each("StartUnit", idle, "replace")):
                    if isinstance(result, Exception):
                        raise ManagerError("systemd of %s does not take the service %s: %s" % (
                            self.host["host"], _service(unit), result))
        except OSError as error:
            raise ManagerError("systemd of %s does not take the host services: %s" % (
                self.host["host"], error.strerror or error)) from None
        finally:
            self.manager.close()
        return [_service(unit) for unit in idle]

    def examine(self) -> List[str]:
        """Compare the units of this host with those that muster wrote."""
        root = self.manager.root
        mine = systemd_units.owner(self.host)
        found = []
        for folder, below in ((systemd_units.UNITS, "available"), (systemd_units.PERSISTENT_UNITS, "services")):
            texts: Dict[str, Dict[str, str]] = {}
            for name in systemd_units.names_of(folder, mine):
                of = _application(name) if below == "available" else _service(name)
                source = "%s/etc/%s/%s.units" % (root, below, of)
                if source not in texts:
                    texts[source] = _read_sections(source)
                wanted = texts[source].get(name)
                text = _read(os.path.join(folder, name))
                if wanted is not None and text != "%s\n%s" % (mine, wanted) and not (
                        below == "available" and _earlier(root, of, name, mine, text)):
                    found.append("%s/%s changed by somebody" % (folder, name))
        return found

    def down(self) -> None:
        """Stop every unit of this host, so that nothing of it starts again. Errors are ignored."""
        mine = systemd_units.owner(self.host)
        starts = tuple(name.rpartition(".")[0] for folder in (systemd_units.UNITS, systemd_units.PERSISTENT_UNITS)
                       for name in systemd_units.names_of(folder, mine) if "/" not in name)
        try:
            listed = self.manager.systemd.call("ListUnitsByPatterns", [], [orders.PREFIX + "*"])
            known = [str(unit[0]) for unit in listed]
            units = [name for name in known
                     if name.rpartition(".")[0] in starts or name.partition("@")[0] + "@" in starts]
            self.manager.systemd.each("StopUnit", units, "replace")
            until = time.monotonic() + _STOP_SECONDS
            services = [unit for unit in units if unit.endswith(".service")]
            while services and time.monotonic() < until and any(
                    state.active not in ("inactive", "failed") for state in self.manager.systemd.states(services)):
                time.sleep(0.01)
            self.manager.systemd.each("ResetFailedUnit", units)
            shared = {orders.PREFIX + orders.escape(_application(name)) for name in starts if name.endswith("@")}
            slices = [unit[: -len(".slice")] for unit in known if unit.endswith(".slice")]
            slices = [name for name in slices if name in shared or name.rpartition("-")[0] in shared]
            if len(slices) == sum(unit.endswith(".slice") for unit in known):
                slices.append(orders.PREFIX.rstrip("-"))  # the slice above, where no other host of this machine uses it
            self.manager.systemd.each("StopUnit", [name + ".slice" for name in slices], "replace")
        except OSError:
            return  # the processes are ended one by one in any case

    def forget(self) -> None:
        mine = systemd_units.owner(self.host)
        units = systemd_units.names_of(systemd_units.PERSISTENT_UNITS, mine)
        with contextlib.suppress(OSError):
            _end(self.manager, units)  # the guard runs also where nothing of an item does
        systemd_units.remove_units(systemd_units.UNITS, systemd_units.names_of(systemd_units.UNITS, mine))
        systemd_units.remove_persistent(units)
        try:
            self.manager.systemd.call("Reload")
        except OSError:
            return
        finally:
            self.manager.close()


def _end(manager: SystemdManager, units: List[str]) -> None:
    """Stop units, and wait until they have ended."""
    manager.systemd.each("StopUnit", units, "replace")
    until = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < until and any(
            state.active not in ("inactive", "failed") for state in manager.systemd.states(units)):
        time.sleep(0.01)


def _stop(manager: SystemdManager, units: List[str], work: Preparation) -> None:
    if not units:
        return
    _end(manager, units)
    for unit in units:
        work.did.append("stopped the service %s" % _service(unit))
    systemd_units.remove_persistent(units)


def _service_units(work: Preparation) -> Dict[str, str]:
    """Unit name -> text, of the host services that the folder was prepared with."""
    folder = work.root + "/etc/services"
    units: Dict[str, str] = {}
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".units"))
    except OSError:
        return units
    known = machine_files.read_manifest(folder).get("files", {})
    for name in names:
        if name in known:
            with open(os.path.join(folder, name), encoding="utf-8") as handle:
                units.update(systemd_units.sections(handle.read()))
    return units


def _service(unit: str) -> str:
    return unit[len(orders.PREFIX) :].rpartition(".")[0]


def _application(unit: str) -> str:
    """The application that a template unit, or a drop-in of its slices, belongs to."""
    rest = unit[len(orders.PREFIX) :]
    if ".slice.d/" in rest:
        return rest.partition(".slice.d/")[0].partition("-")[0].replace("\\x2d", "-")
    return rest.partition("@")[0].partition(".")[0]


def _earlier(root: str, application: str, name: str, mine: str, text: str) -> bool:
    """Whether a unit is that of an earlier configuration, since nothing has started with the newest one yet."""
    earlier = systemd_units.sections(own_units.known_texts(root, application))
    return any(name == of and text == "%s\n%s" % (mine, unit) for of, unit in earlier)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except OSError:
        return ""


def _read_sections(path: str) -> Dict[str, str]:
    return dict(systemd_units.sections(_read(path)))


def _users(host: Mapping[str, Any]) -> List[str]:
    display = (host.get("display") or {}).get("user")
    return [user for user in (host.get("user"), display) if user]


def _user(name: str) -> Optional[Tuple[int, int]]:
    """(user id, group id)."""
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid
