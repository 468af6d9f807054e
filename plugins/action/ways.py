# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try whether questions for leases and their answers travel, before a deploy changes anything."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.controller.way import host_facts
from ansible_collections.control_room.muster.plugins.module_utils._core.report import lease_ways
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _controller_call,
    _host_call,
    _leases,
)

_SPEC = {"step": {"type": "str", "choices": ["listen", "ask", "judge"], "required": True}}
_LISTENING, _ASKED = "muster_listening", "muster_asked"


class ActionModule(_controller_call.ControllerAction):
    """A step of `playbooks/tasks/ways.yml`; what it does on hosts is in `core.host.lease.ways`."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        compiled = _compiled.compiled_site(self, task_vars)
        names = [host["name"] for host in compiled.document["hosts"]]
        listening = self._said(task_vars, _LISTENING, names)
        if options["step"] == "judge":
            return self._judge(result, compiled, listening, self._said(task_vars, _ASKED, names), task_vars)
        name = task_vars["inventory_hostname"]
        host = host_facts(compiled.document, _compiled.kept("site_id") or "", name)
        request = {"host": host, "lease": _leases.of_host(host, compiled.document), "step": options["step"],
                   "tried": lease_ways.tried(listening)}  # fmt: skip
        # One that was not reached when it was to listen is not waited for again. The monitor's own account may only
        # look and act: a deploy is not its business, nor what a deploy needs.
        away = task_vars.get(_LISTENING, {}).get("away") or self.by_door(task_vars)
        result.update(changed=False)
        try:
            result["said"] = None if away else self.call_host("ways", request, task_vars)
        except (_host_call.UnreachableHost, AnsibleActionFail) as error:  # what is wrong with one host stops no other
            result.update(said=None, away=str(error))
        return result

    @staticmethod
    def _said(task_vars: Any, variable: str, names: list[str]) -> dict[str, Any]:
        found = _controller_call.registered(task_vars, variable, names)
        return {name: value["said"] for name, value in found.items() if value.get("said")}

    def _judge(
        self, result: dict[str, Any], compiled: _compiled.Compiled, listening: dict[str, Any], asked: dict[str, Any],
        task_vars: Any,
    ) -> dict[str, Any]:  # fmt: skip
        request = {"site": compiled.document, "lease": _compiled.kept("lease"), "listening": listening, "asked": asked}
        found = self.call_controller("ways", request, task_vars)
        for hint in found["hints"]:
            self._display.warning(hint)
        if found["refusal"]:
            raise AnsibleActionFail(found["refusal"])
        result.update(changed=False, problems=[], hints=found["hints"])
        return result
