# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only systemd can do is refused where a program may run without it: nobody is to rely on a fence that is none."""

from __future__ import annotations

from typing import Any, Iterable, Tuple

from ..model.site import Site
from .errors import Keys, Problems

_KEYS = ("user", "group", "limits", "sandbox")


def check(site: Site, problems: Problems) -> None:
    """Add an error per thing that has such keys and a host without systemd."""
    for application in site.applications:
        keys: Keys = ("muster_applications", application.name)
        hosts = application.identifiers
        _refuse(site, hosts, keys, application, ("limits",), problems)
        for program in application.programs:
            _refuse(site, hosts, keys + ("programs", program.name), program, _KEYS, problems)
    for service in site.services:
        _refuse(site, service.hosts, ("muster_services", service.name), service, _KEYS, problems)
    for host in site.hosts:
        if host.user and host.service_manager != "systemd":
            problems.add(("hosts", host.name, "muster_user"), "the programs of %s run as who deploys, because"
                         " supervisor runs them" % host.name, host.user,
                         "set muster_service_manager: systemd, or leave it out")
        if host.display.get("user") and host.service_manager != "systemd":
            problems.add(("hosts", host.name, "muster_display"), "the programs of %s run as who deploys, because"
                         " supervisor runs them: user does not count" % host.name, host.display["user"],
                         "set muster_service_manager: systemd, or leave user out")


def _refuse(
    site: Site, hosts: Iterable[str], keys: Keys, thing: Any, names: Tuple[str, ...], problems: Problems
) -> None:
    without = [name for name in hosts if site.host(name).service_manager != "systemd"]
    for name in names:
        if without and getattr(thing, name):
            problems.add(keys + (name,), "%s cannot do that: supervisor runs its processes" % without[0],
                         getattr(thing, name), "set muster_service_manager: systemd there, or leave %s out" % name)
