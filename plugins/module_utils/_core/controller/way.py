# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way by which a host is reached, told by the run and by the monitor's line: where both tell the same, an act of
the run may go over the line."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ..model.site import BY_SSH, HERE, reach_of

ROOT = "root"


def way(connection: str, ssh: Mapping[str, Any]) -> Dict[str, str]:
    """Empty where there is no line.

    :param connection: the name of Ansible's connection plugin.
    :param ssh: ``host``, ``port``, ``user``, and ``become`` or ``door`` where the agent runs as root.
    """
    reach = reach_of(connection, ssh)
    if reach == HERE:
        return {"by": HERE}
    if reach != BY_SSH:
        return {}
    return {
        "by": BY_SSH,
        "host": str(ssh.get("host") or ""),
        "port": str(ssh.get("port") or ""),
        "user": str(ssh.get("user") or ""),
        "as": ROOT if ssh.get("become") or ssh.get("door") else "",
    }
