# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must fit together between items, their applications and the hosts."""

from __future__ import annotations

from typing import Dict, List, Mapping, Set, Tuple

from ...model.item import MEMORY, NO_TERMS
from ...model.sentences import listing
from ...model.site import Instance, Site
from ..errors import Keys, Problems, show
from ..reader import Values

Written = Mapping[str, Tuple[Keys, Values]]


def check(site: Site, written: Written, problems: Problems) -> None:
    """Add what can never be: loads that no host allows, neighbours without a node for both, nothing to displace.

    :param written: item id -> where it is, and what it says for itself.
    """
    if problems.errors:
        return  # what was refused would be missed here
    _check_loads(site, written, problems)
    _check_together(site, written, problems)
    _check_displace(site, written, problems)


def _check_loads(site: Site, written: Written, problems: Problems) -> None:
    for instance in site.instances():
        application, own = instance.application, instance.item.terms or NO_TERMS
        limit = max((site.host(name).load_limit for name in application.identifiers), default=application.loading)
        if application.loading > limit and own != NO_TERMS:
            key = "expected_loading" if application.name in own.loading else "identifiers"
            problems.add(written[instance.item.id][0] + (key,), "%s reserves %d %% of a host, but none of its hosts"
                         " allows more than %d %% (muster_load_limit)" % (instance.name, application.loading, limit),
                         application.loading)


def _check_together(site: Site, written: Written, problems: Problems) -> None:
    for application, members in _bound(site):
        nodes: List[Set[str]] = [{site.host(h).node for h in i.application.identifiers} for i in members]
        items = [show(instance.item.id) for instance in members]
        common = set.intersection(*nodes)
        keys = next(written[i.item.id][0] for i in members if i.item.id in written) + ("together_with",)
        if not common:
            problems.add(keys, "items %s are together, but %s may run for them on no node in common"
                         % (listing(items), application), None, "change their identifiers, or together_with")
            continue
        load = sum(instance.application.loading for instance in members)
        limit = max(min(h.load_limit for h in site.hosts if h.node == node) for node in common)
        if load > limit:
            problems.add(keys, "items %s are together, but %s reserves %d %% for all of them, and no node allows more"
                         " than %d %% (muster_load_limit)" % (listing(items), application, load, limit), load)
        _check_shared(site, application, members, common, keys, problems)


def _bound(site: Site) -> List[Tuple[str, List[Instance]]]:
    """(application, its instances that must be on one node), also where only others bind them, in site order."""
    groups: Dict[Tuple[str, str], List[Instance]] = {}
    for instance in site.instances():
        terms = instance.item.terms
        for group in terms.together if terms and not instance.application.on_request else ():
            groups.setdefault((instance.application.name, group), []).append(instance)
    bound: Dict[str, Set[str]] = {}  # instance -> those that it is bound to, itself included: one set for all of them
    for members in groups.values():
        near = [bound.get(member.name, {member.name}) for member in members]
        whole = max(near, key=len)
        for name in [name for part in near if part is not whole for name in part]:
            whole.add(name)
            bound[name] = whole
        bound.update(dict.fromkeys((member.name for member in members), whole))
    found: Dict[str, List[Instance]] = {}  # by the name of the first of them
    first: Dict[str, str] = {}
    for instance in site.instances():
        whole = bound.get(instance.name, set())
        if instance.name not in first and len(whole) > 1:
            first.update(dict.fromkeys(whole, instance.name))
        if len(whole) > 1:
            found.setdefault(first[instance.name], []).append(instance)
    return [(members[0].application.name, members) for members in found.values()]


def _check_shared(
    site: Site, application: str, members: List[Instance], nodes: Set[str], keys: Keys, problems: Problems
) -> None:
    """There is enough of each resource for all of them: what the site has once, or on one of these nodes."""
    for name, amount in site.application(application).takes.items():
        if name == MEMORY:
            continue  # hosts show it, the site does not say it
        there = [host.resources.get(name, 0) for host in site.hosts if host.node in nodes]
        most = max([site.resources.get(name, 0), *there])
        if amount * len(members) > most:
            items = [show(instance.item.id) for instance in members]
            problems.add(keys, "items %s are together, but %s needs %d of %s for all of them, and there is no more than"
                         " %d" % (listing(items), application, amount * len(members), name, most), most)


def _check_displace(site: Site, written: Written, problems: Problems) -> None:
    lowest = min(((item.terms or NO_TERMS).priority for item in site.items), default=0)
    for item in site.items:
        if item.terms and item.terms.displace and item.terms.priority <= lowest:
            problems.add(written[item.id][0] + ("displace",), "item %s has the lowest priority of all: there is nothing"
                         " that it may displace" % show(item.id), True, "give it a priority above that of others")
