# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a host whose service manager is systemd: who may read its folder, host services, and taking all away."""

from __future__ import annotations

import os
import time

from . import _hostfiles, _systemd, _systemd_files
from ._managers import ManagerError, without_setpriv
from ._prepare import environment_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

    from ._manager_systemd import Systemd
    from ._prepare import Work

_WANTS = "multi-user.target.wants"
_DOWN = 20.0  # s in which units must have stopped before processes are ended one by one
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def needs(manager: Systemd, check: bool) -> str:
    """A sentence about what is missing on this machine; empty when nothing is."""
    name = manager.host["host"]
    if not manager.find(()):
        return ("%s does not run systemd (process 1 is something else): set muster_service_manager to supervisor"
                % name)
    if os.geteuid() != 0:
        return "units of systemd need root on %s: set become, or muster_service_manager to supervisor" % name
    problem = without_setpriv(_PATH)
    if problem:
        return problem
    for user in _users(manager.host):
        if _user(user) is None and not check:
            return "the user %s does not exist on %s: the role control_room.muster.host makes it, or do" % (user, name)
    return ""


def take_folder(work: Work) -> None:
    """The programs' group reads our folder, and whatever is written there belongs to it."""
    found = _user(work.host.get("user") or "root")
    if found is None or not os.path.isdir(work.root):
        return
    group = found[1]
    status = os.stat(work.root)
    if status.st_gid == group and (not group or status.st_mode & 0o2000):
        return
    work.did.append("gave %s to the group of the user %s" % (work.root, work.host.get("user") or "root"))
    if work.check:
        return
    for where, _unused, files in os.walk(work.root, topdown=False):
        for name in files:
            os.chown(os.path.join(where, name), -1, group, follow_symlinks=False)
        os.chown(where, -1, group)
        os.chmod(where, 0o2750)


def configure(work: Work, request: Mapping[str, Any]) -> List[str]:
    """What every program of the host finds in its environment, and what those with windows do."""
    host = work.host
    variables = {"PATH": _PATH, "LANG": "C.UTF-8", "MUSTER_ADDRESS": host["address"]}
    variables.update(request.get("environment") or {})
    work.write("etc/environment", environment_lines(variables))
    mine = _systemd_files.owner(host)
    left = [name for name in _systemd_files.ours(_systemd_files.UNITS, mine)
            if not os.path.exists("%s/etc/available/%s.units" % (work.root, _application(name)))]
    if left:
        work.did.append("removed %d units of applications that left the site" % len(left))
        if not work.check:
            _systemd_files.remove_units(_systemd_files.UNITS, left)
    return []


def serve(manager: Systemd, work: Work, changed: Set[str]) -> None:
    """Host services run, with the configuration that was just written; others are left alone."""
    mine = _systemd_files.owner(work.host)
    wanted = _service_units(work)
    if work.check:
        work.did += ["restarted the service %s" % name for name in sorted(changed)]
        return
    with _systemd_files.Turn(work.root):
        gone = [name for name in _systemd_files.ours(_systemd_files.PERSISTENT_UNITS, mine) if name not in wanted]
        try:
            _stop(manager, gone, work)
            replaced = bool(gone)
            for unit, text in wanted.items():
                written = _systemd_files.write_unit(_systemd_files.PERSISTENT_UNITS, unit, text, mine)
                replaced = replaced or bool(written)
                _systemd_files.let_write(work.host, _service(unit))
                _link(unit)
            if replaced:
                manager.systemd.call("Reload")
            states = dict(zip(wanted, manager.systemd.states(list(wanted))))
            again = [unit for unit in wanted if _service(unit) in changed]
            idle = [unit for unit in wanted
                    if unit not in again and states[unit].active not in ("active", "activating")]
            for member, verb, units in (("RestartUnit", "restarted", again), ("StartUnit", "started", idle)):
                for unit, result in zip(units, manager.systemd.each(member, units, "replace")):
                    if isinstance(result, Exception):
                        raise ManagerError("systemd of %s does not take the service %s: %s" % (
                            work.host["host"], _service(unit), result))
                    work.did.append("%s the service %s" % (verb, _service(unit)))
        except _systemd_files.NotOurs as error:
            raise ManagerError(str(error.strerror)) from None
        except OSError as error:
            raise ManagerError("systemd of %s does not take the host services: %s" % (
                work.host["host"], error.strerror or error)) from None
        finally:
            manager.close()


def _stop(manager: Systemd, units: List[str], work: Work) -> None:
    if not units:
        return
    manager.systemd.each("StopUnit", units, "replace")
    until = time.monotonic() + _DOWN
    while time.monotonic() < until and any(
            state.active not in ("inactive", "failed") for state in manager.systemd.states(units)):
        time.sleep(0.01)
    for unit in units:
        work.did.append("stopped the service %s" % _service(unit))
    _remove_persistent(units)


def _service_units(work: Work) -> Dict[str, str]:
    """Units of the host services, as they were just written."""
    folder = work.root + "/etc/services"
    units: Dict[str, str] = {}
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".units"))
    except OSError:
        return units
    known = _hostfiles.read_manifest(folder).get("files", {})
    for name in names:
        if name in known:
            with open(os.path.join(folder, name), encoding="utf-8") as handle:
                units.update(_systemd_files.sections(handle.read()))
    return units


def examine(manager: Systemd) -> List[str]:
    """Units that somebody changed, and host services that failed."""
    root = manager.root
    mine = _systemd_files.owner(manager.host)
    found = []
    for folder, below in ((_systemd_files.UNITS, "available"), (_systemd_files.PERSISTENT_UNITS, "services")):
        texts: Dict[str, Dict[str, str]] = {}
        for name in _systemd_files.ours(folder, mine):
            of = _application(name) if below == "available" else _service(name)
            source = "%s/etc/%s/%s.units" % (root, below, of)
            if source not in texts:
                texts[source] = _read_sections(source)
            wanted = texts[source].get(name)
            text = _read(os.path.join(folder, name))
            if wanted is not None and text != "%s\n%s" % (mine, wanted):
                found.append("%s/%s changed by somebody" % (folder, name))
    return found


def down(manager: Systemd) -> None:
    """Stop every unit of this host: what is ended one by one afterwards does not start again."""
    mine = _systemd_files.owner(manager.host)
    starts = tuple(name.rpartition(".")[0] for folder in (_systemd_files.UNITS, _systemd_files.PERSISTENT_UNITS)
                   for name in _systemd_files.ours(folder, mine) if "/" not in name)
    try:
        known = [str(unit[0]) for unit in manager.systemd.call("ListUnitsByPatterns", [], [_systemd.PREFIX + "*"])]
        units = [unit for unit in known if unit.rpartition(".")[0] in starts or unit.partition("@")[0] + "@" in starts]
        manager.systemd.each("StopUnit", units, "replace")
        until = time.monotonic() + _DOWN
        services = [unit for unit in units if unit.endswith(".service")]
        while services and time.monotonic() < until and any(
                state.active not in ("inactive", "failed") for state in manager.systemd.states(services)):
            time.sleep(0.01)
        manager.systemd.each("ResetFailedUnit", units)
        shared = {_systemd.PREFIX + _systemd.escape(_application(name)) for name in starts if name.endswith("@")}
        slices = [unit[: -len(".slice")] for unit in known if unit.endswith(".slice")]
        slices = [name for name in slices if name in shared or name.rpartition("-")[0] in shared]
        if len(slices) == sum(unit.endswith(".slice") for unit in known):
            slices.append(_systemd.PREFIX.rstrip("-"))  # above all of them; of no other host of this machine either
        manager.systemd.each("StopUnit", [name + ".slice" for name in slices], "replace")
    except OSError:
        return  # the processes are ended one by one in any case


def forget(manager: Systemd) -> None:
    """Remove the units of this host."""
    mine = _systemd_files.owner(manager.host)
    _systemd_files.remove_units(_systemd_files.UNITS, _systemd_files.ours(_systemd_files.UNITS, mine))
    _remove_persistent(_systemd_files.ours(_systemd_files.PERSISTENT_UNITS, mine))
    try:
        manager.systemd.call("Reload")
    except OSError:
        return
    finally:
        manager.close()


def _link(unit: str) -> None:
    folder = "%s/%s" % (_systemd_files.PERSISTENT_UNITS, _WANTS)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    link = "%s/%s" % (folder, unit)
    if not os.path.islink(link):
        os.symlink("../" + unit, link)


def _remove_persistent(units: List[str]) -> None:
    folder = _systemd_files.PERSISTENT_UNITS
    _systemd_files.remove_units(folder, units)
    for unit in units:
        link = "%s/%s/%s" % (folder, _WANTS, unit)
        if os.path.islink(link):
            os.unlink(link)


def _service(unit: str) -> str:
    return unit[len(_systemd.PREFIX) :].rpartition(".")[0]


def _application(unit: str) -> str:
    """The application that a template unit, or a drop-in of its slices, belongs to."""
    rest = unit[len(_systemd.PREFIX) :]
    if ".slice.d/" in rest:
        return rest.partition(".slice.d/")[0].rstrip("-").replace("\\x2d", "-")
    return rest.partition("@")[0].partition(".")[0]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except OSError:
        return ""


def _read_sections(path: str) -> Dict[str, str]:
    return dict(_systemd_files.sections(_read(path)))


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
