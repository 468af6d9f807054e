# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a site about leases, and what must hold between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Mapping, Tuple

from ..model import site
from ..model.witnesses import by_default, is_address, witnesses
from .errors import Problems, show
from .table import Field

EXCLUSIONS = ("none", "witnesses")

SETTINGS: Tuple[Field, ...] = (
    Field("exclusion", "choice", "Whether a host needs a lease to run instances. `witnesses`: it does, so that a cut"
          " never shows two copies ([exclusion](exclusion.md)); it takes three nodes. `none`: it does not.",
          default=site.Settings.exclusion, choices=EXCLUSIONS, default_doc="`witnesses` where three nodes with servers,"
          " controllers or hosts of `muster_witnesses` can witness, and each `muster_address` is an IP address; else"
          " `none`"),
    Field("lease", "number", "How long the answer of a witness to a host counts. A host that is cut off has ended its"
          " instances after that, and what it held starts elsewhere.", default=site.Settings.lease, minimum=0.5,
          maximum=60, unit="s"),
    Field("lease_margin", "number", "How long before the end of its lease a host begins to stop its instances in order;"
          " at the end the kernel kills them.", default=site.Settings.lease_margin, minimum=0.1, unit="s"),
    Field("clock_error", "number", "By which fraction the rate of a machine's clock may be wrong.",
          default=site.Settings.clock_error, minimum=0, maximum=0.1),
    Field("lease_port", "integer", "The UDP port at the address of each host for leases.",
          default=site.Settings.lease_port, minimum=1, maximum=65535),
    Field("power_fence", "arguments", "A command, as a list of arguments without a shell, the first one of which is an"
          " absolute path. The monitor runs it on the controller when a silent host is fenced, with a JSON document on"
          " standard input: {site, host, node, address, hosts}. It must end with 0 only when the machine is proven to"
          " be off: what it held then starts elsewhere at once ([exclusion](exclusion.md#power)).", default=(),
          default_doc="none"),
    Field("power_fence_timeout", "number", "How long that command may take until it is killed; then it is run again.",
          default=site.Settings.power_fence_timeout, minimum=0.1, maximum=3600, unit="s"),
)
APPLICATION: Tuple[Field, ...] = (
    Field("lease_lost", "choice", "How its programs end when their host loses its lease: `stop` asks them to end, then"
          " kills them; `kill` kills them at once.", default=site.Application.lease_lost, choices=("stop", "kill")),
)


def with_default(whole: site.Site, written: Mapping[str, object]) -> site.Site:
    """The site with what holds when nobody wrote whether it has leases.

    :param written: of ``muster_settings``.
    """
    if "exclusion" in written or not by_default(whole):
        return whole
    return replace(whole, settings=replace(whole.settings, exclusion="witnesses"))


def check(whole: site.Site, problems: Problems) -> None:
    """Add what is wrong between the numbers of a lease, and with its witnesses."""
    settings = whole.settings
    if settings.lease_margin > settings.lease / 2:
        problems.add(("muster_settings", "lease_margin"), "lease_margin (%g s) must be at most half of lease (%g s)"
                     % (settings.lease_margin, settings.lease), settings.lease_margin,
                     "or a host stops its instances when two answers are late")
    if settings.power_fence:
        _check_power(settings, problems)
    if settings.exclusion == "witnesses":
        _check_hosts(whole.hosts, problems)
        chosen = witnesses(whole)
        if not chosen.names:
            problems.add(("muster_settings", "exclusion"), "nobody can witness: %s" % chosen.why, settings.exclusion,
                         "write exclusion: none, or give hosts on one machine each its own muster_node only if they"
                         " fail apart")


def _check_power(settings: site.Settings, problems: Problems) -> None:
    place, program = ("muster_settings", "power_fence"), settings.power_fence[0]
    if not program.startswith("/"):
        problems.add(place, "the program %s is not an absolute path" % show(program), list(settings.power_fence))
    if settings.exclusion != "witnesses":
        problems.add(place, "it is run only with muster_settings.exclusion: witnesses, and that is %s"
                     % settings.exclusion, list(settings.power_fence), "write exclusion: witnesses, or leave it out")


def _check_hosts(hosts: Iterable[site.Host], problems: Problems) -> None:
    for host in hosts:
        if not is_address(host.address):
            problems.add(("hosts", host.name, "muster_address"), "%s is no IP address: a host with"
                         " muster_settings.exclusion: witnesses needs one, as its guard never waits for a name server"
                         % show(host.address), host.address, "write muster_address")
