# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers the input of `compile_site` from inventory variables, without touching a host.

Strings that belong to an item (commands, environment) keep their Jinja: it is rendered per item later. Everything else
is templated here, with the controller's variables.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ansible import constants, context
from ansible.errors import AnsibleError
from ansible.utils.vars import load_extra_vars

from ansible_collections.control_room.muster.plugins.module_utils._core.compile import host_environment, odd_data
from ansible_collections.control_room.muster.plugins.module_utils._core.compile.errors import Problems, SiteError
from ansible_collections.control_room.muster.plugins.module_utils._core.controller.way import way
from ansible_collections.control_room.muster.plugins.module_utils._core.model import request
from ansible_collections.control_room.muster.plugins.module_utils._core.model.site import SSH_CONNECTIONS

SITE_VARIABLES = (
    "muster_site",
    "muster_items",
    "muster_items_source",
    "muster_items_problems",
    "muster_models",
    "muster_applications",
    "muster_services",
    "muster_settings",
    "muster_hooks",
    "muster_state_dir",
    "muster_ledger",
    "muster_site_resources",
)
HOST_VARIABLES = (
    "muster_address",
    "muster_root",
    "muster_node",
    "muster_service_manager",
    "muster_user",
    "muster_display",
    "muster_load_limit",
    "muster_extra_load",
    "muster_measure",
    "muster_min_free_memory",
    "muster_min_free_disk",
    "muster_resources",
)
# Read by roles and playbooks, not part of the site.
OTHER_VARIABLES = (
    "muster_common_bus_hosts",
    "muster_supervisord",
    "muster_install",
    "muster_boot",
    "muster_environment",
    "muster_programs",
    "muster_program_files",
    "muster_monitor_command",
    "muster_strict",
    *request.VARIABLES,
    "muster_request_id",
    "muster_carries",
    "muster_due",
    "muster_here",
    "muster_term",
    "muster_items_wanted",
    "muster_request",
    "muster_confirm",
    "muster_standby_fifo",
    "muster_published",
    "muster_backup",
    "muster_down",
    "muster_exact",
    "muster_agreed",
    "muster_report",
    "muster_program",
    "muster_command",
    "muster_within",
    "muster_logs",
    "muster_lines",
    "muster_since",
    "muster_until",
    "muster_grep",
    "muster_previous",
    "muster_show",
    "muster_save",
    "muster_approve",
    "muster_drain_host",
    "muster_leaving",
    "muster_agent_sudo",
    "muster_monitor_user",
    "muster_console_group",
    # Variables that the playbooks register.
    "muster_observed",
    "muster_planned",
    "muster_acted",
    "muster_next",
    "muster_settled",
    "muster_adopted",
)
_SUDO = ("", "sudo", "ansible.builtin.sudo")
# Below these keys of an application or host service, a string belongs to an item and keeps its Jinja.
_PER_ITEM = ("command", "environment")


def controller_name(task_vars: Mapping[str, Any]) -> str:
    """The inventory host where this run finds ledger and published state, or "" when the inventory does not say.

    Of several controllers the one that ``muster_here`` names, else the first.
    """
    members = [str(name) for name in task_vars.get("groups", {}).get("muster_controller", [])]
    here = str(task_vars.get("muster_here") or "")
    if here and here not in members:
        raise AnsibleError("muster_here is %s, which is no controller: it can be %s" % (here, ", ".join(members)))
    return here or (members[0] if members else "")


def gather(templar: Any, task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """Everything `compile_site` takes, as plain data, from the inventory.

    :raises SiteErrors: with every variable that cannot be templated.
    """
    hostvars = task_vars["hostvars"]
    everyday = _of_the_inventory(hostvars)
    groups = {str(name): [str(h) for h in members] for name, members in task_vars["groups"].items()}
    controllers = groups.get("muster_controller", [])
    variables = site_variables(task_vars)
    own = templar.copy_with_new_env(available_variables=variables)
    raw: dict[str, Any] = {}
    problems = Problems()
    for name in variables:
        if not str(name).startswith("muster_") or name in HOST_VARIABLES or name in OTHER_VARIABLES:
            continue
        try:
            if odd_data.refuse(variables[name], (str(name),), problems):
                continue
            found = _template(own, variables[name], ())
            if not odd_data.refuse(found, (str(name),), problems):
                raw[str(name)] = _plain(found)
        except AnsibleError as error:
            problems.add((str(name),), str(error.message))
    problems.finish()
    here = controller_name(task_vars)
    if here and here != controllers[0]:  # each has a state folder of its own; all else is as the first one sees it
        raw["muster_state_dir"] = _plain(hostvars[here].get("muster_state_dir", ""))
    hosts: dict[str, Any] = {}
    leaving = templar.template(task_vars.get("muster_leaving") or "")  # a host that this run takes out of the site
    members = [name for name in groups.get("muster_hosts", []) if name != leaving]
    for name in members:
        view = hostvars[name]
        written = [key for key in hostvars.raw_get(name) if str(key).startswith("muster_")]
        own_words = [
            key for key in written if key in HOST_VARIABLES or (key not in variables and key not in OTHER_VARIABLES)
        ]
        known: dict[str, Any] = {}
        for key in own_words:
            if not odd_data.refuse(view[key], ("hosts", name, str(key)), problems):
                known[str(key)] = _plain(view[key])
        known["groups"] = [group for group, members in groups.items() if name in members]
        written_down = everyday[name]
        known["connection"] = str(written_down.get("ansible_connection") or "")
        if known["connection"] in SSH_CONNECTIONS:
            known["ssh"] = _reached(written_down, name)
        hosts[name] = known
    problems.finish()
    raw["inventory"] = {
        "hosts": hosts,
        "groups": groups,
        "controllers": controllers,
        "muster_hosts": members,
    }
    return raw


def environments(task_vars: Mapping[str, Any]) -> tuple[SiteError, ...]:
    """What is wrong in the variables of all programs of the hosts; what is so for several is said once."""
    hostvars = task_vars["hostvars"]
    known: list[Any] = []
    problems = Problems()
    for name in map(str, task_vars["groups"].get("muster_hosts", [])):
        if "muster_environment" not in hostvars.raw_get(name):
            continue
        keys = ("hosts", name, "muster_environment")
        try:
            written = hostvars[name]["muster_environment"]
            if odd_data.refuse(written, keys, problems):
                break  # as it is most likely for all
            value = _plain(written)
        except AnsibleError:
            continue  # it may need facts of the host, which are not there yet
        if value not in known:
            host_environment.read(value, keys, problems)
            known.append(value)
    return tuple(problems.errors)


def _of_the_inventory(hostvars: Any) -> Any:
    """The same variables without the command line's options about connections. Those belong to one run, often of an
    administrator; the monitor's own runs do not have them."""
    manager = hostvars._variable_manager
    extra = load_extra_vars(manager._loader)
    if not any(str(key).startswith("ansible_") for key in extra):
        return hostvars
    other = copy.copy(manager)
    other._extra_vars = {key: value for key, value in extra.items() if not str(key).startswith("ansible_")}
    try:
        return type(hostvars)(hostvars._inventory, other, hostvars._loader)
    finally:
        manager._hostvars = hostvars


def _reached(view: Mapping[str, Any], name: str) -> dict[str, Any]:
    """How ssh reaches a host, for the monitor's own line to it. Never contains a password: a line needs a key."""

    def said(*keys: str) -> str:
        return next((str(view[key]) for key in keys if view.get(key)), "")

    arguments: list[str] = []
    for key in ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"):
        arguments += shlex.split(said(key))
    become = _yes(view.get("ansible_become"))
    user = said("ansible_user", "ansible_ssh_user")
    key = said("ansible_ssh_private_key_file", "ansible_private_key_file")
    own = said("muster_monitor_user")
    if own:  # who runs this may be an administrator, with an account, key and rights of his own
        user, key, become = own, "", False
    return {
        "host": said("ansible_host", "ansible_ssh_host") or name,
        "user": user,
        "port": said("ansible_port", "ansible_ssh_port"),
        "key": key,
        "python": said("ansible_python_interpreter") or _usual_python(),
        "arguments": arguments,
        "become": become and said("ansible_become_method") in _SUDO,
        **({"door": True} if _yes(view.get("muster_agent_sudo")) else {}),
        **({"people": True} if said("muster_console_group") else {}),
    }


def reached(variables: Mapping[str, Any]) -> dict[str, str]:
    """How this run reaches a host, as `controller.way` tells it; empty where only Ansible knows.

    :param variables: of the host, templated.
    """

    def said(*names: str) -> str:
        return next((str(variables[name]) for name in names if variables.get(name)), "")

    connection = said("ansible_connection")
    becomes = _yes(variables.get("ansible_become", constants.config.get_config_value("DEFAULT_BECOME")))
    method = said("ansible_become_method") or str(constants.config.get_config_value("DEFAULT_BECOME_METHOD") or "")
    user = said("ansible_become_user") or str(constants.config.get_config_value("DEFAULT_BECOME_USER") or "")
    if becomes and (method not in _SUDO or user not in ("", "root")):
        return {}
    if connection not in SSH_CONNECTIONS:
        return {} if becomes else way(connection, {})
    return way(
        connection,
        {
            "host": said("ansible_host", "ansible_ssh_host") or said("inventory_hostname"),
            "port": said("ansible_port", "ansible_ssh_port")
            or str(constants.config.get_config_value("DEFAULT_REMOTE_PORT") or ""),
            "user": said("ansible_user", "ansible_ssh_user")
            or str(constants.config.get_config_value("DEFAULT_REMOTE_USER") or ""),
            "become": becomes,
            "door": not becomes and _yes(variables.get("muster_agent_sudo")),
        },
    )


def reached_all(hostvars: Any, hosts: Iterable[str]) -> dict[str, dict[str, str]]:
    """The same of several hosts; one whose variables cannot be templated has no line."""
    found: dict[str, dict[str, str]] = {}
    for host in hosts:
        try:
            found[host] = reached(hostvars[host])
        except Exception:  # its own task says what is wrong
            found[host] = {}
    return found


def _usual_python() -> str:
    """The Python that ansible.cfg names for all hosts; empty when Ansible has to find it."""
    named = str(constants.config.get_config_value("INTERPRETER_PYTHON") or "")
    return named if named.startswith("/") else ""


def _yes(value: Any) -> bool:
    return str(value or "").lower() in ("true", "yes", "1")


def sources(task_vars: Mapping[str, Any]) -> list[str]:
    """The inventory's files and folders."""
    return [str(source) for source in task_vars.get("ansible_inventory_sources") or []]


def given() -> list[str]:
    """The variables of the command line, each as written behind ``-e``."""
    return [str(entry) for entry in context.CLIARGS.get("extra_vars") or ()]


def site_variables(task_vars: Mapping[str, Any]) -> Mapping[str, Any]:
    """The controller's variables as written: site-wide settings are read there, for any host."""
    hostvars = task_vars["hostvars"]
    controllers = list(task_vars.get("groups", {}).get("muster_controller", []))
    if not controllers:
        return task_vars
    variables = dict(hostvars.raw_get(controllers[0]))
    for magic in ("hostvars", "groups", "playbook_dir", "inventory_dir", "ansible_search_path", "role_path"):
        if magic in task_vars:
            variables.setdefault(magic, task_vars[magic])
    return variables


def _template(templar: Any, value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {key: _template(templar, entry, (*path, str(key))) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_template(templar, entry, path) for entry in value]
    if isinstance(value, str) and not any(part in _PER_ITEM for part in path):
        return templar.template(value)
    return value


def _plain(value: Any) -> Any:
    """Ansible's tagged and lazy values as the plain types that JSON and dataclasses expect."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value)


plain = _plain
