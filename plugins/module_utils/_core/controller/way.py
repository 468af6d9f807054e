# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What run and monitor's line tell alike about a host: its facts in a request, and the way by which it is reached.
Where both go the same way, an act of the run may go over the line, and the line may observe for it."""

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


def host_facts(site: Mapping[str, Any], site_id: str, name: str) -> Dict[str, Any]:
    """The host's facts in every request to it (the content of its ``etc/host.json``).

    :param site: the compiled site's document.
    """
    host = next(h for h in site["hosts"] if h["name"] == name)
    return {
        "site_id": site_id,
        "site": site["name"],
        "controller": site["controller"],
        "host": name,
        "address": host["address"],
        "root": host["root"],
        "node": host["node"],
        "service_manager": host["service_manager"],
        "measure": host["measure"],
        "user": host.get("user") or "",
        "display": host.get("display") or {},
        **_runs_as(site, host),
    }


def _runs_as(site: Mapping[str, Any], host: Mapping[str, Any]) -> Dict[str, Any]:
    """Who programs of a host run as, where its supervisord becomes them: pairs (user, group)."""
    if host["service_manager"] != "supervisor" or not host.get("user"):
        return {}
    programs = [p for a in site["applications"] if host["name"] in a["identifiers"] for p in a["programs"]]
    programs += [service for service in site["services"] if host["name"] in service["hosts"]]
    return {"runs_as": sorted({(p.get("user") or "", p.get("group") or "") for p in programs})}
