# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out what the plan says for one host: configuration, stops and starts, in one call."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.controller.way import host_facts
from ansible_collections.control_room.muster.plugins.module_utils._core.host.act import instance
from ansible_collections.control_room.muster.plugins.module_utils._core.host.machine import generations
from ansible_collections.control_room.muster.plugins.plugin_utils import (
    _compiled,
    _differences,
    _host_call,
    _inventory,
    _line_call,
    _rounds,
    _standby,
)

_SPEC = {
    "request": {"type": "dict", "required": True},
    "published": {"type": "bool", "default": False},
    "given": {"type": "dict", "default": {}},  # what became of handing it to the monitor's line
}


class ActionModule(_host_call.HostAction):
    """A step of the playbooks, without documentation for others."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        name = task_vars["inventory_hostname"]
        earlier = _inventory.plain(task_vars.get("muster_acted") or {}).get("answer") or {}
        request = _inventory.plain(options["request"])
        if not request:
            result.update(changed=False, answer=earlier)
            return result
        if earlier.get("run") != request["run"]:
            earlier = {}
        if options["published"]:
            published = _standby.published_site(task_vars)
            host = host_facts(published["document"], published["site_id"], name)
        else:
            compiled = _compiled.compiled_site(self, task_vars)
            host = host_facts(compiled.document, _compiled.kept("site_id") or "", name)
        if request.get("config"):
            files = _compiled.config_files(compiled, name)
            held = {file.rpartition(".")[0] for file in files if file.endswith(generations.SUFFIXES)}
            digests = {instance: digest for instance, digest in compiled.digests.items() if instance in held}
            request["config"] = dict(request["config"], files=files, instances=digests)
            if self._task.diff:
                request["config"]["owners"] = _differences.owners(compiled.site, held, host)
        given = _inventory.plain(options["given"] or {})
        if options["published"] and not given and not self._task.check_mode:
            given = self._give(host, request, task_vars)
        answer = self._act(host, request, given, task_vars)
        if answer.get("diff"):
            result["diff"] = _differences.not_shown_yet(answer["diff"])
        if answer.get("error"):
            _compiled.keep("error-" + name, answer["error"])
        answer["run"], answer["heard"] = request["run"], time.time()
        _rounds.note_since(answer)
        answer["results"] = {**earlier.get("results", {}), **answer.get("results", {})}
        result.update(changed=bool(answer.get("changed")), answer={k: v for k, v in answer.items() if k != "diff"})
        return result

    def _give(
        self, host: dict[str, Any], request: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        """Hand the act over to the monitor's line, if there is one."""
        name = host["host"]
        act = (_inventory.reached_all(task_vars["hostvars"], [name])[name], _line_call.whole(host, request, False))
        version = _host_call.agent_bundle()["hash"]
        given: dict[str, Any] = _line_call.give(_standby.state_folder(task_vars), version, {name: act}).get(name) or {}
        return given

    def _act(
        self, host: dict[str, Any], request: dict[str, Any], given: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        """Send one request, unless its time is over: then another run may already have taken its instances over.

        A host that cannot do it, or does not answer, is no failure of the task: the answer has ``error`` or
        ``unreachable``. Each instance is then reported as refused, so that the outcome hands it to the next run instead
        of keeping it until this run's deadline.

        :param given: it was handed over already: only its answer is fetched, unless the host did not take it.
        """
        try:
            answer = None
            if given:
                answer = self.collect_act(given, host, _standby.state_folder(task_vars), task_vars)
            if answer is None:
                left = _line_call.time_left(request)
                if left <= 0:
                    why = "the plan of run %s is older than it may be: this run was held up" % request["run"]
                    return {"unreachable": why, "changed": False, "results": {}}
                answer = self.call_host("act", {"host": host, **request, "deadline": left}, task_vars)
        except _host_call.UnreachableHost as error:
            return {"unreachable": str(error), "changed": False, "results": {}}
        except AnsibleActionFail as error:
            why = str(error.message)
            refused = {i["instance"]: instance.outcome(i, "refused", why, False) for i in request["instances"]}
            return {"error": why, "changed": False, "results": refused}
        for part in ("config_error", "services_error"):
            if answer.get(part):
                answer["error"] = "%s: %s" % (host["host"], answer.pop(part))
        return answer
