# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the agent on its host, byte-compiled, below ``lib/<hash>/``, so that the next call starts fast."""

from __future__ import annotations

import os
import time

from .machine import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

PACKAGE = "muster_host"
_KEEP_OLD_SECONDS = 3600.0  # an older agent may still be at work, and imports files late


def installed(root: str, bundle: Mapping[str, Any]) -> bool:
    """Whether this very agent is installed.

    :param bundle: with ``hash``.
    """
    return os.path.isdir(os.path.join(root, "lib", bundle["hash"]))


def install(root: str, bundle: Mapping[str, Any]) -> bool:
    """Install an agent, all files at once, and remove agents that are older than an hour. Idempotent.

    :param bundle: ``{"hash", "files": {path below the package: text}}``.
    :return: False when it was installed already.
    :raises OSError: when it cannot be written.
    """
    import py_compile
    import shutil

    target = os.path.join(root, "lib", bundle["hash"])
    if installed(root, bundle):
        return False
    new = "%s.%d.new" % (target, os.getpid())
    package = os.path.join(new, PACKAGE)
    try:
        packages = {os.path.dirname(name) for name in bundle["files"]} | {""}
        for folder in sorted(packages):
            os.makedirs(os.path.join(package, folder), mode=files.FOLDER_MODE)
        initial = {os.path.join(folder, "__init__.py"): "" for folder in packages}
        for name, text in {**initial, **bundle["files"]}.items():
            path = os.path.join(package, name)
            files.write_file(path, text.encode("utf-8"))
            # the compiled file must not depend on times of the source, and must name its final path in tracebacks
            py_compile.compile(path, dfile=os.path.join(target, PACKAGE, name), doraise=True,
                               invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        try:
            os.rename(new, target)
        except OSError:
            if not os.path.isdir(target):  # another agent has just installed the same files
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _sweep(os.path.join(root, "lib"), bundle["hash"])
    return True


def _sweep(folder: str, current: str) -> None:
    import shutil

    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        try:
            if name != current and time.time() - os.stat(path).st_mtime > _KEEP_OLD_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
