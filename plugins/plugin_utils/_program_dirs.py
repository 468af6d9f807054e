# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``program_dir``: where the role `programs` installs each program in the version that the inventory names.

Commands and templates use it, so that a new version is a new configuration, which rolls out as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError

NAME = "program_dir"
SOURCES, FOLDER, DEFAULT = "programs_sources", "programs_dir", "/opt/muster_programs"  # variables of the role


def with_program_dir(
    variables: Mapping[str, Any], task_vars: Mapping[str, Any], plain: Callable[[Any], Any]
) -> Mapping[str, Any]:
    """The variables of the site, and ``program_dir`` where its hosts have programs and there is no such variable.

    :param plain: makes ordinary values of Ansible's.
    :raises AnsibleError: when hosts name different versions of one program, since commands are the same on all hosts.
    """
    if NAME in variables:
        return variables
    hostvars = task_vars["hostvars"]
    found: dict[str, tuple[str, str]] = {}  # program -> its folder, and a host with it
    seen = set()
    for host in task_vars["groups"].get("muster_hosts", []):
        written = hostvars.raw_get(host)
        known = repr((written.get(SOURCES), written.get(FOLDER)))
        if SOURCES not in written or known in seen:
            continue
        seen.add(known)
        folder = str(hostvars[host].get(FOLDER, DEFAULT)).rstrip("/")
        here = {}  # of several versions of a program, the last one
        for entry in plain(hostvars[host][SOURCES]) or []:
            if isinstance(entry, dict) and entry.get("name") and entry.get("version"):
                here[str(entry["name"])] = "%s/%s/%s" % (folder, entry["name"], entry["version"])
        for name, path in here.items():
            other, there = found.setdefault(name, (path, host))
            if other != path:
                raise AnsibleError(
                    "program_dir.%s would be %s on %s and %s on %s, and a command is the same on all hosts: name one"
                    " version for all of them" % (name, other, there, path, host)
                )
    return {**variables, NAME: {name: path for name, (path, _host) in found.items()}} if found else variables
