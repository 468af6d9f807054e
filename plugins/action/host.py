# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a host (folders, agent, service manager, host services), or remove everything of muster from it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.compile import errors as compile_errors
from ansible_collections.control_room.muster.plugins.module_utils._core.compile import host_environment
from ansible_collections.control_room.muster.plugins.module_utils._core.controller.way import host_facts
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _host_call,
    _inventory,
    _leases,
    _programs,
)

_SPEC = {
    "state": {"type": "str", "default": "prepared", "choices": ["prepared", "removed"]},
    "programs": {"type": "list", "elements": "str", "default": []},
    "supervisord": {"type": "list", "elements": "str", "default": ["/usr/bin/supervisord"]},
    "environment": {"type": "dict", "default": {}},
    "boot": {"type": "bool", "default": False},
    "packages": {"type": "dict", "default": {}},
    "user": {"type": "dict", "default": {}},
}


class ActionModule(_host_call.HostAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        compiled = _compiled.compiled_site(self, task_vars)
        name = task_vars["inventory_hostname"]
        host = self._facts(compiled, name, options["state"], task_vars)
        if options["state"] == "removed":
            request: dict[str, Any] = {"host": host}
            verb, install = "remove", False
        else:
            request = {
                "host": host,
                "files": _programs.program_files(options["programs"], task_vars),
                "services": _compiled.service_files(compiled, name),
                "service_ports": {
                    service["name"]: service["ports"]
                    for service in compiled.document["services"]
                    if name in service["hosts"]
                },
                "supervisord": options["supervisord"],
                "environment": _environment(_inventory.plain(options["environment"])),
                "boot": options["boot"],
                "lease": _leases.of_host(host, compiled.document),
                "system": _inventory.plain({"packages": options["packages"], "user": options["user"]}),
            }
            verb, install = "prepare", True
        try:
            answer = self.call_host(verb, request, task_vars, install=install)
        except _host_call.UnreachableHost as error:
            if task_vars.get("muster_strict"):
                raise AnsibleActionFail("%s does not answer: %s" % (name, error)) from error
            self._display.warning("%s does not answer, nothing was prepared there: %s" % (name, error))
            result.update(changed=False, unreachable_host=str(error))
            return result
        except AnsibleActionFail as error:
            _compiled.keep("failed-" + name, str(error.message))
            raise
        result.update(changed=bool(answer.get("changed")), did=answer.get("did", []), lacks=answer.get("lacks", {}))
        if answer.get("diff"):
            result["diff"] = answer["diff"]
        for warning in answer.get("warnings", []):
            self._display.warning("%s: %s" % (name, warning))
        return result

    @staticmethod
    def _facts(compiled: _compiled.Compiled, name: str, state: str, task_vars: Any) -> dict[str, Any]:
        """The host's facts, as they are sent to it; for a host that just left the site, taken from its variables."""
        site, site_id = compiled.document, _compiled.kept("site_id") or ""
        if any(host["name"] == name for host in site["hosts"]):
            return host_facts(site, site_id, name)
        if state != "removed":
            raise AnsibleActionFail("%s is no host of the site: put it into the group muster_hosts" % name)
        if not task_vars.get("muster_root"):
            raise AnsibleActionFail("%s has no muster_root: set it to the folder to remove" % name)
        known = task_vars["hostvars"][name]
        return {
            "site_id": site_id,
            "site": site["name"],
            "controller": site["controller"],
            "host": name,
            "address": str(known.get("muster_address") or ""),
            "root": str(known["muster_root"]),
            "node": name,
            "service_manager": str(known.get("muster_service_manager") or "systemd"),
            "measure": "node",
        }


def _environment(written: Any) -> dict[str, str]:
    """The variables of all programs, sorted.

    :raises AnsibleActionFail: with everything that is wrong in them.
    """
    problems = compile_errors.Problems()
    found = host_environment.read(written, ("host_environment",), problems)
    if problems.errors:
        raise AnsibleActionFail("\n".join(error.line() for error in problems.errors))
    return dict(sorted(found.items()))
