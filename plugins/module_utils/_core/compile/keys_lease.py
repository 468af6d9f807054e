# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a site about leases, and what must hold between them."""

from __future__ import annotations

import ipaddress
from typing import Iterable, Tuple

from ..model import site
from ..model.witnesses import witnesses
from .errors import Problems, show
from .table import Field

EXCLUSIONS = ("none", "witnesses")

SETTINGS: Tuple[Field, ...] = (
    Field("exclusion", "choice", "Whether a host needs a lease to run instances. `witnesses`: it does, so that a cut"
          " never shows two copies ([exclusion](exclusion.md)); it takes three nodes. `none`: it does not.",
          default=site.Settings.exclusion, choices=EXCLUSIONS),
    Field("lease", "number", "How long the answer of a witness to a host counts. A host that is cut off has ended its"
          " instances after that, and what it held starts elsewhere.", default=site.Settings.lease, minimum=0.5,
          maximum=60, unit="s"),
    Field("lease_margin", "number", "How long before the end of its lease a host begins to stop its instances in order;"
          " at the end the kernel kills them.", default=site.Settings.lease_margin, minimum=0.1, unit="s"),
    Field("clock_error", "number", "By which fraction the rate of a machine's clock may be wrong.",
          default=site.Settings.clock_error, minimum=0, maximum=0.1),
    Field("lease_port", "integer", "The UDP port at the address of each host for leases.",
          default=site.Settings.lease_port, minimum=1, maximum=65535),
)
APPLICATION: Tuple[Field, ...] = (
    Field("lease_lost", "choice", "How its programs end when their host loses its lease: `stop` asks them to end, then"
          " kills them; `kill` kills them at once.", default=site.Application.lease_lost, choices=("stop", "kill")),
)


def check(whole: site.Site, problems: Problems) -> None:
    """Add what is wrong between the numbers of a lease, and with its witnesses."""
    settings = whole.settings
    if settings.lease_margin > settings.lease / 2:
        problems.add(("muster_settings", "lease_margin"), "lease_margin (%g s) must be at most half of lease (%g s)"
                     % (settings.lease_margin, settings.lease), settings.lease_margin,
                     "or a host stops its instances when two answers are late")
    if settings.exclusion == "witnesses":
        _check_hosts(whole.hosts, problems)
        chosen = witnesses(whole)
        if not chosen.names:
            problems.add(("muster_settings", "exclusion"), "nobody can witness: %s" % chosen.why, settings.exclusion,
                         "write exclusion: none, or give hosts on one machine each its own muster_node only if they"
                         " fail apart")


def _check_hosts(hosts: Iterable[site.Host], problems: Problems) -> None:
    for host in hosts:
        if host.service_manager != "supervisor":
            problems.add(("hosts", host.name, "muster_service_manager"), "hosts with %s cannot hold leases yet, and"
                         " muster_settings.exclusion is witnesses" % host.service_manager, host.service_manager,
                         "write supervisor here, or exclusion: none")
        try:
            ipaddress.ip_address(host.address)
        except ValueError:
            problems.add(("hosts", host.name, "muster_address"), "%s is no IP address: a host with"
                         " muster_settings.exclusion: witnesses needs one, as its guard never waits for a name server"
                         % show(host.address), host.address, "write muster_address")
