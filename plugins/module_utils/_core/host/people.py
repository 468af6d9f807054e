# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the people of a host use muster: the command, what it is made of, and the folder of the socket that it uses.

What the command is made of is in a folder named by its hash, which is made all at once. The command is replaced last
and names that folder, so it is of one version whenever this is interrupted. The version before stays until the next one
comes: a command that is still at work reads more of its files now and then.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import stat

from . import install, relay
from .machine import differences, files
from .service.preparation import Preparation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Set, Tuple

PACKAGE = "muster_console"
MARK = "# Written by the role control_room.muster.monitor"
COMMAND = """\
#!%(python)s -I
%(mark)s: changes by hand are lost.
\"\"\"muster for people on %(host)s.\"\"\"
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, %(folder)s)

from muster_console.client.console import main

sys.exit(main())
"""
_FOLDER = re.compile(r"^sys\.path\.insert\(0, (\"[^\n]*\")\)$", re.MULTILINE)
_FOLDER_MODE, _FILE_MODE, _COMMAND_MODE, _SOCKETS_MODE = 0o755, 0o644, 0o755, 0o2750
_UMASK = 0o022


def people(request: Mapping[str, Any]) -> Dict[str, Any]:
    """Install the command for the people of a host, or remove it. In check mode only report what would be done.

    :param request: ``host``, ``check``, ``diff``; ``state``: ``present`` or ``absent``; ``group`` of the people;
        ``user``: the monitor's account there; ``command``: its path; ``python``: what runs it; ``library``: the folder
        for what it is made of; ``files``: ``{"hash", "files": {path below the package: text}}``.
    :return: ``{"changed", "did": [sentences], "warnings", "diff"}``, or ``{"error": sentence}``.
    """
    work = Preparation(request)
    before = os.umask(_UMASK)
    try:
        command = files.read(request["command"])
        ours = command is None or MARK.encode() in command
        if request["state"] == "absent":
            _remove(work, request, ours and command is not None)
            return work.answer()
        if not ours:
            return {"error": "%s is not a file of muster on %s: give another path as monitor_console_command"
                             % (request["command"], work.host["host"])}
        owners, problem = _owners(request, work)
        if problem:
            return {"error": problem}
        _folder(work, relay.SHARED, (os.geteuid(), None), _FOLDER_MODE)
        _folder(work, os.path.join(relay.SHARED, work.host["host"]), owners, _SOCKETS_MODE)
        _install(work, request, (command or b"").decode("utf-8", "replace"))
    except OSError as error:
        return {"error": files.sentence(request["command"], error)}
    finally:
        os.umask(before)
    return work.answer()


def _owners(request: Mapping[str, Any], work: Preparation) -> Tuple[Tuple[Optional[int], Optional[int]], str]:
    """The user and group of the socket's folder; None for the user whom check mode has not made. And what is wrong."""
    import grp
    import pwd

    try:
        group = grp.getgrnam(request["group"]).gr_gid
    except KeyError:
        return (None, None), "the group %s does not exist on %s: make it there" % (request["group"], work.host["host"])
    try:
        return (pwd.getpwnam(request["user"]).pw_uid, group), ""
    except KeyError:
        if work.check:
            return (None, group), ""
        return (None, None), "there is no account %s on %s" % (request["user"], work.host["host"])


def _folder(work: Preparation, path: str, owners: Tuple[Optional[int], Optional[int]], mode: int) -> None:
    """Make a folder with this owner, group (None: any) and mode."""
    try:
        facts = os.lstat(path)
        alike = stat.S_ISDIR(facts.st_mode) and stat.S_IMODE(facts.st_mode) == mode
        alike = alike and facts.st_uid == owners[0] and owners[1] in (None, facts.st_gid)
        what = "changed the rights of %s"
    except FileNotFoundError:
        alike, what = False, "made %s"
    if alike:
        return
    work.did.append(what % path)
    if not work.check:
        os.makedirs(path, exist_ok=True)
        os.chown(path, -1 if owners[0] is None else owners[0], -1 if owners[1] is None else owners[1])
        os.chmod(path, mode)


def _install(work: Preparation, request: Mapping[str, Any], command: str) -> None:
    library, bundle = str(request["library"]), request["files"]
    target = os.path.join(library, bundle["hash"])
    noted = _FOLDER.search(command)
    former = str(json.loads(noted.group(1))) if noted else ""
    _folder(work, library, (os.geteuid(), None), _FOLDER_MODE)
    if os.path.isdir(target):
        _repair(work, target, bundle["files"])
    else:
        _note_version(work, former, bundle["files"])
        if not work.check:
            install.place(target, PACKAGE, bundle["files"], _FOLDER_MODE, _FILE_MODE)
    text = COMMAND % {"python": request["python"], "mark": MARK, "host": work.host["host"],
                      "folder": json.dumps(target)}  # fmt: skip
    if _note_file(work, request["command"], text, _COMMAND_MODE) and not work.check:
        files.write_file(request["command"], text.encode("utf-8"), _COMMAND_MODE)
    if former != target and not work.check:
        _sweep(library, {bundle["hash"], PACKAGE if former == library else os.path.basename(former)})


def _note_version(work: Preparation, former: str, sources: Mapping[str, str]) -> None:
    """Say which files another version changes."""
    package = os.path.join(former, PACKAGE)
    known = {name: files.read(os.path.join(package, name)) for name in _sources(package)} if former else {}
    shown = differences.Differences(work.host["host"] + ": muster_console/")
    changes = {"wrote": [name for name in sorted(sources) if known.get(name) != sources[name].encode("utf-8")],
               "left out": sorted(known.keys() - sources.keys())}  # fmt: skip
    for what, names in changes.items():
        if names:
            work.did.append("%s %s of the command" % (what, ", ".join(names)))
        for name in names if work.diff else ():
            after = sources.get(name)
            shown.add(name, known.get(name), None if after is None else after.encode("utf-8"))
    work.diffs += shown.shown()
    if not any(changes.values()):
        work.did.append("placed again what the command is made of")


def _sources(package: str) -> Mapping[str, str]:
    """The files of a package below a folder, but those that only make packages of folders. Their paths."""
    found = {}
    for where, folders, names in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.join(where, name)
            if name != "__init__.py":
                found[os.path.relpath(path, package)] = path
    return found


def _repair(work: Preparation, target: str, sources: Mapping[str, str]) -> None:
    """Put right what somebody else changed in the folder of this version."""
    package = os.path.join(target, PACKAGE)
    for folder in install.folders_of(sources):
        _folder(work, os.path.join(package, folder).rstrip("/"), (os.geteuid(), None), _FOLDER_MODE)
    for name, text in install.with_packages(sources).items():
        path = os.path.join(package, name)
        compiled = os.path.exists(importlib.util.cache_from_source(path))
        if _note_file(work, path, text, _FILE_MODE, stale=not compiled) and not work.check:
            install.write_source(path, path, text, _FILE_MODE)


def _note_file(work: Preparation, path: str, text: str, mode: int, stale: bool = False) -> bool:
    """Whether a file has to be written, because its content, owner or mode is another, or it is stale."""
    try:
        facts = os.lstat(path)
        alike = stat.S_ISREG(facts.st_mode) and (stat.S_IMODE(facts.st_mode), facts.st_uid) == (mode, os.geteuid())
        before = files.read(path)
    except FileNotFoundError:
        alike, before = False, None
    same = before == text.encode("utf-8")
    if alike and same and not stale:
        return False
    work.did.append("wrote %s" % path)
    if work.diff and not same:
        work.diffs.append({"before": (before or b"").decode("utf-8", "replace"), "after": text,
                           "before_header": path, "after_header": path})  # fmt: skip
    return True


def _sweep(library: str, stay: Set[str]) -> None:
    """Remove older versions, and what an interrupted run left."""
    import shutil

    for name in os.listdir(library):
        if name not in stay:
            shutil.rmtree(os.path.join(library, name), ignore_errors=True)


def _remove(work: Preparation, request: Mapping[str, Any], ours: bool) -> None:
    import shutil

    sockets = os.path.join(relay.SHARED, work.host["host"])
    for path in (sockets, str(request["library"]), *([str(request["command"])] if ours else [])):
        if not os.path.lexists(path):
            continue
        work.did.append("removed %s" % path)
        if work.check:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    if not work.check:
        with contextlib.suppress(OSError):  # there may be those of other hosts of this machine
            os.rmdir(relay.SHARED)
