# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit the outcome of a plan: it comes from the hosts' answers, never from a return code."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.controller import run_process
from ansible_collections.control_room.muster.plugins.module_utils._core.model.plan import HOLD, Plan, lost
from ansible_collections.control_room.muster.plugins.module_utils._core.model.rollout import HALTED
from ansible_collections.control_room.muster.plugins.module_utils._core.model.words import CURRENT
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _controller_call,
    _rounds,
    _sentences,
    _standby,
)

_SPEC = {
    "published": {"type": "bool", "default": False},
    "fail_for": {"type": "list", "elements": "str", "default": []},
    "report": {"type": "path", "default": ""},
}

ROUNDS = 25  # of one run; Ansible nests them


class ActionModule(_controller_call.ControllerAction):
    """A step of the playbooks, without documentation for others."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        kept = _compiled.kept("plan")
        if kept is None or self._task.check_mode:
            result.update(changed=False, results={}, again=False, again_kind="")
            return result
        plan = Plan.from_json(kept)
        if options["published"]:
            document = _standby.published_site(task_vars)["document"]
        else:
            document = _compiled.compiled_site(self, task_vars).document
        names = [host["name"] for host in document["hosts"]]
        answers = _controller_call.answers(task_vars, names, plan.run)
        answer = self.call_controller("settle", {"site": document, "plan": kept, "answers": answers}, task_vars)
        outcome: dict[str, Any] = {}
        for warning in answer.get("warnings", []):
            self._display.warning(warning)
        for host in answers.values():
            for came in host.get("results", {}).values():
                came.pop("words", None)  # they are kept by now
            outcome.update(host.get("results", {}))
        sentences = _sentences.of_outcome(outcome, answers)
        for sentence in _sentences.of_outcome(outcome, answers, but=options["fail_for"]):
            self._display.display(sentence)
        if options["report"]:
            heard = _compiled.kept("heard") or {"answered": [], "unreachable": {}}
            silent = {host: said["unreachable"] for host, said in answers.items() if said.get("unreachable")}
            silent = {**heard["unreachable"], **silent}
            report = {
                "run": plan.run,
                "plan": kept,
                "results": outcome,
                "sentences": [*(_compiled.kept("said") or []), *_sentences.of_plan(kept, {})],
                "outcome": sentences,
                "answered": sorted({*answers, *heard["answered"]} - set(silent)),
                "unreachable": silent,
            }
            _sentences.write_report(options["report"], report)
            _compiled.keep("said", report["sentences"])  # of all rounds
        failed = [
            "%s: %s" % (name, outcome[name].get("reason") or outcome[name]["result"])
            for name in options["fail_for"]
            if outcome.get(name, {}).get("result") in ("failed", "refused")
        ]
        if failed:
            raise AnsibleActionFail("; ".join(failed))
        limit = float(document["settings"]["run_timeout"])
        again = self._again(plan, outcome, answers) or self._rollout(plan, answers, task_vars, limit)
        halted = (plan.changes.get("rollouts") or {}).get(CURRENT) or {}
        if halted.get("state") == HALTED and _compiled.kept("rollout") and not again:
            raise AnsibleActionFail("rollout %s stopped: %s" % (halted.get("id"), halted.get("reason")))
        errors = [error for error in (_compiled.kept("error-" + name) for name in names) if error]
        if errors and not again:  # last, so that what the other hosts did is committed and goes on
            raise AnsibleActionFail("; ".join(errors))
        if again:
            self._next_round(document, task_vars)
        result.update(changed=False, results=outcome, lost=lost(kept["actions"], outcome))
        result.update(revision=answer.get("revision"), again=bool(again), again_kind=again)
        return result

    def _next_round(self, document: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """What the task for the site gives the first round: how far the ledger is before the hosts are looked at."""
        _compiled.keep("begun", time.time())
        opened = self.call_controller("open_site", {"site": document}, task_vars)
        _compiled.keep("revision", opened["revision"])
        _compiled.keep("mark", opened["mark"])
        _compiled.keep("lease", opened.get("lease") or {})

    def _rollout(
        self, plan: Plan, answers: Mapping[str, Any], task_vars: Mapping[str, Any], timeout: float
    ) -> str:
        """A run waits for the rollout that it carries: the kind of the next round, after the time that a batch has to
        be well."""
        now = time.time()
        deploys = plan.kind == "deploy" or _compiled.kept("rollout")
        if not plan.again_after or not (deploys or self._monitor_lives(task_vars)):
            return ""
        if not deploys:
            begun = _compiled.kept("first") or now
            _compiled.keep("first", begun)
            if not _rounds.monitor_waits(plan.again_after, begun, now, timeout):
                return ""
        else:
            _compiled.keep("rollout", plan.run)
        if int(_compiled.kept("rounds") or 1) > ROUNDS:
            self._display.warning("the rollout goes on with the monitor, or with each reconcile: muster rollout status")
            return ""
        due = _rounds.due(now, plan.again_after, answers.values())
        _compiled.keep("due", due)
        time.sleep(_rounds.until(due, time.time(), _compiled.kept("lead") or 0.0))
        return "reconcile" if deploys or self._monitor_lives(task_vars) else ""

    def _monitor_lives(self, task_vars: Mapping[str, Any]) -> bool:
        """Whether this run is one of a monitor, which goes on with a rollout, and that monitor is there."""
        monitor = str(task_vars.get("muster_carries") or "")
        return bool(monitor) and not run_process.is_gone(monitor)

    def _again(self, plan: Plan, outcome: dict[str, Any], answers: dict[str, Any]) -> str:
        """The kind of the next round, empty when there is none. A round that achieved nothing is the last one."""
        rounds = int(_compiled.kept("rounds") or 1)
        _compiled.keep("rounds", rounds + 1)
        started = any(r["result"] == "running" for said in answers.values() for r in said.get("results", {}).values())
        undone = any(outcome.get(name, {}).get("result") == "stopped" for name in plan.turns)
        if rounds == 1 and _made_room(plan, outcome):
            return "reconcile"
        if not plan.turns or not (started or undone):
            return ""
        if rounds >= ROUNDS:
            self._display.warning("more rounds follow with the next reconcile, or with the same command again")
            return ""
        # What is booked, and what a saved plan began, is in the ledger: any run goes on with it.
        return "reconcile" if plan.kind == "rebalance" or plan.request.get("plan") else plan.kind


def _made_room(plan: Plan, outcome: dict[str, Any]) -> bool:
    """Whether something waits for room and this run stopped something."""
    waiting = any(action.kind == HOLD and action.instance in plan.candidates for action in plan.actions)
    return waiting and any(entry["result"] == "stopped" for entry in outcome.values())
