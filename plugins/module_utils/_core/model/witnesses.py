# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are the witnesses of a site: an odd number of them, on different nodes, with the reason."""

from __future__ import annotations

import ipaddress
from typing import Dict, Iterable, List, NamedTuple, Tuple

from .site import Host, Site

GROUP = "muster_witnesses"
FEWEST, MOST = 3, 5  # that are chosen; who writes a group may name more


class Witnesses(NamedTuple):
    """Those that were chosen; no names where there are too few."""

    names: Tuple[str, ...]
    why: str  # a sentence
    steady: bool = True  # none of them is there to be a console only, which may be switched off


def witnesses(site: Site) -> Witnesses:
    """The witnesses of a site: its group `GROUP`, else hosts on controllers, then servers, then consoles.

    Consoles may be switched off, so they only fill up to `FEWEST`.
    """
    written = site.groups.get(GROUP)
    if written is not None:
        named = _one_per_node(host for host in site.hosts if host.name in written)
        return _odd(named, "the group %s names them" % GROUP)
    serving = {name for application in site.applications if not application.on_request
               for name in application.identifiers}  # fmt: skip
    serving.update(name for service in site.services for name in service.hosts)
    steady = _one_per_node([h for h in site.hosts if h.name in (site.controller, *site.controllers)]
                           + [h for h in site.hosts if h.name in serving])  # fmt: skip
    everybody = _one_per_node([*steady, *site.hosts])
    count = min(len(steady), MOST)
    count -= 1 - count % 2
    if count < FEWEST:
        chosen = _odd(everybody[:FEWEST], "controllers first, then servers, then consoles, one on each node")
        return chosen._replace(steady=False)
    return Witnesses(tuple(host.name for host in steady[:count]), "controllers first, then servers, one on each node")


def by_default(site: Site) -> bool:
    """Whether a site has leases when nobody wrote whether it has.

    Not where a majority would depend on consoles: switched off in the evening, they would stop the services.
    """
    chosen = witnesses(site)
    return bool(chosen.names) and chosen.steady and all(is_address(host.address) for host in site.hosts)


def is_address(text: str) -> bool:
    """Whether it is an IP address: a guard never waits for a name server."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _odd(hosts: List[Host], why: str) -> Witnesses:
    count = len(hosts) - (1 - len(hosts) % 2)
    if count < FEWEST:
        found = "%d node%s" % (len(hosts), "" if len(hosts) == 1 else "s")
        return Witnesses((), "there are none: %s can witness, and it takes %d" % (found, FEWEST))
    left = "" if count == len(hosts) else "; %s is left out, as an odd number is needed" % hosts[-1].name
    return Witnesses(tuple(host.name for host in hosts[:count]), why + left)


def _one_per_node(hosts: Iterable[Host]) -> List[Host]:
    found: Dict[str, Host] = {}
    for host in hosts:
        found.setdefault(host.node, host)
    return list(found.values())
