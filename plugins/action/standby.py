# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Park until the monitor hands over intents or a request, then plan and commit over published site and ledger."""

from __future__ import annotations

from typing import Any

from ansible_collections.control_room.muster.plugins.module_utils._core.model.plan import START, STOP, Plan
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _controller_call,
    _sentences,
    _standby,
)

_SPEC = {"fifo": {"type": "path", "default": ""}, "intents": {"type": "list", "elements": "dict", "default": []}}


class ActionModule(_controller_call.ControllerAction):
    """A step of the playbooks, without documentation for others."""

    _supports_check_mode = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        result.update(changed=False, hosts=[], requests={}, phases=0, run="")
        order: dict[str, Any] = {"intents": options["intents"]}
        state_dir = _standby.state_folder(task_vars)
        if options["fifo"]:
            self._plan(state_dir, order, task_vars, check=True)  # so that what it needs is loaded before the alert
            order = _standby.wait_for_order(options["fifo"], options["fifo"] + ".ready")
        if not (order.get("intents") or order.get("request")):
            result["ansible_facts"] = {"muster_concerned": []}
            return result
        answer = self._plan(state_dir, order, task_vars)
        document = answer["plan"]
        plan = Plan.from_json(document)
        _compiled.keep("plan", document)
        sentences = _sentences.of_plan(document, {})
        for sentence in sentences:
            self._display.display(sentence)
        if options["fifo"]:  # the outcome replaces it, when there is anything to do
            report = {"run": plan.run, "plan": document, "results": {}, "sentences": sentences}
            _sentences.write_report(options["fifo"] + ".result", report)
        later = {action.host for action in plan.actions if action.phase > 1 and action.kind in (START, STOP)}
        hosts = sorted(set(answer["requests"]) | later)
        result.update(
            changed=bool(hosts),
            run=plan.run,
            phases=answer["phases"],
            requests=answer["requests"],
            hosts=hosts,
            ansible_facts={"muster_concerned": hosts},
        )
        return result

    def _plan(
        self, state_dir: str, order: dict[str, Any], task_vars: dict[str, Any], check: bool = False
    ) -> dict[str, Any]:
        """Plan. Intents about instances need the ledger only; intents about a host need the last observations, too,
        because instances have to be placed."""
        document = _standby.read_published(state_dir)["document"]
        request = {"who": "monitor", "from": document["controller"], "kind": "intents", **order}
        request.update(request.pop("request", {}))
        call = {"site": document, "request": request, "check": check}
        if request["kind"] == "intents" and not any(intent.get("host") for intent in request["intents"]):
            call["observations"] = {}
        return self.call_controller("plan", call, task_vars)
