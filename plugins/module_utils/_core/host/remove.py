# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove muster from a host: stop its processes, confirm that they ended, remove its files. Files of others stay."""

from __future__ import annotations

import importlib
import os
import time

from . import ledger_copies, observe
from .lease.allowed import SETTINGS_FILE
from .machine import files as machine_files
from .machine import procs
from .service import identity
from .service.choose import setup_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping

    from .service.preparation import Setup

_TERM_SECONDS = 10.0  # from SIGTERM to SIGKILL
_KILL_SECONDS = 5.0  # that a process may take to die of SIGKILL
_IMPORTED_LATE = ("service.supervisor.manager", "service.supervisor.setup", "service.supervisor.boot_unit")
_FOLDERS = ("lib", "etc/current", "etc/generations", "etc/placed", ledger_copies.FOLDER, "run", "log", "var")
_FILES = ("etc/host.json", SETTINGS_FILE, "etc/supervisord.conf", "etc/supervisord-listener.conf", "etc/environment",
          "etc/display")  # fmt: skip


def load() -> None:
    """Import all of the agent that `remove` imports late.

    Root runs its own copy of the agent, and `remove` as the owner of the folder, who may not read that copy.
    """
    for name in _IMPORTED_LATE:
        importlib.import_module("." + name, __package__)


def remove(request: Mapping[str, Any]) -> Dict[str, Any]:
    """Stop every process of a host and remove all its files. In check mode only report what would be done.

    :param request: ``{"host", "check"}``.
    :return: ``{"changed", "did": [sentences], "warnings"}``, or ``{"error": sentence}``.
    """
    host = request["host"]
    root = host["root"]
    check = bool(request.get("check"))
    try:
        marker = observe.read_marker(root)
    except ValueError as error:
        return {"error": "%s: it is unknown to which site this folder belongs, remove it by hand" % error}
    # without a site id in the request (the ledger is gone) the marker still names the site
    known = dict(host, site_id=host["site_id"] or marker.get("site_id", ""))
    problem = observe.foreign_marker(marker, known)
    if problem:
        return {"error": problem}
    did: List[str] = []
    warnings: List[str] = []
    known["service_manager"] = marker.get("service_manager") or host.get("service_manager")
    setup = setup_of(known)
    if known["site_id"]:
        error_sentence = _stop(setup, check, did)
        if error_sentence:
            return {"error": error_sentence}
    if marker:
        did.append("removed %s" % root)
        if not check:
            setup.forget()
            try:
                kept = _clean(root)
            except machine_files.FolderError as error:
                return {"error": str(error)}
            if kept:
                warnings.append("these files are not muster's and stay: %s" % ", ".join(kept))
    return {"changed": bool(did), "did": did, "warnings": warnings}


def last(request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Remove the folder itself, as root: its owner may not remove it from a folder of others. One with files stays.

    :param answer: that of `remove`.
    """
    if answer.get("did") and not request.get("check"):
        try:
            os.rmdir(request["host"]["root"])
        except OSError:
            return


def _stop(setup: Setup, check: bool, did: List[str]) -> str:
    host, manager = setup.host, setup.manager
    processes = identity.Look(manager).processes
    programs = [process for process in processes if process.instance]
    owned = manager.own(manager.find(processes))
    if not programs and not owned:
        return ""
    did.append("stopped %s%d processes" % ("the service manager and " if owned else "", len(programs)))
    if check:
        return ""
    setup.down()
    began = time.monotonic()
    asked = set()
    while True:
        processes = identity.Look(manager).processes
        owned = manager.own(manager.find(processes))
        left = [p.pid for p in processes if (p.instance or p.pid == owned) and procs.alive(p.pid)]
        if not left:
            return ""
        waited = time.monotonic() - began
        for pid in left:
            if waited > _TERM_SECONDS:
                procs.send(pid, procs.KILL)
            elif pid not in asked:
                asked.add(pid)
                procs.send(pid, procs.TERM)
        if waited > _TERM_SECONDS + _KILL_SECONDS:
            return "process %d (%s) on %s does not die" % (left[0], procs.command_name(left[0]), host["host"])
        time.sleep(0.02)


def _clean(root: str) -> List[str]:
    """:return: paths of files that muster did not write; they stay."""
    import shutil

    for below in ("bin", "etc/available", "etc/services"):
        folder = os.path.join(root, below)
        change = machine_files.write_folder(folder, {}, "")
        if not change.foreign:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            machine_files.remove(os.path.join(folder, machine_files.MANIFEST))
    for below in _FOLDERS:
        shutil.rmtree(os.path.join(root, below), ignore_errors=True)
    for name in _FILES:
        machine_files.remove(os.path.join(root, name))
    kept = []
    for where, _unused, files in os.walk(root, topdown=False):
        if os.path.basename(where) == "__pycache__":  # byte code of the programs that were there
            for name in files:
                machine_files.remove(os.path.join(where, name))
            files = []
        kept += [os.path.join(where, name) for name in files]
        try:
            os.rmdir(where)
        except OSError:
            continue
    return sorted(kept)
