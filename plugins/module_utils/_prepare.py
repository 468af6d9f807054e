# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a host ready: folders, program files, agent, marker, service manager and host services."""

from __future__ import annotations

import json
import os
import time

from . import _agent_install, _hostfiles, _observe, _procs, _supervisor, _supervisord, _xmlrpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

FOLDERS = ("bin", "lib", "etc", "etc/available", "etc/placed", "etc/services", "run", "run/claims", "run/seen",
           "run/locks", "run/listeners", "log", "var")
_MARKS = ("site_id", "site", "controller", "host", "address", "root", "node", "service_manager")
_SERVICE_STOP = 15.0
_RUNNING_STATES = (10, 20)  # STARTING, RUNNING; a service in BACKOFF is being tried again already
_BACKOFF = 30


class Work:
    """What was done, for the answer."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.host: Mapping[str, Any] = request["host"]
        self.root: str = self.host["root"]
        self.check = bool(request.get("check"))
        self.diff = bool(request.get("diff"))
        self.did: List[str] = []
        self.warnings: List[str] = []
        self.diffs: List[Dict[str, str]] = []

    def answer(self) -> Dict[str, Any]:
        answer: Dict[str, Any] = {"changed": bool(self.did), "did": self.did, "warnings": self.warnings}
        if self.diffs:
            answer["diff"] = self.diffs
        return answer


def prepare(request: Mapping[str, Any]) -> Dict[str, Any]:
    """
    :param request: ``files``: ``{"bin/...": {"text", "mode"}}``; ``services``: files below ``etc/services``;
        ``supervisord``: argument list; ``environment``: for it and all programs; ``agent``: see `_agent_install`.
    :return: ``{"changed", "did": [sentences], "warnings", "diff"}``, or ``{"error": sentence}``.
    """
    work = Work(request)
    root, host = work.root, work.host
    try:
        marker = _observe.read_marker(root)
    except ValueError as error:
        marker = {}
        work.warnings.append("%s: it is written again" % error)
    problem = _observe.foreign_marker(marker, host) or _needed()
    if problem:
        return {"error": problem}
    try:
        _folders(work)
        listener = _programs(work, request.get("files") or {})
        changed = _services(work, request.get("services") or {})
        _marker(work, request, marker)
        configuration = [name for name in (_supervisord.PLAIN, _supervisord.WITH_LISTENER)
                         if _write(work, name, _supervisord.configuration(root, name == _supervisord.WITH_LISTENER))]
        configuration += ["bin/" + _supervisord.LISTENER] if listener else []
        _agent(work, request.get("agent"))
        _manager(work, request, changed, configuration)
    except _hostfiles.FolderError as error:
        return {"error": str(error)}
    except OSError as error:
        return {"error": _hostfiles.sentence(root, error)}
    except _supervisord.ManagerError as error:
        return {"error": str(error)}
    return work.answer()


def _agent(work: Work, bundle: Optional[Mapping[str, Any]]) -> None:
    if bundle and not _agent_install.installed(work.root, bundle):
        work.did.append("installed the agent %s" % bundle["hash"])
        if not work.check:
            _agent_install.install(work.root, bundle)


def _needed() -> str:
    import shutil

    path = _supervisord.environment_path()
    if shutil.which("setpriv", path=path) is None:
        return "the program setpriv is missing (package util-linux), programs cannot be started without it"
    return ""


def _folders(work: Work) -> None:
    missing = [name for name in FOLDERS if not os.path.isdir(os.path.join(work.root, name))]
    if not missing:
        return
    work.did.append("made the folder %s" % work.root if len(missing) == len(FOLDERS) else
                    "made the folders %s" % ", ".join(missing))
    if not work.check:
        os.makedirs(work.root, mode=_hostfiles.FOLDER_MODE, exist_ok=True)
        for name in missing:
            os.makedirs(os.path.join(work.root, name), mode=_hostfiles.FOLDER_MODE, exist_ok=True)


def _programs(work: Work, files: Mapping[str, Mapping[str, str]]) -> bool:
    """:return: whether our part in the service manager changed."""
    inside = {name[len("bin/") :]: entry for name, entry in files.items() if name.startswith("bin/")}
    change = _hostfiles.write_folder(work.root + "/bin", inside, _hostfiles.config_digest(inside), None, work.check,
                                     work.diff, work.root + "/bin/")
    _tell(work, "bin", change)
    return _supervisord.LISTENER in change.written + change.removed


def _services(work: Work, files: Mapping[str, Mapping[str, str]]) -> Set[str]:
    """:return: names of services that changed, came or went."""
    change = _hostfiles.write_folder(
        work.root + "/etc/services", files, _hostfiles.config_digest(files), _hostfiles.tokens(work.host), work.check,
        work.diff, work.root + "/etc/services/",
    )
    _tell(work, "etc/services", change)
    for name in files:
        if name.endswith(".ini") and "/" not in name and not work.check:
            for folder in ("log", "var"):
                os.makedirs("%s/%s/%s" % (work.root, folder, name[: -len(".ini")]), mode=_hostfiles.FOLDER_MODE,
                            exist_ok=True)
    changed = set()
    for name in change.written + change.removed:
        changed.add(name.split("/")[0] if "/" in name else name[: -len(".ini")])
    return changed


def _tell(work: Work, folder: str, change: _hostfiles.Change) -> None:
    for verb, names in (("wrote", change.written), ("removed", change.removed)):
        if len(names) > 5:
            work.did.append("%s %d files below %s" % (verb, len(names), folder))
        else:
            work.did += ["%s %s/%s" % (verb, folder, name) for name in names]
    for name in change.kept:
        work.warnings.append("%s/%s: somebody had changed this file; their text is kept there" % (folder, name))
    work.diffs += change.diff


def _marker(work: Work, request: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    environment = dict(request.get("environment") or {})
    marker: Dict[str, Any] = {name: work.host.get(name) for name in _MARKS}
    marker["settings"] = {"supervisord": list(request.get("supervisord") or []), "environment": environment}
    if marker == before:
        return
    _write(work, "etc/host.json", json.dumps(marker, indent=1, sort_keys=True) + "\n")
    if before and before.get("settings", {}).get("environment") != environment:
        work.warnings.append("the environment of programs changed: it counts when the service manager starts again")


def _write(work: Work, name: str, text: str) -> bool:
    path = os.path.join(work.root, name)
    try:
        with open(path, "rb") as handle:
            before = handle.read()
    except FileNotFoundError:
        before = b""
    data = text.encode("utf-8")
    if before == data:
        return False
    work.did.append("wrote %s" % name)
    if work.diff:
        work.diffs.append({"before": before.decode("utf-8", "replace"), "after": text, "before_header": path,
                           "after_header": path})
    if not work.check:
        _hostfiles.write_file(path, data)
    return True


def _manager(work: Work, request: Mapping[str, Any], changed: Set[str], configuration: Sequence[str]) -> None:
    """:param configuration: files that changed and are read only when the service manager starts."""
    processes = _procs.sweep(work.host["site_id"], work.host["host"])
    pid = (_supervisord.find if work.check else _supervisord.settled)(processes, work.root)
    if not pid:
        work.did.append("started the service manager")
        if not work.check:
            _supervisord.start(work.host, list(request.get("supervisord") or []), request.get("environment") or {},
                               work.warnings)
        return
    for name in configuration:
        work.warnings.append("%s changed: it counts when the service manager starts again" % name)
    services = sorted(name[: -len(".ini")] for name in request.get("services") or {}
                      if name.endswith(".ini") and "/" not in name)
    if changed or services:
        _run_services(work, services, changed)


def _run_services(work: Work, services: Sequence[str], changed: Set[str]) -> None:
    """Host services run, with the configuration that was just written; others are left alone."""
    if work.check:
        work.did += ["restarted the service %s" % name for name in sorted(changed)]
        return
    client = _xmlrpc.Client(_supervisor.socket_path(work.root))
    lock = _supervisord.alone(work.root)
    try:
        if changed:
            client.call("supervisor.reloadConfig")
        for name in sorted(changed):
            _stop_service(client, name)
            if name in services:
                client.call("supervisor.addProcessGroup", name)  # autostart starts it
            work.did.append("restarted the service %s" % name if name in services else "stopped the service %s" % name)
        for name in services:
            if name not in changed:
                _start_service(client, name, work)
    except _xmlrpc.Fault as error:
        raise _supervisord.ManagerError("the service manager of %s does not take the host services: %s" % (
            work.host["host"], error)) from None
    except OSError as error:
        raise _supervisord.ManagerError("the service manager of %s does not answer: %s" % (
            work.host["host"], error.strerror or error)) from None
    finally:
        client.close()
        os.close(lock)


def _stop_service(client: _xmlrpc.Client, name: str) -> None:
    until = time.monotonic() + _SERVICE_STOP
    try:
        client.call("supervisor.stopProcessGroup", name, False)
    except _xmlrpc.Fault as error:
        if error.code == _supervisor.BAD_NAME:
            return
        raise
    while True:
        try:
            client.call("supervisor.removeProcessGroup", name)
            return
        except _xmlrpc.Fault as error:
            if error.code != _supervisor.STILL_RUNNING or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _start_service(client: _xmlrpc.Client, name: str, work: Work) -> None:
    full = "%s:%s" % (name, name)
    try:
        state = client.call("supervisor.getProcessInfo", full)["state"]
        if state in _RUNNING_STATES or state == _BACKOFF:
            return
        client.call("supervisor.startProcess", full, False)
    except _xmlrpc.Fault as error:
        if error.code != _supervisor.BAD_NAME:
            raise
        client.call("supervisor.reloadConfig")
        client.call("supervisor.addProcessGroup", name)
    work.did.append("started the service %s" % name)
