# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit what came of a plan: the outcome is what the hosts answered, never a return code."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _controller_call,
    _sentences,
    _standby,
)

_SPEC = {
    "published": {"type": "bool", "default": False},
    "fail_for": {"type": "list", "elements": "str", "default": []},
    "report": {"type": "path", "default": ""},
}


class ActionModule(_controller_call.ControllerAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        plan = _compiled.kept("plan")
        if plan is None or self._task.check_mode:
            result.update(changed=False, results={}, again=False)
            return result
        if options["published"]:
            document = _standby.published_site(task_vars)["document"]
        else:
            document = _compiled.compiled_site(self, task_vars).document
        names = [host["name"] for host in document["hosts"]]
        answers = _controller_call.answers(task_vars, names, plan["run"])
        answer = self.call_controller("settle", {"site": document, "plan": plan, "answers": answers}, task_vars)
        outcome: dict[str, Any] = {}
        for warning in answer.get("warnings", []):
            self._display.warning(warning)
        for host in answers.values():
            outcome.update(host.get("results", {}))
        sentences = _sentences.of_outcome(outcome, answers)
        for sentence in sentences:
            self._display.display(sentence)
        if options["report"]:
            _sentences.write_report(options["report"], {"plan": plan, "results": outcome, "outcome": sentences})
        failed = [
            "%s: %s" % (name, outcome[name].get("reason") or outcome[name]["result"])
            for name in options["fail_for"]
            if outcome.get(name, {}).get("result") in ("failed", "refused")
        ]
        if failed:
            raise AnsibleActionFail("; ".join(failed))
        result.update(changed=False, results=outcome, revision=answer.get("revision"), again=_made_room(plan, outcome))
        return result


def _made_room(plan: dict[str, Any], outcome: dict[str, Any]) -> bool:
    """Whether something waits for room and this run stopped something."""
    waiting = any(action["action"] == "hold" and action["instance"] in plan["candidates"] for action in plan["actions"])
    return waiting and any(entry["result"] == "stopped" for entry in outcome.values())
