# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Park until the monitor hands over intents or a request, then plan and commit over published site and ledger."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible_collections.control_room.muster.plugins.module_utils._core.model.plan import START, STOP, Plan
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _controller_call,
    _host_call,
    _inventory,
    _line_call,
    _look,
    _sentences,
    _standby,
)

_SPEC = {
    "fifo": {"type": "path", "default": ""},
    "intents": {"type": "list", "elements": "dict", "default": []},
    "round": {"type": "int", "default": 1},  # how often this run has parked
}
MOST_REACHED = 100  # hosts whose variables are looked at in advance


class ActionModule(_controller_call.ControllerAction):
    """A step of the playbooks, without documentation for others."""

    _supports_check_mode = False
    _reached: Mapping[str, dict[str, str]] = {}

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        result.update(changed=False, hosts=[], requests={}, given={}, phases=0, run="")
        order: dict[str, Any] = {"intents": options["intents"]}
        state_dir = _standby.state_folder(task_vars)
        if options["round"] > 1:
            _compiled.forget()
            if not _standby.parks(options["fifo"]):  # the monitor is gone
                result["ansible_facts"] = {"muster_concerned": {}, "muster_worked": False}
                return result
        if options["fifo"]:
            self._plan(state_dir, order, task_vars, check=True)  # so that what it needs is loaded before the alert
            self._reach(task_vars)
            ready = "%(fifo)s.ready%(round)d" % options
            order = _standby.wait_for_order(options["fifo"], ready, partial(self._look, state_dir, task_vars))
            _compiled.keep("term", order.pop("term", 0))
        if not (order.get("intents") or order.get("request")):
            result["ansible_facts"] = {"muster_concerned": {}, "muster_worked": False}
            return result
        answer = self._plan(state_dir, order, task_vars)
        given = self._give(state_dir, answer["requests"], task_vars)
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
            given=given,
            hosts=hosts,
            ansible_facts={
                "muster_concerned": {str(options["round"]): hosts},  # of this round, and of no other
                "muster_worked": _standby.parks(options["fifo"]),
            },
        )
        return result

    def _look(self, state_dir: str, task_vars: dict[str, Any], order: dict[str, Any]) -> None:
        """Plan over what the monitor has seen; this run stays parked."""

        def reached(hosts: list[str]) -> dict[str, dict[str, str]]:
            missing = [host for host in hosts if host not in self._reached]
            return {**self._reached, **_inventory.reached_all(task_vars["hostvars"], missing)}

        def call(verb: str, request: dict[str, Any]) -> dict[str, Any]:
            return self.call_controller(verb, request, task_vars)

        _look.begin(order, state_dir, _host_call.agent_bundle()["hash"], reached, call)

    def _reach(self, task_vars: dict[str, Any]) -> dict[str, dict[str, str]]:
        """How this run reaches the hosts; of a large site only of those that it is about, later."""
        hosts = [host["name"] for host in _standby.published_site(task_vars)["document"]["hosts"]]
        _host_call.agent_bundle()
        self._reached = _inventory.reached_all(task_vars["hostvars"], hosts[:MOST_REACHED])
        return self._reached

    def _give(self, state_dir: str, requests: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Hand acts over to the monitor's lines: they begin while Ansible is on its way to the task that acts."""
        published = _standby.published_site(task_vars)
        missing = [host for host in requests if host not in self._reached]
        reached = {**self._reached, **_inventory.reached_all(task_vars["hostvars"], missing)}
        acts = _line_call.acts_of(published["document"], published["site_id"], requests, reached)
        return _line_call.give(state_dir, _host_call.agent_bundle()["hash"], acts)

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
