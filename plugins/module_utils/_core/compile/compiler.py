# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of an inventory to a validated `Site`.

It must not know Ansible, files or hosts: it gets plain data and gives frozen data, or every error at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from ..model.alarm import PRIORITIES
from ..model.parts import ALARM_EVENTS, ALARMS, NOTIFY
from ..model.sequence import natural, ordered
from ..model.site import Application, Hook, Host, Service, Settings, Site
from ..model.words import VERDICTS
from . import changes, checks, odd_data
from . import keys as compile_keys
from .alarms import read_alarms
from .applications import ApplicationReader, Known
from .controllers import read_controllers, read_ledger
from .errors import Keys, Problems, SiteError, SiteErrors, show, suggest
from .item import checks as item_checks
from .item import names, who
from .item.items import ItemReader
from .item.terms import with_terms
from .keys_lease import with_default
from .probes import Place, read_probe
from .reader import Reader, Values
from .rollout import check_own, read_rollout
from .values import is_host_name, is_port_name

__all__ = ["SiteError", "SiteErrors", "compile_site"]

_DEFAULT_USER = "muster-programs"  # not that of the monitor, which may become root through the agent
_ALL_VERDICTS = "all"


def compile_site(raw: Mapping[str, Any]) -> Site:
    """Validate everything and build the site.

    :param raw: the ``muster_*`` variables by name, rendered but for commands and environments, and ``inventory``:
        ``{"hosts": {name: {"groups": [...], "muster_root": ..., ...}}, "groups": {name: [hosts]},
        "controllers": [...], "muster_hosts": [names]}``, and ``templates``: texts that are rendered for items.
    :raises SiteErrors: with all errors.
    """
    return _Compiler(raw).site()


class _Compiler:
    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.problems = Problems()
        self.reader = Reader(self.problems)
        for name in raw:
            odd_data.refuse(raw[name], (str(name),), self.problems)
        self.problems.finish()  # nothing can be done with such data
        raw = ordered(raw)  # nothing that is made of the site may depend on the order of keys
        self.inventory: Mapping[str, Any] = raw.get("inventory") or {}
        self.read = names.read_in(
            *(raw.get(name) for name in ("muster_applications", "muster_models", "muster_services", "templates"))
        )
        self.chosen: Dict[str, Any] = {}
        self.top = self._top({name: value for name, value in raw.items() if name not in ("inventory", "templates")})

    def site(self) -> Site:
        top = self.top
        ledger = read_ledger(self.reader, top.get("muster_ledger", {}))
        controller, controllers = read_controllers(self.reader, self.inventory, top.get("muster_ledger"))
        hosts = self._hosts()
        groups = self._groups({host.name for host in hosts})
        known = Known(hosts, groups)
        services = self._services(known)
        settings = self._settings()
        item_reader = ItemReader(self.reader, self.read)
        for position, problem in enumerate(top.get("muster_items_problems", ())):
            self.problems.add(("muster_items_problems", position), str(problem), None)
        items = item_reader.items(top.get("muster_items", ()))
        applications = self._applications(known, settings)
        applications = who.chosen(applications, items, self.chosen, item_reader.written, self.problems)
        who.check(applications, items, hosts, item_reader.written, self.problems)
        items = with_terms(items, item_reader.written, applications, known, self.reader)
        site = Site(
            name=top.get("muster_site", ""),
            controller=controller,
            controllers=controllers,
            ledger=ledger,
            state_dir=top.get("muster_state_dir", ""),
            hosts=_in_order(hosts, applications),
            groups=groups,
            applications=applications,
            services=services,
            items=items,
            items_source=top.get("muster_items_source", ""),
            resources=top.get("muster_site_resources", {}),
            settings=settings,
            rollout=read_rollout(self.reader, top.get("muster_rollout", {})),
            alarms=read_alarms(
                self.reader, top.get("muster_alarms", ()), [item.id for item in items], [host.name for host in hosts]
            ),
            hooks=_hooks(self.reader, top.get("muster_hooks", ())),
        )
        site = with_default(site, top.get("muster_settings", {}))
        check_own(self.reader, site)
        checks.check(site, self.problems)
        item_checks.check(site, item_reader.written, self.problems)
        self.problems.finish()
        return site

    def _top(self, variables: Dict[str, Any]) -> Values:
        own = set(compile_keys.SITE.names())
        known = compile_keys.SITE.names() + compile_keys.HOST.names()
        for name in list(variables):
            if name not in own and name not in compile_keys.SITE.foreign:
                self.problems.add((name,), "unknown variable", variables.pop(name), suggest(name, known))
        return self.reader.table(compile_keys.SITE, variables, (), "the site")

    def _hosts(self) -> Tuple[Host, ...]:
        names = sorted((str(name) for name in self.inventory.get("muster_hosts", [])), key=natural)
        if not names:
            self.problems.add(("groups", "muster_hosts"), "the inventory group muster_hosts is empty or missing", None,
                              "it holds every host that may run something: servers and consoles")
        hosts = []
        for order, name in enumerate(names):
            keys: Keys = ("hosts", name)
            if not is_host_name(name):
                self.problems.add(keys, "%s is not a usable host name" % show(name), name,
                                  "allowed: letters, digits, _ . -")
                continue
            written = dict(self.inventory.get("hosts", {}).get(name, {}))
            groups = tuple(sorted(str(group) for group in written.pop("groups", ())))
            connection, ssh = str(written.pop("connection", "")), dict(written.pop("ssh", {}))
            values = self.reader.table(compile_keys.HOST, written, keys, "host %s" % name)
            if values.get("muster_service_manager") == "systemd":
                values.setdefault("muster_user", _DEFAULT_USER)
            hosts.append(Host(name=name, order=order, groups=groups, node=values.pop("muster_node", name),
                              address=values.pop("muster_address", name), root=values.pop("muster_root", ""),
                              connection=connection, ssh=ssh,
                              **{key[len("muster_"):]: value for key, value in values.items()}))
        return tuple(hosts)

    def _groups(self, hosts: Any) -> Dict[str, Tuple[str, ...]]:
        groups = {}
        for name, members in self.inventory.get("groups", {}).items():
            groups[str(name)] = tuple(sorted((str(m) for m in members if m in hosts), key=natural))
        return groups

    def _settings(self) -> Settings:
        keys: Keys = ("muster_settings",)
        values = self.reader.table(compile_keys.SETTINGS, self.top.get("muster_settings", {}), keys, "muster_settings")
        settings = Settings(**values)
        if settings.run_timeout <= settings.start_timeout and values.sound("run_timeout", "start_timeout"):
            self.problems.add(
                keys + ("run_timeout" if "run_timeout" in values else "start_timeout",),
                "run_timeout (%g s) must be longer than start_timeout (%g s)"
                % (settings.run_timeout, settings.start_timeout), settings.run_timeout,
                "or runs are taken over while they still start something")
        return settings

    def _services(self, known: Known) -> Tuple[Service, ...]:
        services = []
        reader = self.reader
        place: Keys = ("muster_services",)
        for name, entry in reader.names(self.top.get("muster_services", {}), place, "muster_services").items():
            keys = place + (name,)
            values = reader.table(compile_keys.SERVICE, entry, keys, "host service %s" % name)
            known.services[name] = "probe" in values or not values.sound("probe")
            ports = self._service_ports(values.get("ports", {}), keys + ("ports",))
            files = reader.files(values.get("files", {}), keys + ("files",))
            changes.check_service(files, keys + ("files",), self.problems)
            services.append(Service(
                name=name,
                hosts=known.resolve(values.get("hosts", ()), keys + ("hosts",), self.problems),
                command=values.get("command", ()),
                environment=values.get("environment", {}),
                ports=ports,
                files=files,
                probe=read_probe(reader, values, keys, Place(ports, (name,), values.sound("ports"), service=True)),
                label=values.get("label") or name,
                **{key: values[key] for key in ("user", "group", "limits", "sandbox") if key in values},
            ))
        return tuple(services)

    def _service_ports(self, written: Mapping[str, Any], keys: Keys) -> Dict[str, int]:
        ports: Dict[str, int] = {}
        field = compile_keys.Field("port", "integer", "", minimum=1, maximum=compile_keys.LOWEST_EPHEMERAL_PORT - 1)
        for name, entry in written.items():
            if not is_port_name(name):
                self.problems.add(keys + (name,), "%s is not a name of a port" % show(name), name,
                                  "allowed: small letters, digits and _, a letter first")
                continue
            good, port = self.reader.value(field, entry, keys + (name,))
            if not good:
                continue
            for other, taken in ports.items():
                if taken == port:
                    self.problems.add(keys + (name,), "%s and %s are both port %d" % (other, name, port), port)
            ports[str(name)] = port
        return ports

    def _applications(self, known: Known, settings: Settings) -> Tuple[Application, ...]:
        place: Keys = ("muster_applications",)
        written = self.reader.names(self.top.get("muster_applications", {}), place, "muster_applications")
        if not written and self.top.sound("muster_applications"):
            self.problems.add(place, "holds no application")
        known.applications = tuple(written)
        reader = ApplicationReader(self.reader, known, settings)
        reader.read_models(self.top.get("muster_models", {}))
        applications = [reader.application(name, entry, place + (name,)) for name, entry in written.items()]
        self.chosen = reader.items
        return tuple(sorted(applications, key=lambda a: (a.on_request, a.start_sequence)))  # names are in order


def _in_order(hosts: Iterable[Host], applications: Iterable[Application]) -> Tuple[Host, ...]:
    """Hosts in the order in which applications name them, those of a group by name. It decides where all else is equal,
    and it is the same wherever the inventory was read from."""
    named = list(dict.fromkeys(name for application in applications for name in application.identifiers))
    placed = sorted(hosts, key=lambda host: named.index(host.name) if host.name in named else len(named))
    return tuple(replace(host, order=order) for order, host in enumerate(placed))


def _hooks(reader: Reader, written: Any) -> Tuple[Hook, ...]:
    """The content of ``muster_hooks``; errors are added to the reader's problems."""
    hooks: List[Hook] = []
    for position, entry in enumerate(written):
        keys: Keys = ("muster_hooks", position)
        values = reader.table(compile_keys.HOOK, entry, keys, "this hook")
        program = values["command"][0] if "command" in values else "/"
        if not program.startswith("/") and program != NOTIFY:
            reader.problems.add(
                keys + ("command",),
                "the program %s is not an absolute path" % show(program),
                program,
                "write it in full, for example {{ inventory_dir }}/notify",
            )
            values.broken.add("command")
        _check_words(reader, values, keys)
        if "command" in values and values.sound("on", "command", "debounce", "timeout", "about", "priority"):
            hooks.append(Hook(**values))
    return tuple(hooks)


def _check_words(reader: Reader, values: Values, keys: Keys) -> None:
    alarms = values.get("about") == ALARMS
    known = (*(ALARM_EVENTS if alarms else VERDICTS), _ALL_VERDICTS)
    words = {"on": (known, "not an event of alarms" if alarms else "not a verdict"),
             "priority": (PRIORITIES if alarms else (), "no priority" if alarms else "only of hooks about alarms")}
    for name, (fits, what) in words.items():
        for word in values.get(name, ()):
            if word not in fits:
                values.broken.add(name)
                reader.problems.add(keys + (name,), "%s is %s" % (show(word), what), word, suggest(word, fits))
