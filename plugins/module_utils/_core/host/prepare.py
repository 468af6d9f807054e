# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a host ready: folders, program files, agent, marker, service manager and host services."""

from __future__ import annotations

import json
import os

from . import install, observe, system
from .lease import allowed
from .machine import accounts, differences, ports, procs
from .machine import files as machine_files
from .service.choose import setup_of
from .service.errors import ManagerError
from .service.preparation import Preparation, environment_lines, service_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Set

    from .service.preparation import Setup

FOLDERS = ("bin", "lib", "etc", "etc/available", "etc/current", "etc/generations", "etc/placed", "etc/services",
           "run", "run/claims", "run/seen", "run/locks", "run/starts", "run/given",
           "run/listeners", "run/alone", "log", "var")
_MARKER_KEYS = ("site_id", "site", "controller", "host", "address", "root", "node", "service_manager")


def prepare(request: Mapping[str, Any]) -> Dict[str, Any]:
    """Make a host ready, or in check mode report what would be done. Idempotent.

    :param request: ``host``, ``check``, ``diff``; ``files``: ``{"bin/...": {"text", "mode"}}``; ``services``: files
        below ``etc/services``; ``service_ports``: service -> {name: port}; ``supervisord``: argument list;
        ``environment``: for it and all programs; ``lease``: see `host.lease.settings`, None: no lease is needed;
        ``boot``: start supervisord with the machine; ``agent``: see `host.install`; ``system``: what must be there
        first, see `host.system.lacking`.
    :return: ``{"changed", "did": [sentences], "warnings", "diff"}``; ``{"lacks"}``, as `host.system.lacking` says, when
        something must be installed first and nothing was done; or ``{"error": sentence}``.
    """
    work, setup = Preparation(request), setup_of(request["host"])
    root, host = work.root, work.host
    try:
        marker = observe.read_marker(root)
    except ValueError as error:
        marker = {}
        work.warnings.append("%s: it is written again" % error)
    problem = observe.foreign_marker(marker, host) or observe.other_manager(marker, host)
    if problem:
        return {"error": problem}
    try:
        lacks = system.lacking(request.get("system") or {})
    except system.Unknown as error:
        return {"error": str(error)}
    if lacks:
        return {"lacks": lacks}
    problem = setup.needs(work.check)
    if problem:
        return {"error": problem}
    try:
        _folders(work)
        setup.take_folder(work)
        _programs(work, request.get("files") or {})
        changed = _services(work, request.get("services") or {})
        settings = _marker(work, setup, request, marker)
        _display(work)
        _lease(work, request.get("lease"))
        late = setup.configure(work, request)
        _agent(work, request.get("agent"))
        setup.hold_lease(work, request.get("lease"))
        _run(work, setup, request, settings, changed, late)
    except machine_files.FolderError as error:
        return {"error": str(error)}
    except OSError as error:
        return {"error": machine_files.sentence(root, error)}
    except ManagerError as error:
        return {"error": str(error)}
    return work.answer()


def _display(work: Preparation) -> None:
    """Write the variables that programs with windows find in their environment."""
    display = {name: value for name, value in (work.host.get("display") or {}).items() if name != "user"}
    if display or os.path.exists(work.root + "/etc/display"):
        work.write("etc/display", environment_lines(display))


def _lease(work: Preparation, lease: Optional[Mapping[str, Any]]) -> None:
    """Write what the host's guard and witness need; without it they are switched off. It is no part of a difference."""
    path = os.path.join(work.root, allowed.SETTINGS_FILE)
    before = machine_files.read(path)
    if lease is None:
        if before is not None:
            work.did.append("removed %s: nothing here needs a lease any more" % allowed.SETTINGS_FILE)
            if not work.check:
                machine_files.remove(path)
        return
    try:
        known = json.loads(before or b"{}")
        longest = float(known.get("longest") or 0.0)
    except (ValueError, TypeError, AttributeError):
        known, longest = {}, 0.0
    # A lease that was asked for earlier may still count when a witness is born again.
    document = dict(lease, longest=max(longest, float(lease["length"])), **_keys(known, lease))
    data = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode("utf-8")
    if data != before:
        work.did.append("wrote %s" % allowed.SETTINGS_FILE)
        if not work.check:
            machine_files.write_file(path, data, 0o600)


def _keys(known: Mapping[str, Any], lease: Mapping[str, Any]) -> Dict[str, Any]:
    """The keys of a host when those that come are not the next step of a rotation; {}: they are.

    The site's key was lost with its controller, say. Hosts get another one one by one, and none may stop answering
    another meanwhile: so one deploy makes it known behind the former, one has it used, and one drops the former.
    """
    names, fresh = ([list(entry) for entry in of.get("keys") or ()] for of in (known, lease))
    if known.get("site_id") != lease["site_id"] or not names or fresh[0] == names[0]:
        return {}
    used = fresh[0] in names

    def merged(before: List[Any], after: List[Any]) -> List[Any]:
        first, last = (after, before) if used else (before, after)
        return [*first, *(entry for entry in last if entry not in first)]

    masters = merged(list(known.get("masters") or ()), list(lease["masters"])) if lease["masters"] else []
    return {"keys": merged(names, fresh), "masters": masters}


def _agent(work: Preparation, bundle: Optional[Mapping[str, Any]]) -> None:
    if bundle and not install.installed(work.root, bundle):
        work.did.append("installed the agent %s" % bundle["hash"])
        if not work.check:
            install.install(work.root, bundle)


def _folders(work: Preparation) -> None:
    missing = [name for name in FOLDERS if not os.path.isdir(os.path.join(work.root, name))]
    if not missing:
        return
    work.did.append("made the folder %s" % work.root if len(missing) == len(FOLDERS) else
                    "made the folders %s" % ", ".join(missing))
    if not work.check:
        os.makedirs(work.root, mode=machine_files.FOLDER_MODE, exist_ok=True)
        for name in missing:
            os.makedirs(os.path.join(work.root, name), mode=machine_files.FOLDER_MODE, exist_ok=True)


def _programs(work: Preparation, files: Mapping[str, Mapping[str, str]]) -> None:
    inside = {name[len("bin/") :]: entry for name, entry in files.items() if name.startswith("bin/")}
    digest = machine_files.config_digest(inside)
    change = machine_files.write_folder(work.root + "/bin", inside, digest, None, work.check, _diff(work, "bin"))
    _report(work, "bin", change)
    work.programs = change.written + change.removed


def _old_text(work: Preparation, processes: Iterable[procs.Process]) -> None:
    """Warn of instances that still run the old text of a program that changed: a preparation restarts nothing."""
    changed = {os.fsencode(os.path.join(work.root, "bin", name)) for name in work.programs}
    old = set()
    for process in processes if changed else ():
        try:
            arguments = procs.read_file("/proc/%d/cmdline" % process.pid).split(b"\0")
        except OSError:
            continue
        if process.instance and changed.intersection(arguments):
            old.add(process.instance)
    if old:
        work.warnings.append("programs below bin changed: %s run%s the old ones until restarted" % (
            ", ".join(sorted(old)), "s" if len(old) == 1 else ""))


def _services(work: Preparation, files: Mapping[str, Mapping[str, str]]) -> Set[str]:
    """:return: names of services that changed, came or went."""
    change = machine_files.write_folder(
        work.root + "/etc/services", files, machine_files.config_digest(files), machine_files.tokens(work.host),
        work.check, _diff(work, "etc/services"),
    )
    _report(work, "etc/services", change)
    for name in service_names(files):
        for folder in ("log", "var"):
            if not work.check:
                os.makedirs("%s/%s/%s" % (work.root, folder, name), mode=machine_files.FOLDER_MODE, exist_ok=True)
        if work.host.get("runs_as") and not work.check:
            accounts.let_write(work.host, name)
    return {name.split("/")[0] if "/" in name else name.rpartition(".")[0] for name in change.written + change.removed}


def _diff(work: Preparation, folder: str) -> Optional[differences.Differences]:
    return differences.Differences("%s/%s/" % (work.root, folder)) if work.diff else None


def _report(work: Preparation, folder: str, change: machine_files.Change) -> None:
    for verb, names in (("wrote", change.written), ("removed", change.removed)):
        if len(names) > 5:
            work.did.append("%s %d files below %s" % (verb, len(names), folder))
        else:
            work.did += ["%s %s/%s" % (verb, folder, name) for name in names]
    for name in change.kept:
        work.warnings.append("%s/%s: %s/%s was changed outside muster; that version is kept there" % (
            folder, name, folder, name.rpartition(".kept")[0]))
    work.diffs += change.diff


def _marker(
    work: Preparation, setup: Setup, request: Mapping[str, Any], before: Mapping[str, Any]
) -> Dict[str, Any]:
    """Write ``etc/host.json``. :return: the settings in it, with which the service manager starts."""
    environment = dict(request.get("environment") or {})
    marker: Dict[str, Any] = {name: work.host.get(name) for name in _MARKER_KEYS}
    settings = {"supervisord": list(request.get("supervisord") or []), "environment": environment}
    marker["settings"] = settings
    if marker == before:
        return settings
    work.write("etc/host.json", json.dumps(marker, indent=1, sort_keys=True) + "\n")
    if before and before.get("settings", {}).get("environment") != environment:
        work.warnings.append("the environment of programs changed: it takes effect when %s starts again" % (
            "a program" if setup.manager.asks_all else "the service manager"))
    return settings


def _run(
    work: Preparation, setup: Setup, request: Mapping[str, Any], settings: Mapping[str, Any], changed: Set[str],
    late: List[str],
) -> None:
    """:param late: files that changed and are read only when the service manager starts."""
    processes = procs.sweep(work.host["site_id"], work.host["host"])
    work.warnings += ports.strangers(work.host, request.get("service_ports") or {})
    _old_text(work, processes)
    pid = (setup.manager.find if work.check else setup.manager.settled)(processes)
    if not pid and request.get("lease"):
        problem = ports.cannot_ask(work.host["host"], request["lease"])
        if problem:
            raise ManagerError(problem)
    if not pid:
        work.did.append("started the service manager")
        if not work.check:
            setup.manager.start(settings, work.warnings)
        return
    for name in late:
        work.warnings.append("%s changed: it takes effect when the service manager starts again" % name)
    if changed or request.get("services"):
        setup.serve(work, request, changed)
