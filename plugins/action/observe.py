# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host for its instances, configuration and load. A host that does not answer gives an observation, too."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.controller.way import host_facts
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _host_call, _inventory, _standby

_SPEC = {
    "load": {"type": "bool", "default": True},
    "instances": {"type": "list", "elements": "str"},
    "published": {"type": "bool", "default": False},
    "evidence": {"type": "bool", "default": False},
}


class ActionModule(_host_call.HostAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        name = task_vars["inventory_hostname"]
        if options["published"]:
            published = _standby.published_site(task_vars)
            host = host_facts(published["document"], published["site_id"], name)
        else:
            compiled = _compiled.compiled_site(self, task_vars)
            host = host_facts(compiled.document, _compiled.kept("site_id") or "", name)
        request: dict[str, Any] = {"host": host, "load": options["load"]}
        if options["evidence"]:
            request["evidence"] = True
        if options["instances"] is not None:
            request["only"] = options["instances"]
        try:
            observation = None
            if _compiled.kept("due") and _compiled.kept("lines") and not options["published"]:
                way = _inventory.reached_all(task_vars["hostvars"], [name])[name]
                observation = self.observe_by_line(way, request, compiled.document["state_dir"]) if way else None
            if observation is None:
                observation = self.call_host("observe", request, task_vars)
        except _host_call.UnreachableHost as error:
            observation = {"host": name, "answer": "unreachable", "why": str(error)}
        except AnsibleActionFail as error:
            _compiled.keep("failed-" + name, str(error.message))
            raise
        result.update(changed=False, observation=observation)
        return result
