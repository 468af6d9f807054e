# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the ledger of a living site whose own is lost, from a backup and from what the hosts show."""

from __future__ import annotations

from typing import Any

from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _controller_call

_SPEC = {
    "backup": {"type": "str", "default": ""},
    "down": {"type": "list", "elements": "str", "default": []},
    "exact": {"type": "bool", "default": False},
    "agreed": {"type": "str", "default": ""},
    "who": {"type": "str", "default": ""},
}


class ActionModule(_controller_call.ControllerAction):
    """A step of the playbook adopt; what it takes is in `core.controller.adopt`."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        compiled = _compiled.compiled_site(self, task_vars)
        names = [host["name"] for host in compiled.document["hosts"]]
        seen = _controller_call.registered(task_vars, "muster_observed", names)
        observations = {name: value["observation"] for name, value in seen.items() if "observation" in value}
        asked = {"site": compiled.document, "observations": observations, **options}
        answer = self.call_controller("adopt", asked, task_vars)
        if not answer["adopted"]:
            for line in answer["lines"]:
                self._display.display(line)
        result.update(changed=answer["adopted"], fingerprint=answer["fingerprint"], lines=answer["lines"])
        return result
