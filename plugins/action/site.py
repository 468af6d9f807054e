# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the site from the inventory, report all errors at once, and make sure that the controller has the site."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.controller import leases
from ansible_collections.control_room.muster.plugins.module_utils._core.report import exclusion
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _controller_call

_SPEC = {
    "create": {"type": "bool", "default": False},
    "accept": {"type": "bool", "default": False},
    "validate_only": {"type": "bool", "default": False},
    "anew": {"type": "bool", "default": False},
    "join": {"type": "bool", "default": False},
    "lease_key": {"type": "str", "choices": list(leases.KEY_STEPS)},
}


class ActionModule(_controller_call.ControllerAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        _compiled.keep("begun", time.time())
        compile_it = _compiled.compile_inventory if options["anew"] else _compiled.compiled_site
        compiled = compile_it(self, task_vars)
        site = compiled.document
        promise = exclusion.exclusion(compiled.site)
        result.update(
            changed=False,
            site=site["name"],
            controller=site["controller"],
            hosts=[host["name"] for host in site["hosts"]],
            items=len(site["items"]),
            instances=len(compiled.digests),
            exclusion=promise["says"],
            witnesses=promise["witnesses"],
        )
        if options["validate_only"]:
            return result
        if options["join"]:
            return self._join(result, site, task_vars)
        step = options["lease_key"]
        if step and site["settings"]["exclusion"] != "witnesses":
            raise AnsibleActionFail("muster_settings.exclusion is none: no host needs a lease, so there is no key")
        asked = {"site": site, "create": options["create"], "accept": options["accept"], "lease_key": step}
        answer = self.call_controller("open_site", asked, task_vars)
        _compiled.keep("site_id", answer["site_id"])
        lease = answer.get("lease") or {}
        _compiled.keep("lease", lease)
        _compiled.keep("revision", answer["revision"])
        _compiled.keep("mark", answer["mark"])
        result.update(site_id=answer["site_id"], changed=bool(answer.get("changed")))
        result.update(untried=lease.get("untried") or [])
        return result

    def _join(self, result: dict[str, Any], site: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Have this controller note where the ledger is, if there are several."""
        if site["controllers"]:
            name = str(task_vars["inventory_hostname"])
            folder = str(self._templar.template(task_vars["muster_state_dir"]))
            asked = {"site": {**site, "state_dir": folder}, "here": name}
            result.update(changed=self.call_controller("join", asked, task_vars)["changed"])
        return result
