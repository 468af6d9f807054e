# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Park until the monitor hands over intents, then plan and commit them over the published site and the ledger."""

from __future__ import annotations

from typing import Any

from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _controller_call,
    _sentences,
    _standby,
)

_SPEC = {"fifo": {"type": "path", "default": ""}, "intents": {"type": "list", "elements": "dict", "default": []}}


class ActionModule(_controller_call.ControllerAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        result.update(changed=False, hosts=[], requests={}, phases=0, run="")
        intents = options["intents"]
        state_dir = _standby.state_folder(task_vars)
        if options["fifo"]:
            self._plan(state_dir, [], task_vars, check=True)  # so that everything it needs is loaded before the alert
            intents = _standby.wait_for_intents(options["fifo"], options["fifo"] + ".ready")
        if not intents:
            result["ansible_facts"] = {"muster_concerned": []}
            return result
        answer = self._plan(state_dir, intents, task_vars)
        plan = answer["plan"]
        _compiled.keep("plan", plan)
        for sentence in _sentences.of_plan(plan, {}):
            self._display.display(sentence)
        if options["fifo"]:  # the outcome replaces it, when there is anything to do
            _sentences.write_report(options["fifo"] + ".result", {"run": plan["run"], "plan": plan, "results": {}})
        hosts = sorted(answer["requests"])
        result.update(
            changed=bool(hosts),
            run=plan["run"],
            phases=answer["phases"],
            requests=answer["requests"],
            hosts=hosts,
            ansible_facts={"muster_concerned": hosts},
        )
        return result

    def _plan(
        self, state_dir: str, intents: list[dict[str, Any]], task_vars: dict[str, Any], check: bool = False
    ) -> dict[str, Any]:
        document = _standby.read_published(state_dir)["document"]
        request = {"kind": "intents", "intents": intents, "who": "monitor", "from": document["controller"]}
        return self.call_controller(
            "plan", {"site": document, "observations": {}, "request": request, "check": check}, task_vars
        )
