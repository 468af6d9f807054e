# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Per-item configuration: every file of every instance, rendered once for all hosts.

What differs between hosts (folder, address) is written as a token and filled in by the host. One template is rendered
for all items in one call: the template stands inside a loop over the items, so that a thousand items cost one pass of
the template engine instead of a thousand (measured: 1.4 ms per call).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.control_room.muster.plugins.module_utils._core.host.machine import files as machine_files
from ansible_collections.control_room.muster.plugins.module_utils._core.model import change, confinement, sequence
from ansible_collections.control_room.muster.plugins.module_utils._core.model import site as site_model
from ansible_collections.control_room.muster.plugins.plugin_utils import _render_programs, _render_systemd

try:
    from ansible.template import trust_as_template as _trusted
except ImportError:  # before ansible-core 2.19 every text is one

    def _trusted(value: str) -> str:
        return value


TOKENS = {"root": "@@root@@", "address": "@@address@@", "host": "@@host@@", "site_id": "@@site_id@@"}
# Files for a service manager: pattern of a file's name -> template.
INSTANCE_TEMPLATE = {
    "supervisor": ("%s.ini", "supervisor_instance.ini.j2"),
    "systemd": ("%s.run", "systemd_instance.run.j2"),
}
SERVICE_TEMPLATES = {
    "supervisor": (("%s.ini", "supervisor_service.ini.j2"),),
    "systemd": (("%s.units", "systemd_service.units.j2"), ("%s.run", "systemd_service.run.j2")),
}
APPLICATION_TEMPLATE = ("%s.units", "systemd_application.units.j2")  # once per application, on systemd
# Variables of a template besides those of the inventory.
CONTEXT = (
    *TOKENS,
    "item",
    "instance",
    "application",
    "slot",
    "ports",
    "peer",
    "etc",
    "programs",
    "programs_line",
    "program",
    "service",
    "service_hosts",
    "service_ports",
    "addresses",
    "units",
    "slice",
    "slice_directives",
    "on_request",
    "user",
    "hci_user",
    "group",
)
_LINES = {"trim_blocks": True, "lstrip_blocks": True}


@dataclass
class Rendered:
    """Files by name below ``etc/available`` (``{"text", "mode"}``), per set of applications that a host may run."""

    # by (application or host service, service manager)
    by_application: dict[tuple[str, str], dict[str, dict[str, str]]] = field(default_factory=dict)
    services: dict[tuple[str, str], dict[str, dict[str, str]]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # instance -> digest of all of its files

    def files_for(self, site: site_model.Site, host: str) -> dict[str, dict[str, str]]:
        """The files of ``etc/available`` on this host."""
        files: dict[str, dict[str, str]] = {}
        manager = site.host(host).service_manager
        for application in site.applications:
            if host in application.identifiers:
                files.update(self.by_application[application.name, manager])
        return files

    def config_digests(self, site: site_model.Site) -> dict[str, str]:
        """Host -> the digest its configuration folder must report; computed once per kind of host."""
        known: dict[tuple[str, ...], str] = {}
        digests = {}
        for host in site.hosts:
            kind = (host.service_manager, *(a.name for a in site.applications if host.name in a.identifiers))
            if kind not in known:
                known[kind] = machine_files.config_digest(self.files_for(site, host.name))
            digests[host.name] = known[kind]
        return digests

    def service_files(self, site: site_model.Site, host: str) -> dict[str, dict[str, str]]:
        """The files of ``etc/services`` on this host."""
        files: dict[str, dict[str, str]] = {}
        for service in site.services:
            if host in service.hosts:
                files.update(self.services[service.name, site.host(host).service_manager])
        return files


class Renderer:
    """Renders a site with Ansible's template engine."""

    def __init__(
        self, site: site_model.Site, templar: Any, variables: Mapping[str, Any], find: Callable[[str], str]
    ) -> None:
        """:param find: template name -> its path; raises when there is none."""
        self._site = site
        self._templar = templar
        self._variables = variables
        self._find = find
        self._addresses = _addresses(site)

    def render(self) -> Rendered:
        """
        :raises ansible.errors.AnsibleError: naming the template and the first item it fails for.
        """
        rendered = Rendered()
        self._variables = ordered_variables(self._variables)
        for application in self._site.applications:
            for manager, files in self._application(application, rendered.digests).items():
                rendered.by_application[application.name, manager] = files
        for service in self._site.services:
            for manager in self._managers(service.hosts):
                rendered.services[service.name, manager] = self._service(service, manager)
        return rendered

    def sources(self) -> list[str]:
        """The text of everything that is rendered: templates, and the strings of commands."""
        texts = []
        for application in self._site.applications:
            units = [
                template
                for manager in self._managers(application.identifiers)
                for _unused, template, _once in self._units(application, manager)
            ]
            texts += [self._source(name)[0] for name in (*units, *(f.template for f in application.files))]
            for program in application.programs:
                texts += [*program.command, *program.environment.values()]
        for service in self._site.services:
            units = [t for manager in self._managers(service.hosts) for _unused, t in SERVICE_TEMPLATES[manager]]
            texts += [self._source(name)[0] for name in (*units, *(f.template for f in service.files))]
            texts += [*service.command, *service.environment.values()]
        return texts

    def _application(
        self, application: site_model.Application, digests: dict[str, str]
    ) -> dict[str, dict[str, dict[str, str]]]:
        """Per service manager of its hosts, the files of all of its instances."""
        contexts = [
            self._context(site_model.Instance(site_model.instance_name(application.name, item.id), application, item))
            for item in self._site.owners(application)
        ]
        leaves = self._strings(application.programs, contexts, "the commands of %s" % application.name)
        managers, becomes = self._managers(application.identifiers), self._becomes(application.identifiers)
        for context, strings in zip(contexts, leaves):
            try:
                context["programs"] = _render_programs.programs(
                    application, strings, context, managers, becomes
                )
            except ValueError as error:
                raise AnsibleError("%s: %s" % (context["instance"], error)) from error
            context["programs_line"] = ",".join("%s.%s" % (context["instance"], p.name) for p in application.programs)
        result: dict[str, dict[str, dict[str, str]]] = {manager: {} for manager in managers}
        parts: list[dict[str, list[str]]] = [{} for _unused in contexts]  # as `change.digest_of` takes them
        for manager, files in result.items():
            for pattern, template, once in self._units(application, manager):
                if once:
                    text = self._file(template, [self._once(application)])[0]
                    files[pattern % application.name] = {"text": text, "mode": "0640"}
                    for texts in parts:
                        texts.setdefault("", []).extend([pattern, text])
                else:
                    self._each(pattern, template, "0640", contexts, [files], parts, "")
        for entry in application.files:
            does = change.of_file(application, entry)
            self._each("%%s/%s" % entry.name, entry.template, entry.mode, contexts, list(result.values()), parts, does)
        for context, texts in zip(contexts, parts):
            digests[context["instance"]] = change.digest_of(application, texts)
        return result

    def _each(
        self, pattern: str, template: str, mode: str, contexts: list[dict[str, Any]],
        targets: list[dict[str, dict[str, str]]], parts: list[dict[str, list[str]]], does: str,
    ) -> None:  # fmt: skip
        for position, text in enumerate(self._file(template, contexts)):
            for files in targets:
                files[pattern % contexts[position]["instance"]] = {"text": text, "mode": mode}
            parts[position].setdefault(does, []).extend([pattern, mode, text])

    def _units(self, application: site_model.Application, manager: str) -> list[tuple[str, str, bool]]:
        """The files of an application for the service manager: (pattern of the name, template, once for all items?)."""
        pattern, template = INSTANCE_TEMPLATE[manager]
        if manager != "systemd":
            return [(pattern, application.template or template, False)]
        once, units = APPLICATION_TEMPLATE
        return [(once, application.template or units, True), (pattern, template, False)]

    def _once(self, application: site_model.Application) -> dict[str, Any]:
        """The variables of the template of an application's units."""
        return {
            "instance": application.name,
            "application": application.name,
            "units": application.name,
            "on_request": application.on_request,
            "programs": _render_systemd.unit_programs(application),
            "slice": _render_systemd.slice_name(application.name),
            "slice_directives": confinement.slice_directives(application.limits),
            **TOKENS,
            **_render_systemd.TOKENS,
        }

    def _service(self, service: site_model.Service, manager: str) -> dict[str, dict[str, str]]:
        program = site_model.Program(service.name, service.command, service.environment)
        context: dict[str, Any] = {
            "service": service.name,
            "instance": site_model.instance_name(service.name, TOKENS["host"]),
            "ports": dict(service.ports),
            "addresses": self._addresses,
            "service_hosts": list(service.hosts),
            "etc": "%s/etc/services/%s" % (TOKENS["root"], service.name),
            "item": {},
            **TOKENS,
            **_render_systemd.TOKENS,
        }
        strings = self._strings((program,), [context], "the command of %s" % service.name)[0]
        own = {
            "MUSTER_INSTANCE": context["instance"],
            "MUSTER_PROGRAM": service.name,
            "MUSTER_ETC": context["etc"],
            **_render_programs.port_environment(context["ports"]),
        }
        try:
            becomes = self._becomes(service.hosts)
            context["program"] = _render_programs.program_lines(program, strings[0], own, [manager], becomes)
        except ValueError as error:
            raise AnsibleError("%s: %s" % (service.name, error)) from error
        context["program"].user = service.user or _render_systemd.TOKENS["user"]
        context["program"].group = service.group
        context["program"].directives = confinement.directives(service.limits, service.sandbox)
        files = {}
        for pattern, template in SERVICE_TEMPLATES[manager]:
            files[pattern % service.name] = {"text": self._file(template, [context])[0], "mode": "0640"}
        for entry in service.files:
            text = self._file(entry.template, [context])[0]
            files["%s/%s" % (service.name, entry.name)] = {"text": text, "mode": entry.mode}
        return files

    def _context(self, instance: site_model.Instance) -> dict[str, Any]:
        item = instance.item
        peer: dict[str, Any] = {}
        other = self._site.peer_of(instance)
        if other is not None:
            peer = {
                "application": other.application.name,
                "instance": other.name,
                "ports": other.ports,
                "hosts": list(other.application.identifiers),
            }
        return {
            "item": {**item.variables, "id": item.id, "slot": item.slot},
            "instance": instance.name,
            "application": instance.application.name,
            "units": instance.application.name,
            "on_request": instance.application.on_request,
            "slot": item.slot,
            "ports": instance.ports,
            "peer": peer,
            "etc": "%s/etc/current/%s" % (TOKENS["root"], instance.name),
        }

    def _managers(self, hosts: Iterable[str]) -> list[str]:
        """The service managers of these hosts, each once."""
        return list(dict.fromkeys(self._site.host(name).service_manager for name in hosts))

    def _becomes(self, hosts: Iterable[str]) -> bool:
        """Whether a supervisord of any of these hosts runs programs as other users."""
        return any(host.user and host.service_manager == "supervisor" for host in map(self._site.host, hosts))

    def _strings(
        self, programs: Sequence[site_model.Program], contexts: list[dict[str, Any]], what: str
    ) -> list[list[list[str]]]:
        """Per context, per program: its rendered command arguments and environment values, in order.

        :raises AnsibleError: when what is written in one string (a block that ends in another) changes their number.
        """
        leaves = [[*p.command, *p.environment.values()] for p in programs]
        flat = [leaf for strings in leaves for leaf in strings]
        if not any("{{" in leaf or "{%" in leaf for leaf in flat):
            return [leaves for _unused in contexts]
        result = []
        separator = _separator()
        for position, text in enumerate(self._batch(separator.join(flat), contexts, what, {})):
            parts = text.split(separator)
            if len(parts) != len(flat):
                raise AnsibleError(
                    "%s, for %s: a block of the template language must end in the string in which it begins"
                    % (what, contexts[position]["instance"])
                )
            strings = iter(parts)
            result.append([[next(strings) for _unused in group] for group in leaves])
        return result

    def _file(self, template: str, contexts: list[dict[str, Any]]) -> list[str]:
        source, folder = self._source(template)
        return self._batch(source, contexts, template, {"searchpath": [folder]})

    def _source(self, template: str) -> tuple[str, str]:
        path = self._find(template)
        with open(path, encoding="utf-8") as handle:
            return handle.read(), os.path.dirname(path)

    def _batch(self, body: str, contexts: list[dict[str, Any]], what: str, options: dict[str, Any]) -> list[str]:
        if not contexts:
            return []
        try:
            texts = self._render(body, contexts, options)
        except AnsibleError:
            for context in contexts:  # once more one by one: the message must name the item
                try:
                    self._render(body, [context], options)
                except AnsibleError as error:
                    raise AnsibleError("%s, for %s: %s" % (what, context["instance"], error.message)) from error
            raise
        if len(texts) != len(contexts):
            raise AnsibleError("%s: the template repeats or leaves out the end of its own text" % what)
        return texts

    def _render(self, body: str, contexts: list[dict[str, Any]], options: dict[str, Any]) -> list[str]:
        names = sorted(contexts[0])
        assignments = "".join("{%% set %s = muster_context.%s %%}" % (name, name) for name in names)
        separator = _separator()
        source = "{%% for muster_context in muster_batch %%}%s%s%s{%% endfor %%}" % (assignments, body, separator)
        variables = {
            **self._variables,
            **TOKENS,
            "addresses": self._addresses,
            "service_ports": {service.name: dict(service.ports) for service in self._site.services},
            "muster_batch": _Batch(contexts),
        }
        engine = self._templar.copy_with_new_env(available_variables=variables, **options)
        text = engine.template(_trusted(source), escape_backslashes=False, overrides=_LINES)
        return str(text).split(separator)[:-1]


def ordered_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the inventory with all keys in one order: a template may go through a mapping."""
    return {name: sequence.ordered(value) if isinstance(value, (dict, list)) else value
            for name, value in variables.items()}  # fmt: skip


class _Batch:
    """The contexts as objects: the template engine wraps every dict and list it meets, at ten times the cost."""

    def __init__(self, contexts: Sequence[Mapping[str, Any]]) -> None:
        self._contexts = contexts

    def __iter__(self) -> Iterator[SimpleNamespace]:
        for context in self._contexts:
            yield SimpleNamespace(**context)


def _separator() -> str:
    """A text between rendered values that none of them can hold: it is chosen when all of them are written.

    It begins and ends with a character that does not count as white space: lstrip_blocks would remove that.
    """
    return "\x02%s\x02" % secrets.token_hex(16)


def _addresses(site: site_model.Site) -> dict[str, list[str]]:
    """Group or host name -> addresses, in site order."""
    by_host = {host.name: [host.address] for host in site.hosts}
    by_group = {name: [by_host[h][0] for h in members if h in by_host] for name, members in site.groups.items()}
    return {**by_group, **by_host}
