# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name means where logs are asked for: an instance, all of an item, a host service, or a host itself."""

from __future__ import annotations

import fnmatch
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..model.sentences import did_you_mean, listing
from ..model.site import Instance, Site, instance_name
from .names import PATTERN

OWN = ("muster", "supervisord")  # logs of a host itself
MONITOR = "monitor"


class LogSource(NamedTuple):
    """One log: where it is, of what, and how the agent there is asked for it."""

    host: str
    instance: str  # empty for what belongs to the host
    program: str
    entry: Mapping[str, Any]

    def to_json(self) -> Dict[str, str]:
        return {"host": self.host, "instance": self.instance, "program": self.program}


class NoLogs(ValueError):
    """Nothing of this site has such a log; the text is one sentence."""


def log_sources(site: Site, places: Mapping[str, Optional[str]], name: str, host: str = "") -> List[LogSource]:
    """
    :param places: instance -> the host that holds it; of one that none holds, each host that may have had it is asked.
    :param name: also ``INSTANCE/PROGRAM``, where the program may be a pattern.
    :param host: only there.
    :raises NoLogs:
    """
    subject, _unused, program = name.partition("/")
    found = _sources(site, places, subject)
    if not found:
        known = [*site.by_name(), *(item.id for item in site.rows), *(service.name for service in site.services),
                 *(one.name for one in site.hosts), MONITOR]  # fmt: skip
        near = did_you_mean(subject, known)
        raise NoLogs("there is no instance, item, host service or host %s in this site%s" % (subject, near))
    if program:
        chosen = [s for s in found if s.program == program or (_is_pattern(program) and fnmatch.fnmatch(
            s.program, program))]
        if not chosen:
            programs = list(dict.fromkeys(source.program for source in found))
            raise NoLogs("%s has no program %s%s (it has %s)" % (
                subject, program, did_you_mean(program, programs), listing(programs, most=12)))
        found = chosen
    if host:
        here = [source for source in found if source.host == host]
        if not here:
            hosts = list(dict.fromkeys(source.host for source in found))
            raise NoLogs("%s has no log on %s: it is asked for on %s" % (name, host, listing(hosts)))
        found = here
    return found


def by_host(sources: List[LogSource]) -> Dict[str, List[Tuple[int, LogSource]]]:
    """host -> its sources with their positions."""
    found: Dict[str, List[Tuple[int, LogSource]]] = {}
    for position, source in enumerate(sources):
        found.setdefault(source.host, []).append((position, source))
    return found


def host_facts(site: Site, host: str, site_id: str = "") -> Dict[str, Any]:
    """What a request for logs tells the agent of a host."""
    known = site.host(host)
    return {"host": host, "root": known.root, "service_manager": known.service_manager, "site": site.name,
            "site_id": site_id, "controller": site.controller}  # fmt: skip


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in PATTERN)


def _sources(site: Site, places: Mapping[str, Optional[str]], name: str) -> List[LogSource]:
    instances = site.by_name()
    if name in instances:
        return of_instance(instances[name], places)
    if name == MONITOR:
        return [LogSource(site.controller, "", MONITOR, {"own": MONITOR})]
    of_item = [instance for instance in instances.values() if instance.item.id == name]
    if of_item:
        return [source for instance in of_item for source in of_instance(instance, places)]
    for service in site.services:
        for host in service.hosts:
            if name in (service.name, instance_name(service.name, host)):
                hosts = service.hosts if name == service.name else (host,)
                return [_service(service.name, one) for one in hosts]
    if name in {host.name for host in site.hosts}:
        manager = site.host(name).service_manager
        own = [LogSource(name, "", word, {"own": word}) for word in OWN if manager != "systemd" or word == "muster"]
        return own + [_service(service.name, name) for service in site.services if name in service.hosts]
    return []


def of_instance(instance: Instance, places: Mapping[str, Optional[str]]) -> List[LogSource]:
    """Its programs; `places` as of `log_sources`."""
    host = places.get(instance.name)
    hosts = [host] if host else list(instance.application.identifiers)
    return [
        LogSource(one, instance.name, program.name, {
            "instance": instance.name, "program": program.name, "application": instance.application.name,
            "item": instance.item.id,
        })
        for one in hosts for program in instance.application.programs
    ]  # fmt: skip


def _service(name: str, host: str) -> LogSource:
    return LogSource(host, "", name, {"service": name})
