# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the monitor's API may listen: loopback addresses, on a port that nothing of the site uses. Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ..compile.errors import Problems
from .site import Site

WIDER = "roles, tokens and TLS are a step of their own, and until then only this machine is let in"
_LOOPBACK = re.compile(r"127(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}\Z")


def is_loopback(address: str) -> bool:
    """Whether an address, as written, is one that only this machine reaches; names are not looked up."""
    return bool(_LOOPBACK.match(address)) or address == "::1"


def check(site: Site, problems: Problems) -> None:
    """Add what is wrong about ``muster_settings.api_address`` and ``api_port``."""
    settings = site.settings
    if not is_loopback(settings.api_address):
        problems.add(
            ("muster_settings", "api_address"),
            "the API listens on loopback addresses only: %s" % WIDER,
            settings.api_address,
            "(allowed: 127.0.0.0/8, ::1)",
        )
    if not settings.api or not settings.api_port:
        return
    reached = [host for host in site.hosts if is_loopback(host.address) or host.address == settings.api_address]
    names = {host.name for host in reached}
    taken = ""
    for service in site.services:
        if names.intersection(service.hosts) and settings.api_port in service.ports.values():
            taken = "a port of host service %s" % service.name
    for application in site.applications:
        if application.ports and names.intersection(application.identifiers):
            for item in site.items:
                if settings.api_port in application.ports.of(item.slot).values():
                    taken = "a port of %s for item %s" % (application.name, item.id)
    if taken:
        problems.add(
            ("muster_settings", "api_port"),
            "%d is %s too, and the API listens at the addresses of hosts on this machine" % (settings.api_port, taken),
            settings.api_port,
            "choose another port",
        )


def api_settings(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{"api", "api_address", "api_port"}`` of a published site's document, with defaults for an older one."""
    settings = document.get("settings") or {}
    return {
        "api": bool(settings.get("api", True)),
        "api_address": str(settings.get("api_address", "127.0.0.1")),
        "api_port": int(settings.get("api_port", 0)),
    }
