# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must fit together across a site: ports, names, folders, loads."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Set, Tuple

from ..model.api import WIDER, is_loopback
from ..model.item import MEMORY
from ..model.probe import NEEDS_PORT, Probe, leaves
from ..model.sentences import listing
from ..model.site import HERE, Application, Host, Service, Site, instance_name
from . import keys_lease
from .errors import Keys, Problems, show, suggest
from .keys import LOWEST_EPHEMERAL_PORT

# supervisord binds its socket under a name with its process id added, then links it: ".4194304" must fit too.
LONGEST_SOCKET_PATH = 107 - len(".4194304")
SOCKET = "/run/supervisor.sock"
NO_INPUT = ("paramiko", "paramiko_ssh")  # connections that cannot write to the input of what they run
_JOURNAL = {"stderr": "together", "syslog": False}  # what a log is there
_IN_JOURNAL = {
    "size": ("which has one size for all programs", "leave size out; see SystemMaxUse= in journald.conf(5)"),
    "keep": ("which has no files per program", "leave keep out; see MaxRetentionSec= in journald.conf(5)"),
    "stderr": ("where both streams come in one order", "leave stderr out, or write together"),
    "syslog": ("which passes on all or nothing", "leave syslog out; see ForwardToSyslog= in journald.conf(5)"),
}
_KEYS = ("limits", "sandbox")
_Listeners = Dict[int, Tuple[str, str]]  # port -> name of the port, item id


def check(site: Site, problems: Problems) -> None:
    """Add what is wrong between parts that are each right."""
    _check_roots(site.hosts, problems)
    _check_loads(site, problems)
    _check_resources(site, problems)
    _check_instance_names(site, problems)
    _check_highest_ports(site, problems)
    _check_port_clashes(site, problems)
    _check_process_probes(site, problems)
    _check_connections(site, problems)
    _check_api(site, problems)
    _check_confinement(site, problems)
    keys_lease.check(site, problems)


def _check_process_probes(site: Site, problems: Problems) -> None:
    """Refuse process probes of hosts on other machines: the monitor looks at processes of its own machine only."""
    asked: List[Tuple[Keys, str, Tuple[str, ...], Probe]] = [
        (("muster_applications", a.name, "bus", "probe"), a.name, a.identifiers, a.bus.probe)
        for a in site.applications if a.bus is not None
    ]
    asked += [(("muster_applications", a.name, "bus", "link"), a.name, a.identifiers, a.bus.link)
              for a in site.applications if a.bus is not None and a.bus.link is not None]
    asked += [(("muster_services", s.name, "probe"), s.name, s.hosts, s.probe)
              for s in site.services if s.probe is not None]
    for keys, name, hosts, probe in asked:
        far = [host for host in hosts if _is_far(site.host(host))]
        if far and any(part.type == "process" for part in leaves(probe)):
            problems.add(keys, "a process probe sees the processes of the controller's own machine only, and %s may run"
                         " on %s" % (name, listing(far)), "process",
                         "ask over the network, by %s; a host on the controller's machine needs"
                         " ansible_connection: local" % ", ".join(NEEDS_PORT))


def _check_connections(site: Site, problems: Problems) -> None:
    """An agent reads what it has to do from its standard input."""
    for host in site.hosts:
        if host.connection.rpartition(".")[2] in NO_INPUT:
            problems.add(("hosts", host.name), "host %s is reached by %s, which cannot hand over what the agent has to"
                         " do" % (host.name, host.connection), host.connection, "say ansible_connection: ssh")


def _is_far(host: Host) -> bool:
    return host.reach != HERE and bool(host.ssh or host.connection)  # of a host that names neither nothing is known


def _check_roots(hosts: Iterable[Host], problems: Problems) -> None:
    owners: Dict[Tuple[str, str], Host] = {}
    for host in hosts:
        if not host.root:
            continue
        keys = ("hosts", host.name, "muster_root")
        length = len(host.root + SOCKET)
        if length > LONGEST_SOCKET_PATH and host.service_manager == "supervisor":
            problems.add(keys, "the socket %s%s would have %d characters, the system allows %d (with supervisord's"
                         " process id)" % (host.root, SOCKET, length, LONGEST_SOCKET_PATH), host.root,
                         "choose a folder with a path of at most %d characters" % (LONGEST_SOCKET_PATH - len(SOCKET)))
        for machine in ("node " + host.node, "address " + host.address):
            other = owners.setdefault((machine, host.root), host)
            if other is not host:
                problems.add(keys, "hosts %s and %s are on one machine (%s) and have the same folder %s"
                             % (other.name, host.name, machine, host.root), host.root, "give each a folder of its own")
                break


def _check_loads(site: Site, problems: Problems) -> None:
    for application in site.applications:
        limits = [site.host(name).load_limit for name in application.identifiers]
        if limits and application.loading > max(limits):
            problems.add(
                ("muster_applications", application.name),
                "one instance of %s reserves %d %% of a host (the sum of expected_loading), but none of its hosts"
                " allows more than %d %% (muster_load_limit)" % (application.name, application.loading, max(limits)),
                application.loading,
                ", ".join("%s: %d" % (p.name, p.expected_loading) for p in application.programs if p.expected_loading))


def _check_resources(site: Site, problems: Problems) -> None:
    """Each resource is of hosts or of the site, and somewhere there is enough of it for one instance."""
    on_nodes: Dict[str, Dict[str, int]] = {}  # name -> node -> amount
    for host in site.hosts:
        for name, amount in host.resources.items():
            of_node = on_nodes.setdefault(name, {})
            if of_node.setdefault(host.node, amount) != amount:
                problems.add(("hosts", host.name, "muster_resources", name), "hosts of one node (%s) have it together,"
                             " but say %d and %d" % (host.node, of_node[host.node], amount), amount)
    for name in sorted(on_nodes.keys() & site.resources.keys()):
        problems.add(("muster_site_resources", name), "%s is a resource of hosts, too (muster_resources)" % name, name)
    known = {*on_nodes, *site.resources}
    for application in site.applications:
        keys: Keys = ("muster_applications", application.name)
        nodes = {site.host(name).node for name in application.identifiers}
        for name, amount in application.takes.items():
            if name == MEMORY:
                continue
            if name not in known:
                hint = suggest(name, sorted(known)) or "give hosts muster_resources, or the site muster_site_resources"
                problems.add(keys, "%s needs %d of %s, which neither its hosts nor the site have" % (
                    application.name, amount, name), name, hint)
                continue
            most = max([site.resources.get(name, 0), *(on_nodes.get(name, {}).get(node, 0) for node in nodes)])
            if amount > most:
                problems.add(keys, "one instance of %s needs %d of %s, and no host of it has more than %d" % (
                    application.name, amount, name, most), amount)


def _check_instance_names(site: Site, problems: Problems) -> None:
    for name in {service.name for service in site.services} & {a.name for a in site.applications}:
        problems.add(("muster_services", name), "%s is the name of an application too" % name, name)
    owners: Dict[str, Tuple[str, str, str]] = {
        instance_name(service.name, host): ("host service %s on %s", service.name, host)
        for service in site.services for host in service.hosts
    }
    seen: Set[Tuple[str, str]] = set()
    for application in site.applications:
        for item in site.owners(application):
            name = instance_name(application.name, item.id)
            owner = ("application %s for item %s", application.name, item.id)
            other = owners.setdefault(name, owner)
            if other is not owner and (other[1], application.name) not in seen:
                seen.add((other[1], application.name))
                problems.add(("muster_applications", application.name), "%s would have the same name as %s: %s"
                             % (owner[0] % owner[1:], other[0] % other[1:], name), name, "rename one of them")


def _check_highest_ports(site: Site, problems: Problems) -> None:
    for application in site.applications:
        if not application.ports or not site.owners(application):
            continue
        highest = max(site.owners(application), key=lambda item: item.slot)
        ports = application.ports.of(highest.slot)
        for name, port in ports.items():
            if port >= LOWEST_EPHEMERAL_PORT:
                problems.add(("muster_applications", application.name, "ports"),
                             "port %s of item %s (slot %d) would be %d, but from %d on the system hands ports out to"
                             " anybody" % (name, show(highest.id), highest.slot, port, LOWEST_EPHEMERAL_PORT), port,
                             "choose a lower base, a smaller stride or lower slots")
                break


def _check_port_clashes(site: Site, problems: Problems) -> None:
    """Each thing that may listen at one address needs ports of its own, however the items are placed."""
    at_address: Dict[str, List[Host]] = {}
    for host in site.hosts:
        at_address.setdefault(host.address, []).append(host)
    ports = {application.name: _ports_of(application, site) for application in site.applications}
    seen: Set[Tuple[str, str]] = set()
    for address, hosts in at_address.items():
        names = {host.name for host in hosts}
        applications = [a for a in site.applications if names.intersection(a.identifiers)]
        for position, application in enumerate(applications):
            twice = [host.name for host in hosts if host.name in application.identifiers]
            if application.per == "host" and ports[application.name] and len(twice) > 1:
                problems.add(("muster_applications", application.name, "ports"), "%s would listen twice at %s, for %s"
                             % (application.name, address, listing(twice)), address,
                             "give each host an address of its own")
            for other in applications[:position]:
                pair = (other.name, application.name)
                clash = min(ports[pair[0]].keys() & ports[pair[1]].keys(), default=None)
                if clash is not None and pair not in seen:
                    seen.add(pair)
                    problems.add(("muster_applications", application.name, "ports"),
                                 "port %d would be both %s and %s, which share %s" % (
                                     clash, _owner(ports, other, clash), _owner(ports, application, clash),
                                     _shared(names, other, application, address)), clash,
                                 "move one base away: %s" % "; ".join(_range(ports[a], a) for a in pair))
        _check_service_ports(site, hosts, applications, ports, seen, problems)


def _check_service_ports(
    site: Site, hosts: List[Host], applications: List[Application], ports: Mapping[str, _Listeners],
    seen: Set[Tuple[str, str]], problems: Problems,
) -> None:
    taken: Dict[int, Tuple[Service, str, Host]] = {}
    for service, host in [(s, h) for s in site.services for h in hosts if h.name in s.hosts]:
        for name, port in service.ports.items():
            other, other_name, other_host = taken.setdefault(port, (service, name, host))
            if other_host is not host and other is service and (service.name, host.name) not in seen:
                seen.add((service.name, host.name))
                problems.add(("hosts", host.name, "muster_address"),
                             "hosts %s and %s have the same address %s, and port %s (%d) of %s would listen there twice"
                             % (other_host.name, host.name, host.address, name, port, service.name), host.address,
                             "give each host an address of its own")
            elif other is not service and (other.name, service.name) not in seen:
                seen.add((other.name, service.name))
                problems.add(("muster_services", service.name, "ports", name), "port %d is also port %s of host service"
                             " %s, on %s" % (port, other_name, other.name, host.name), port)
            for application in applications:
                if port in ports[application.name] and (application.name, service.name) not in seen:
                    seen.add((application.name, service.name))
                    problems.add(("muster_services", service.name, "ports", name), "port %d would also be %s, on %s"
                                 % (port, _owner(ports, application, port), host.name), port,
                                 _range(ports[application.name], application.name))


def _ports_of(application: Application, site: Site) -> _Listeners:
    """Port -> (its name, the item's id) of what listens there, over all items."""
    if not application.ports:
        return {}
    of = application.ports.of
    return {port: (name, item.id) for item in site.owners(application) for name, port in of(item.slot).items()}


def _owner(ports: Mapping[str, _Listeners], application: Application, port: int) -> str:
    name, item = ports[application.name][port]
    return "port %s of %s" % (name, instance_name(application.name, item))


def _range(ports: _Listeners, name: str) -> str:
    return "%s uses %d to %d" % (name, min(ports), max(ports))


def _shared(names: Set[str], first: Application, second: Application, address: str) -> str:
    both = [name for name in first.identifiers if name in names and name in second.identifiers]
    return "host %s" % both[0] if both else "the address %s" % address


def _check_api(site: Site, problems: Problems) -> None:
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
            for item in site.owners(application):
                if settings.api_port in application.ports.of(item.slot).values():
                    taken = "a port of %s for item %s" % (application.name, item.id)
    if taken:
        problems.add(
            ("muster_settings", "api_port"),
            "%d is %s too, and the API listens at the addresses of hosts on this machine" % (settings.api_port, taken),
            settings.api_port,
            "choose another port",
        )


def _check_confinement(site: Site, problems: Problems) -> None:
    """Refuse limits and sandboxes where a host has no systemd, so that no site relies on one that is not enforced; and
    users where it has no `muster_user`, whose group may read its folder."""
    for application in site.applications:
        keys: Keys = ("muster_applications", application.name)
        hosts = application.identifiers
        _refuse(site, hosts, keys, application, ("limits",), problems)
        for program in application.programs:
            _refuse(site, hosts, keys + ("programs", program.name), program, _KEYS, problems)
            _need_user(site, hosts, keys + ("programs", program.name), program, problems)
            journal = [name for name in hosts if site.host(name).service_manager == "systemd"]
            for key, value in sorted(program.log.items()) if journal else ():
                if value != _JOURNAL.get(key):
                    problems.add(keys + ("programs", program.name, "log", key), "%s keeps its logs in the journal, %s"
                                 % (journal[0], _IN_JOURNAL[key][0]), value, _IN_JOURNAL[key][1])
    for service in site.services:
        _refuse(site, service.hosts, ("muster_services", service.name), service, _KEYS, problems)
        _need_user(site, service.hosts, ("muster_services", service.name), service, problems)
    for host in site.hosts:
        if host.display.get("user") and host.service_manager != "systemd":
            problems.add(("hosts", host.name, "muster_display"), "the programs of %s run as who deploys, because"
                         " supervisor runs them: user does not count" % host.name, host.display["user"],
                         "set muster_service_manager: systemd, or leave user out")


def _need_user(site: Site, hosts: Iterable[str], keys: Keys, thing: Any, problems: Problems) -> None:
    others = [site.host(name) for name in hosts if site.host(name).service_manager == "supervisor"]
    without = [host.name for host in others if host.user in ("", "root")]
    for name in ("user", "group"):
        if without and getattr(thing, name):
            problems.add(keys + (name,), "the programs of %s run as who deploys" % without[0], getattr(thing, name),
                         "set muster_user there, which needs root, or leave %s out" % name)


def _refuse(
    site: Site, hosts: Iterable[str], keys: Keys, thing: Any, names: Tuple[str, ...], problems: Problems
) -> None:
    without = [name for name in hosts if site.host(name).service_manager != "systemd"]
    for name in names:
        if without and getattr(thing, name):
            problems.add(keys + (name,), "%s cannot do that: supervisor runs its processes" % without[0],
                         getattr(thing, name), "set muster_service_manager: systemd there, or leave %s out" % name)
