# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the names in a request to instances: the one place that knows what a name stands for.

The command line and the API ask here so that a wrong name is an error before Ansible starts; the plan asks here again,
with the instances that its ledger knows.
"""

from __future__ import annotations

import fnmatch
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ..model.sentences import did_you_mean, listing
from ..model.site import Site, instance_name
from ..model.words import SITE, item_key

BY_HCI = ("open", "close")  # the kinds in which an item stands for its HCI
BY_SERVICES = ("start", "stop", "restart", "move")  # in which it stands for its services
BY_PROGRAM = ("start", "stop", "restart", "signal")  # in which INSTANCE/PROGRAM stands for one program
BY_ALL = ("reset",)  # in which it stands for all its instances; also where only what is pending is asked for
BY_ITEM = BY_HCI + BY_SERVICES + BY_ALL
PATTERN = "*?["
RANGE = ".."  # between two items: these and those between them, in site order


class Names(NamedTuple):
    """What a request may name, in site order. The keys of mappings are names."""

    instances: Mapping[str, Optional[str]] = {}
    items: Mapping[str, Optional[str]] = {}
    hosts: Mapping[str, Optional[str]] = {}
    applications: Mapping[str, bool] = {}  # application -> whether it is opened on request
    programs: Mapping[str, Tuple[str, ...]] = {}  # application -> its programs
    of: Mapping[str, str] = {}  # instance -> its application
    paused: Optional[Mapping[str, Optional[str]]] = None  # items that are paused, for a pause outlives its item; None:
    # nobody knows here, and the plan says whether there is such a pause

    @property
    def on_request(self) -> List[str]:
        return [name for name, opened in self.applications.items() if opened]


class Meaning(NamedTuple):
    """What one name stands for; `problem` is a sentence when it stands for nothing."""

    name: str
    instances: Tuple[str, ...] = ()
    problem: str = ""


def names_of(
    site: Site, held: Optional[Mapping[str, Optional[str]]] = None, pauses: Optional[Iterable[str]] = None
) -> Names:
    """The names of a site.

    :param held: instance -> host of further instances, whose item left the site and of which something may still run.
    :param pauses: keys of all pauses of the ledger; None where they are not known.
    """
    held = held or {}
    instances: Dict[str, Optional[str]] = dict.fromkeys(site.by_name())
    instances.update(dict.fromkeys(held))
    hosts: Dict[str, Optional[str]] = dict.fromkeys(host.name for host in site.hosts)
    hosts.update(dict.fromkeys(host for host in held.values() if host))
    applications = {application.name: application.on_request for application in site.applications}
    programs = {one.name: tuple(program.name for program in one.programs) for one in site.applications}
    of = {name: instance.application.name for name, instance in site.by_name().items()}
    paused = None if pauses is None else dict.fromkeys(key[len(item_key("")) :] for key in pauses if key != SITE)
    return Names(instances, dict.fromkeys(item.id for item in site.rows), hosts, applications, programs, of, paused)


def on_their_hosts(names: Names, instances: Iterable[str]) -> bool:
    """Whether each of these is the one of a host, where it runs or nowhere: so nobody has to say where."""
    found = [name[len(names.of[name]) + 1 :] in names.hosts if name in names.of else False for name in instances]
    return bool(found) and all(found)


def meanings(kind: str, written: List[str], names: Names, pending: bool = False) -> List[Meaning]:
    """What each name of a request of this kind stands for.

    A name is that of an instance, of an application (all its instances), a pattern of instance names, the id of an item
    (`BY_ITEM`), or two ids with `..` between them.

    :param pending: whether it is about what is pending only: an item then stands for its open windows, too.
    """
    return [meaning_of(kind, name, names, pending) for name in written]


def meaning_of(kind: str, name: str, names: Names, pending: bool = False) -> Meaning:
    """What one name stands for; see `meanings`."""
    if "/" in name and kind in BY_PROGRAM:
        return _program(kind, name, names)
    if name in names.instances:
        return Meaning(name, (name,))
    if name in names.applications:
        found = (instance_name(name, item) for item in names.items)
        return Meaning(name, tuple(instance for instance in found if instance in names.instances))
    if kind in BY_ITEM:
        items = _items(name, names)
        of_items = [_item(kind, item, names, pending) for item in items]
        problems = [meaning.problem for meaning in of_items if meaning.problem]
        if items:
            return Meaning(name, tuple(i for one in of_items for i in one.instances), "; ".join(problems))
    if any(sign in name for sign in PATTERN):
        fitting = tuple(fnmatch.filter(names.instances, name))
        return Meaning(name, fitting, "" if fitting else "no instance of the site fits the pattern %s" % name)
    known = [*names.instances, *sorted(names.applications)]
    if kind in BY_ITEM:
        near = did_you_mean(name, [*known, *names.items])
        return Meaning(name, (), "there is no instance or item %s in this site%s" % (name, near))
    if name in names.items and kind in BY_PROGRAM:
        return Meaning(name, (), "say which program of item %s: %s/PROGRAM" % (name, name))
    return Meaning(name, (), "there is no instance %s in this site%s" % (name, did_you_mean(name, known)))


def _program(kind: str, name: str, names: Names) -> Meaning:
    """Programs of an instance, or of the instances of an item that have one of that name; also by a pattern."""
    subject, _unused, wanted = name.partition("/")
    whole = meaning_of(kind if subject in names.instances else "reset", subject, names)
    if whole.problem:
        return Meaning(name, (), whole.problem)
    known = {one: names.programs.get(names.of.get(one, ""), ()) for one in whole.instances}
    found = tuple("%s/%s" % (one, program) for one, programs in known.items()
                  for program in fnmatch.filter(programs, wanted))  # fmt: skip
    if found:
        return Meaning(name, found)
    programs = list(dict.fromkeys(program for of_one in known.values() for program in of_one))
    return Meaning(name, (), "%s has no program %s%s (it has %s)" % (
        subject, wanted, did_you_mean(wanted, programs), listing(programs, most=12)))


def _items(name: str, names: Names) -> List[str]:
    """The items that a name stands for: one, those of a range, or one that left the site while something of it runs."""
    if name in names.items:
        return [name]
    first, between, last = name.partition(RANGE)
    if between and first in names.items and last in names.items:
        known = list(names.items)
        start, end = sorted((known.index(first), known.index(last)))
        return known[start : end + 1]
    left = any(instance_name(application, name) in names.instances for application in names.applications)
    return [name] if left else []


def _item(kind: str, item: str, names: Names, pending: bool) -> Meaning:
    if kind in BY_HCI:
        return _hci(item, names)
    wanted = [a for a, opened in names.applications.items() if kind in BY_ALL or pending or not opened]
    found = tuple(instance_name(application, item) for application in wanted)
    there = tuple(name for name in found if name in names.instances)
    return Meaning(item, there, "" if there else "item %s has no service to %s" % (item, kind))


def _hci(item: str, names: Names) -> Meaning:
    """The HCI of an item is the instance of the only application that is opened on request."""
    found = [name for name in names.on_request if instance_name(name, item) in names.instances]
    if len(found) == 1:
        return Meaning(item, (instance_name(found[0], item),))
    which = "has no HCI: no application of this site is opened on request for it"
    if found:
        which = "has several HCIs: name one of %s" % listing([instance_name(name, item) for name in found])
    return Meaning(item, (), "item %s %s" % (item, which))
