# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program files that a host gets below ``bin/``: muster's and the application's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

_COLLECTION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_ALWAYS = ("muster-exec", "muster-boot", "muster-supervisor/muster_listener.py",
           "muster-supervisor/muster_guard.py")


def program_files(folders: Iterable[str], task_vars: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """``{"bin/<name>": {"text", "mode"}}`` of every file below these folders (named after their last part).

    A relative folder is looked up beside the playbook, then in the collection's ``bin/``.
    """
    files = {}
    for name in _ALWAYS:
        files["bin/" + name] = _file(os.path.join(_COLLECTION, "bin", name))
    for folder in folders:
        path = _folder(folder, task_vars)
        for where, below, names in os.walk(path):
            below[:] = sorted(entry for entry in below if entry != "__pycache__")
            for name in sorted(names):
                full = os.path.join(where, name)
                files["bin/%s/%s" % (os.path.basename(path), os.path.relpath(full, path))] = _file(full)
    return files


def _folder(folder: str, task_vars: Mapping[str, Any]) -> str:
    tried = [os.path.join(str(task_vars.get("playbook_dir") or ""), folder), os.path.join(_COLLECTION, "bin", folder)]
    for path in tried:
        if os.path.isdir(path):
            return path.rstrip("/")
    raise AnsibleActionFail("no folder of programs %s; looked at %s" % (folder, ", ".join(tried)))


def _file(path: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as handle:
        text = handle.read()
    return {"text": text, "mode": "0750" if os.access(path, os.X_OK) else "0640"}
