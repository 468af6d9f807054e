# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host gets to know about leases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.control_room.muster.plugins.module_utils._core.host.lease import messages
from ansible_collections.control_room.muster.plugins.module_utils._core.model.site import OTHER, reach_of
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled


def of_host(host: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The content of its ``etc/lease.json``; None where none is needed.

    :param host: its facts.
    :param document: of the site.
    """
    known = _compiled.kept("lease")
    if not known:
        return None
    masters = [bytes.fromhex(key) for key in known["keys"]]
    chosen = {name: [address, port] for name, address, port in known["sets"][-1]}
    asked = any(host["host"] == name for witnesses in known["sets"] for name, _address, _port in witnesses)
    keys = [[messages.key_name(key).hex(), messages.derive(key, host["host"]).hex()] for key in masters]
    return {
        "site_id": host["site_id"],
        "host": host["host"],
        "address": host["address"],
        "port": known["port"],
        "keys": keys,
        "masters": known["keys"] if asked else [],
        "witnesses": chosen,
        "length": known["length"],
        "margin": known["margin"],
        "error": known["error"],
        "alone": known.get("alone", 0.0) if _has_line(document, host["host"]) else 0.0,
    }


def _has_line(document: Mapping[str, Any], name: str) -> bool:
    """Whether the monitor holds a line to a host: else the host would take itself for alone all the time."""
    known: dict[str, Any] = next((host for host in document["hosts"] if host["name"] == name), {})
    return reach_of(str(known.get("connection") or ""), known.get("ssh") or {}) != OTHER
