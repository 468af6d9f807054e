# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled site of this run: validated and rendered once, shared by all of its tasks.

It is kept in the run's own temporary folder (Ansible removes it at the end). So registered variables do not carry
hundreds of kilobytes, and the site is not validated again by every task.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.release import __version__

from ansible_collections.control_room.muster.plugins.module_utils._core.compile import (
    compiler,
)
from ansible_collections.control_room.muster.plugins.module_utils._core.compile import (
    errors as compile_errors,
)
from ansible_collections.control_room.muster.plugins.module_utils._core.host.machine import accounts as machine_accounts
from ansible_collections.control_room.muster.plugins.module_utils._core.host.machine import files as machine_files
from ansible_collections.control_room.muster.plugins.module_utils._core.host.service.supervisor import (
    orders as supervisor_orders,
)
from ansible_collections.control_room.muster.plugins.module_utils._core.host.service.systemd import (
    orders as systemd_orders,
)
from ansible_collections.control_room.muster.plugins.module_utils._core.model import confinement
from ansible_collections.control_room.muster.plugins.module_utils._core.model import site as site_model
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _inventory,
    _locate,
    _program_dirs,
    _render,
    _render_memory,
    _render_programs,
    _render_systemd,
)

_FOLDER = "muster"
COLLECTION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEMPLATE_FOLDERS = ("roles/host/templates", "roles/programs/templates")


@dataclass(frozen=True)
class Compiled:
    """A valid site and everything rendered from it."""

    document: dict[str, Any]  # the content of site.json
    digests: dict[str, str]  # instance -> digest of its configuration
    config_digests: dict[str, str]  # host -> digest of its configuration folder
    rendered: str  # the folder with all rendered files

    @property
    def site(self) -> site_model.Site:
        return site_model.site_from_json(self.document)


def compile_inventory(action: Any, task_vars: Mapping[str, Any]) -> Compiled:
    """Gather, validate and render; the result is kept for the rest of the run.

    :raises AnsibleActionFail: with every error of the site, each with its place.
    """
    errors: list[compile_errors.SiteError] = []
    site = None
    try:
        raw = _inventory.gather(action._templar, task_vars)
        site = compiler.compile_site(dict(raw, templates=_template_texts(raw, task_vars)))
        errors += _without_template(raw, task_vars)
    except compile_errors.SiteErrors as found:
        errors += found.errors
    errors += _inventory.environments(task_vars)
    locator = _locate.Locator(
        _inventory.sources(task_vars),
        str(task_vars.get("playbook_dir") or "") or None,
        controller=_inventory.controller_name(task_vars),
        given=_inventory.given(),
    )
    errors += locator.unreadable() + locator.repeated()
    refused = {error.keys for error in errors}
    errors += [error for error in locator.rewritten() if error.keys not in refused]
    if site is None or errors:
        lines = _locate.messages(errors, locator)
        raise AnsibleActionFail("the site is not valid, nothing was touched:\n%s" % "\n".join(lines))
    document = site_model.site_to_json(site)
    rendered = _rendered(action, site, document, task_vars)
    with open(os.path.join(rendered, "digests.json"), encoding="utf-8") as handle:
        known = json.load(handle)
    compiled = Compiled(document, known["digests"], known["config_digests"], rendered)
    _write("site", dataclasses.asdict(compiled))
    return compiled


def _rendered(action: Any, site: site_model.Site, document: dict[str, Any], task_vars: Mapping[str, Any]) -> str:
    """The folder that holds this site's rendered files; remembered from an earlier run where that is certain."""
    variables = _inventory.site_variables(task_vars)
    variables = _program_dirs.with_program_dir(variables, task_vars, _inventory.plain)
    renderer = _render.Renderer(site, action._templar, variables, lambda name: _find(name, task_vars))
    own = action._templar.copy_with_new_env(available_variables=variables)

    def resolve(name: str) -> Any:
        return _inventory.plain(own.template(variables[name]))

    modules = (_render, _render_memory, _render_programs, _render_systemd, confinement, supervisor_orders,
               systemd_orders, machine_files, machine_accounts, site_model)  # fmt: skip
    code = [module.__file__ for module in modules]
    inputs = {part: document[part] for part in ("hosts", "groups", "applications", "services", "items")}
    folders = [*map(_folder_of, _inventory.sources(task_vars)), str(task_vars.get("playbook_dir") or "")]
    name = None
    if not _render_memory.secret(variables, folders):
        name = _render_memory.key(renderer.sources(), _render.CONTEXT, resolve, [inputs, __version__], code)
    shared = C.DEFAULT_LOCAL_TMP.rpartition("/ansible-local-")[0] or C.DEFAULT_LOCAL_TMP
    memory = os.path.join(shared, "muster-rendered")
    found = _render_memory.recall(memory, name) if name else None
    if found:
        return found
    rendered = renderer.render()
    config_digests = rendered.config_digests(site)
    contents: dict[str, Any] = {"digests.json": {"digests": rendered.digests, "config_digests": config_digests}}
    for host in site.hosts:
        kind = "config-%s.json" % config_digests[host.name]
        if kind not in contents:  # the same files for every host of a kind
            contents[kind] = rendered.files_for(site, host.name)
        contents["services-%s.json" % host.name] = rendered.service_files(site, host.name)
    return _render_memory.remember(memory if name else _folder(), name or "rendered", contents)


def compiled_site(action: Any, task_vars: Mapping[str, Any]) -> Compiled:
    """This run's compiled site; compiled now if no task did before."""
    kept = _read("site")
    return Compiled(**kept) if kept else compile_inventory(action, task_vars)


def config_files(compiled: Compiled, host: str) -> dict[str, dict[str, str]]:
    """The files of a host's configuration folder, by name below ``etc/available``."""
    return _files(compiled, "config-" + compiled.config_digests[host])


def service_files(compiled: Compiled, host: str) -> dict[str, dict[str, str]]:
    """The files of a host's own services, by name below ``etc/services``."""
    return _files(compiled, "services-" + host)


def _files(compiled: Compiled, name: str) -> dict[str, dict[str, str]]:
    with open(os.path.join(compiled.rendered, name + ".json"), encoding="utf-8") as handle:
        files: dict[str, dict[str, str]] = json.load(handle)
    return files


def keep(name: str, value: Any) -> None:
    """Keep a value for the later tasks of this run."""
    _write("kept-" + name, value)


def kept(name: str) -> Any:
    """The value that an earlier task of this run kept; None if there is none."""
    return _read("kept-" + name)


def first(name: str) -> bool:
    """Whether no other task of this run has asked this before."""
    os.makedirs(_folder(), mode=0o700, exist_ok=True)
    try:
        os.close(os.open(os.path.join(_folder(), "first-" + name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


def forget() -> None:
    """Drop what was kept: the tasks that follow are those of another round."""
    for path in glob.glob(os.path.join(glob.escape(_folder()), "kept-*.json")):
        os.unlink(path)


def _folder() -> str:
    return os.path.join(C.DEFAULT_LOCAL_TMP, _FOLDER)


def _write(name: str, content: Any) -> None:
    os.makedirs(_folder(), mode=0o700, exist_ok=True)
    path = os.path.join(_folder(), name + ".json")
    own = "%s.%d" % (path, os.getpid())  # the hosts of a task write at the same time
    with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
        json.dump(content, handle, separators=(",", ":"))
    os.replace(own, path)


def _read(name: str) -> Any:
    try:
        with open(os.path.join(_folder(), name + ".json"), encoding="utf-8") as handle:
            return json.load(handle)
    except FileNotFoundError:
        return None


def _find(name: str, task_vars: Mapping[str, Any]) -> str:
    """A template's path: in or beside the inventory, beside the playbook, then the collection's own."""
    folders = []
    for folder in [*map(_folder_of, _inventory.sources(task_vars)), str(task_vars.get("playbook_dir") or "")]:
        folders += [os.path.join(folder, "templates"), folder]
        if folder:  # within the folder of an inventory, Ansible would read templates as sources of hosts
            folders.append(os.path.join(os.path.dirname(folder), "templates"))
    folders += [os.path.join(COLLECTION, below) for below in TEMPLATE_FOLDERS]
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise AnsibleActionFail("no template %s; looked in %s" % (name, ", ".join(folders)))


def _template_texts(raw: Mapping[str, Any], task_vars: Mapping[str, Any]) -> list[str]:
    """The texts of the templates that applications name, as far as they are written well and there."""
    texts = []
    for names in _template_names(raw.get("muster_applications")):
        for name in names:
            try:
                with open(_find(name, task_vars), encoding="utf-8") as handle:
                    texts.append(handle.read())
            except (AnsibleActionFail, OSError, ValueError):
                continue  # rendering reports it
    return texts


def _template_names(applications: Any) -> Iterator[list[str]]:
    for application in applications.values() if isinstance(applications, Mapping) else ():
        if not isinstance(application, Mapping):
            continue
        files = application.get("files")
        entries = list(files.values()) if isinstance(files, Mapping) else []
        found = [entry.get("template") if isinstance(entry, Mapping) else entry for entry in entries]
        yield [name for name in [*found, application.get("template")] if isinstance(name, str)]


def _without_template(raw: Mapping[str, Any], task_vars: Mapping[str, Any]) -> tuple[compile_errors.SiteError, ...]:
    """The files of a valid site of which the template is nowhere."""
    problems = compile_errors.Problems()
    for part in ("muster_applications", "muster_services"):
        for owner, content in (raw.get(part) or {}).items():
            for name, entry in (content.get("files") or {}).items():
                within = ("template",) if isinstance(entry, Mapping) else ()
                template = entry.get("template") if isinstance(entry, Mapping) else entry
                try:
                    _find(str(template), task_vars)
                except AnsibleActionFail as error:
                    problems.add((part, owner, "files", name, *within), str(error))
    return tuple(problems.errors)


def _folder_of(source: str) -> str:
    return source if os.path.isdir(source) else os.path.dirname(source)
