# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a plan from the observations and the ledger, and commit it before anything is done."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.model import request
from ansible_collections.control_room.muster.plugins.module_utils._core.model.plan import HOLD, REFUSE, Plan
from ansible_collections.control_room.muster.plugins.module_utils._core.model.request import KINDS
from ansible_collections.control_room.muster.plugins.module_utils._core.model.site import site_from_json
from ansible_collections.control_room.muster.plugins.module_utils._core.requests.names import names_of
from ansible_collections.control_room.muster.plugins.module_utils._core.requests.read import unnamed
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _controller_call,
    _host_call,
    _inventory,
    _line_call,
    _rounds,
    _sentences,
)

MOST_REACHED = 100  # hosts whose variables are looked at in advance
NOT_OBSERVED = "it was not observed in this run (--limit, serial, --start-at-task)"
_SPEC = {
    **request.argument_spec(),
    "report": {"type": "path", "default": ""},
    "save": {"type": "path", "default": ""},
    "approve": {"type": "bool", "default": False},
    "observed": {"type": "str", "default": "muster_observed"},
}


class ActionModule(_controller_call.ControllerAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        options["plan"] = _sentences.digest_of(options["plan"])
        saves = options["save"]
        _sentences.check_saving(bool(self._task.check_mode), saves, options["approve"])
        compiled = _compiled.compiled_site(self, task_vars)
        names = [host["name"] for host in compiled.document["hosts"]]
        observations = {}
        for name, value in _controller_call.registered(task_vars, options["observed"], names).items():
            if value.get("observation"):
                observations[name] = value["observation"]
        for name in [name for name in names if name not in observations]:
            why = _compiled.kept("failed-" + name) or NOT_OBSERVED
            observations[name] = {"host": name, "answer": "not asked", "why": why}
        ways = self._ways(names, task_vars)
        if not self._task.check_mode:
            self._until_due(task_vars)
        # Of the monitor's record of the request: the run's first plan takes it, and further rounds belong to that one.
        noted = "" if _compiled.kept("plan") else str(task_vars.get("muster_request_id") or "")
        answer = self.call_controller(
            "plan",
            {
                "site": compiled.document,
                "digests": compiled.digests,
                "config_digests": compiled.config_digests,
                "observations": observations,
                "observed_revision": _compiled.kept("revision"),
                "observed_mark": _compiled.kept("mark"),
                "request": dict(
                    request.from_arguments(options),
                    dry_run=bool(self._task.check_mode),
                    id=noted,
                    carries=bool(_compiled.kept("rollout")) or _rounds.carries(options["kind"], task_vars),
                ),
                **({"save": {"approve": options["approve"]}} if saves else {}),
            },
            task_vars,
        )
        running = [name for name in ways if observations[name].get("service_manager") == "running"]
        near = {name: answer["requests"][name] for name in running if name in answer["requests"]}
        answer["given"] = self._give(near, ways, compiled) if near else {}
        if saves and answer.get("saved"):
            _sentences.write_plan(saves, answer["saved"])
            self._display.display("saved to %s (mode 0600): apply does exactly this, or nothing" % saves)
        return self._planned(result, answer, options, observations, compiled, task_vars)

    def _ways(self, names: list[str], task_vars: dict[str, Any]) -> dict[str, dict[str, str]]:
        """How this run reaches the hosts, in the rounds of a rollout: empty where no line may be on this machine."""
        here = self._connection.transport == "local" and not self._task.check_mode
        _compiled.keep("lines", here)  # for the looks of further rounds
        if not here or not (_compiled.kept("due") or task_vars.get("muster_due")):
            return {}
        _host_call.agent_bundle()  # while there is time
        known = _inventory.reached_all(task_vars["hostvars"], names[:MOST_REACHED])
        return {name: way for name, way in known.items() if way}

    def _give(
        self, requests: dict[str, Any], ways: dict[str, dict[str, str]], compiled: _compiled.Compiled
    ) -> dict[str, Any]:
        """Hand acts over to the monitor's lines: they begin while Ansible is on its way to the task that acts.

        :param requests: to hosts whose service managers run, so that none has to start one.
        """
        near = {
            name: {**asked, "start_service_manager": False}
            for name, asked in requests.items()
            if not asked.get("revive")
        }
        acts = _line_call.acts_of(compiled.document, _compiled.kept("site_id") or "", near, ways)
        return _line_call.give(compiled.document["state_dir"], _host_call.agent_bundle()["hash"], acts)

    def _until_due(self, task_vars: dict[str, Any]) -> None:
        """Wait for the moment when the batch of a rollout has been well for long enough: in a later round, and in the
        first one of a run for which the monitor could not wait."""
        _compiled.keep("lead", _rounds.lead(_compiled.kept("begun"), time.time()))
        due = _compiled.kept("due")
        if _compiled.kept("plan") is None:
            due = float(task_vars.get("muster_due") or 0.0)
        if due:
            _compiled.keep("due", None)
            time.sleep(min(_rounds.MOST_EARLY, _rounds.until(due, time.time())))

    def _planned(
        self,
        result: dict[str, Any],
        answer: dict[str, Any],
        options: dict[str, Any],
        observations: dict[str, Any],
        compiled: _compiled.Compiled,
        task_vars: dict[str, Any],
    ) -> dict[str, Any]:
        document = answer["plan"]
        plan = Plan.from_json(document)
        _compiled.keep("plan", document)
        for warning in answer.get("warnings", []):
            self._display.warning(warning)
        sentences = _sentences.of_plan(document, observations)
        shown = _sentences.of_run(document, observations)
        if self._task.check_mode and not plan.refusals:
            shown = _sentences.of_check(document, observations, time.time(), answer.get("preview"))
        for line in [] if task_vars.get("muster_quiet") else shown:
            self._display.display(line)
        heard = _sentences.heard(observations)
        _compiled.keep("heard", heard)
        if options["report"]:
            _sentences.write_report(options["report"], {"plan": document, "sentences": sentences, **heard})
        if plan.refusals:
            site = site_from_json(compiled.document)
            asked = request.from_arguments(options)
            unknown = unnamed(KINDS[options["kind"]], asked, names_of(site, pauses=()))  # refused, so nothing is paused
            raise AnsibleActionFail(
                "; ".join(dict.fromkeys(plan.refusals)), result={"mistake": "unknown name" if unknown else "refused"}
            )
        silent = [name for name, seen in observations.items() if seen["answer"] == "unreachable"]
        if silent and task_vars.get("muster_strict"):
            raise AnsibleActionFail("muster_strict: %s did not answer" % ", ".join(silent))
        result.update(
            changed=any(action.kind not in (HOLD, REFUSE) for action in plan.actions),
            run=plan.run,
            phases=answer["phases"],
            requests=answer["requests"],
            given=answer["given"],
            hosts=sorted(answer["requests"]),
            sentences=sentences,
            plan=document,
            **({"preview": answer["preview"]} if answer.get("preview") else {}),
        )
        return result
