# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the agent on its host, byte-compiled, below ``lib/<hash>/``, so that the next call starts fast.

The command for people of a host (`host.people`) is placed in the same way.
"""

from __future__ import annotations

import os
import time

from .machine import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping

PACKAGE = "muster_host"
_KEEP_OLD_SECONDS = 3600.0  # deploys with different versions may follow each other soon


def installed(root: str, bundle: Mapping[str, Any]) -> bool:
    """Whether this very agent is installed.

    :param bundle: with ``hash``.
    """
    return os.path.isdir(os.path.join(root, "lib", bundle["hash"]))


def install(root: str, bundle: Mapping[str, Any]) -> bool:
    """Install an agent, all files at once, and remove agents older than an hour, but the one before. Idempotent.

    :param bundle: ``{"hash", "files": {path below the package: text}}``.
    :return: False when it was installed already.
    :raises OSError: when it cannot be written.
    """

    target = os.path.join(root, "lib", bundle["hash"])
    if installed(root, bundle):
        return False
    place(target, PACKAGE, bundle["files"])
    _sweep(os.path.join(root, "lib"), bundle["hash"])
    return True


def place(
    target: str, package: str, sources: Mapping[str, str], folder_mode: int = files.FOLDER_MODE, file_mode: int = 0o640
) -> None:
    """Make a folder that holds a package of Python, byte-compiled: all of it at once, or nothing.

    :param sources: path below the package -> text; its folders become packages.
    :raises OSError: when it cannot be written.
    """
    import shutil

    new = "%s.%d.new" % (target, os.getpid())
    try:
        for folder in folders_of(sources):
            os.makedirs(os.path.join(new, package, folder), mode=folder_mode)
        for name, text in with_packages(sources).items():
            write_source(os.path.join(new, package, name), os.path.join(target, package, name), text, file_mode)
        try:
            os.rename(new, target)
        except OSError:
            if not os.path.isdir(target):  # another agent has just installed the same files
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def folders_of(sources: Iterable[str]) -> List[str]:
    """The folders of a package, its own as "", each after the one that it is in."""
    found = {""}
    for name in sources:
        parts = name.split("/")[:-1]
        found |= {"/".join(parts[: count + 1]) for count in range(len(parts))}
    return sorted(found)


def with_packages(sources: Mapping[str, str]) -> Dict[str, str]:
    """The files of a package, with those that make packages of its folders."""
    return {**{os.path.join(folder, "__init__.py"): "" for folder in folders_of(sources)}, **sources}


def write_source(path: str, final: str, text: str, mode: int) -> None:
    """Write a file of Python, and what it compiles to.

    :param final: where it will be when it is run, as tracebacks name it.
    """
    import py_compile

    files.write_file(path, text.encode("utf-8"), mode)
    # the compiled file must not depend on times of the source
    py_compile.compile(path, dfile=final, doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def _sweep(folder: str, current: str) -> None:
    """Remove older agents, but the one that this one replaces: a process that still runs it imports files late."""
    import shutil

    ages = {}
    for name in os.listdir(folder):
        try:
            ages[name] = os.stat(os.path.join(folder, name)).st_mtime
        except OSError:
            continue
    ages.pop(current, None)
    for name in sorted(ages, key=lambda name: ages[name])[:-1]:
        if time.time() - ages[name] > _KEEP_OLD_SECONDS:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
