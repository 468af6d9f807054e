# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the people of a host use muster, or no longer: one call that places all files of their command."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.control_room.muster.plugins.plugin_utils import _agent_files, _host_call

_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "group": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "command": {"type": "str", "required": True},
    "python": {"type": "str", "default": ""},
    "library": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(_host_call.HostAction):
    """A step of the role monitor; what it does on hosts is in `core.host.people`."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        root = self._templar.template(task_vars.get("muster_root") or "")
        if not root:
            raise AnsibleActionFail("%s has no muster_root" % task_vars["inventory_hostname"])
        files = _agent_files.bundle(_agent_files.of_core(options["files"]))
        request = {**options, "files": files, "host": {"host": task_vars["inventory_hostname"], "root": str(root)}}
        try:
            answer = self.call_host("people", request, task_vars)
        except _host_call.UnreachableHost as error:
            raise AnsibleConnectionFailure(str(error)) from error
        result.update(changed=bool(answer.get("changed")), did=answer.get("did", []))
        if answer.get("diff"):
            result["diff"] = answer["diff"]
        return result
