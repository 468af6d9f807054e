# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take everything of ours from a host: processes first, confirmed, then the folder. Files of others stay."""

from __future__ import annotations

import importlib
import os
import time

from . import observe
from .machine import files as machine_files
from .machine import procs
from .service.choose import setup_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping

    from .service.preparation import Setup

_STOP = 10.0  # s from SIGTERM to SIGKILL
_AFTER_KILL = 5.0
_LATER = ("service.supervisor.manager", "service.supervisor.setup", "service.supervisor.boot_unit")
_OURS = ("lib", "etc/placed", "run", "log", "var")
_FILES = ("etc/host.json", "etc/supervisord.conf", "etc/supervisord-listener.conf", "etc/environment", "etc/display")


def load() -> None:
    """What `remove` needs of ours later: the owner of a folder may not read the copy of the agent that root runs."""
    for name in _LATER:
        importlib.import_module("." + name, __package__)


def remove(request: Mapping[str, Any]) -> Dict[str, Any]:
    """
    :return: ``{"changed", "did", "warnings"}``, or ``{"error": sentence}``.
    """
    host = request["host"]
    root = host["root"]
    check = bool(request.get("check"))
    try:
        marker = observe.read_marker(root)
    except ValueError as error:
        return {"error": "%s: it cannot be told whose folder this is, remove it by hand" % error}
    # without a site id of our own (the ledger is gone) the marker still names the site
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
                warnings.append("these files are not ours and stay: %s" % ", ".join(kept))
    return {"changed": bool(did), "did": did, "warnings": warnings}


def last(request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """The folder itself, which its owner may not remove from a folder of others; one that is not empty stays."""
    if answer.get("did") and not request.get("check"):
        try:
            os.rmdir(request["host"]["root"])
        except OSError:
            return


def _stop(setup: Setup, check: bool, did: List[str]) -> str:
    host, manager = setup.host, setup.manager
    processes = procs.sweep(host["site_id"], host["host"])
    mine = [process for process in processes if process.instance]
    ours = manager.own(manager.find(processes))
    if not mine and not ours:
        return ""
    did.append("stopped %s%d processes" % ("the service manager and " if ours else "", len(mine)))
    if check:
        return ""
    setup.down()
    began = time.monotonic()
    asked = set()
    while True:
        processes = procs.sweep(host["site_id"], host["host"])
        ours = manager.own(manager.find(processes))
        left = [p.pid for p in processes if (p.instance or p.pid == ours) and procs.alive(p.pid)]
        if not left:
            return ""
        waited = time.monotonic() - began
        for pid in left:
            if waited > _STOP:
                procs.send(pid, procs.KILL)
            elif pid not in asked:
                asked.add(pid)
                procs.send(pid, procs.TERM)
        if waited > _STOP + _AFTER_KILL:
            return "process %d (%s) on %s does not die" % (left[0], procs.command_name(left[0]), host["host"])
        time.sleep(0.02)


def _clean(root: str) -> List[str]:
    """:return: files that are not ours."""
    import shutil

    for below in ("bin", "etc/available", "etc/services"):
        folder = os.path.join(root, below)
        change = machine_files.write_folder(folder, {}, "")
        if not change.foreign:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            machine_files.remove(os.path.join(folder, machine_files.MANIFEST))
    for below in _OURS:
        shutil.rmtree(os.path.join(root, below), ignore_errors=True)
    for name in _FILES:
        machine_files.remove(os.path.join(root, name))
    kept = []
    for where, _unused, files in os.walk(root, topdown=False):
        if os.path.basename(where) == "__pycache__":  # Python's, of the programs that were there
            for name in files:
                machine_files.remove(os.path.join(where, name))
            files = []
        kept += [os.path.join(where, name) for name in files]
        try:
            os.rmdir(where)
        except OSError:
            continue
    return sorted(kept)
