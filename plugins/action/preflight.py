# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether a host can be deployed to, and report each problem in one sentence."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError

from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _host_call, _preflight


class ActionModule(_host_call.HostAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec({"controller": {"type": "bool", "default": False}})
        name = task_vars["inventory_hostname"]
        compiled = _compiled.compiled_site(self, task_vars)
        if options["controller"]:
            findings, hints = self._look_at_controller(task_vars), []
        else:
            host = next(entry for entry in compiled.document["hosts"] if entry["name"] == name)
            findings, hints = self._look(host, task_vars)
        for hint in hints:
            self._display.warning("%s: %s" % (name, hint))
        result.update(changed=False, findings=findings, hints=hints)
        if findings:
            result.update(failed=True, msg="; ".join(findings))
        return result

    def _look(self, host: dict[str, Any], task_vars: dict[str, Any]) -> tuple[list[str], list[str]]:
        python = shlex.join(self.interpreter(task_vars))
        reached = self._reached(host, task_vars)
        programs = ["setpriv"] + ([] if host["service_manager"] == "supervisor" else ["systemctl"])
        text = _preflight.probe(host["root"], programs)
        try:
            self.need_pipes(host["name"])
        except AnsibleActionFail as error:
            return [str(error.message)], []
        try:
            self._low_level_execute_command("true")  # connects, so that the time below is that of the answer alone
            began = time.time()
            answer = self._low_level_execute_command("%s -" % python, in_data=text.encode())
            ended = time.time()
        except AnsibleConnectionFailure as error:
            return [_preflight.unreachable(str(error.message), reached)], []
        except AnsibleError as error:  # become has words of its own
            return [_preflight.refused(1, str(error.message), python, reached)], []
        for line in answer["stdout"].splitlines():
            if line.startswith(_preflight.MARK):
                facts = json.loads(line[len(_preflight.MARK) :])
                doubt = (ended - began) / 2
                offset = float(facts["time"]) - (began + ended) / 2
                by_door = self.by_door(task_vars)
                found = _preflight.findings(facts, host, offset, doubt, by_door), _preflight.hints(facts, host)
                for told, more in zip(found, self._door(host, reached, task_vars) if by_door else ([], [])):
                    told.extend(more)
                return found
        words = "%s %s" % (answer["stderr"], answer["stdout"])
        return [_preflight.refused(int(answer["rc"]), words, python, reached)], []

    def _door(
        self, host: dict[str, Any], reached: dict[str, str], task_vars: dict[str, Any]
    ) -> tuple[list[str], list[str]]:
        """(findings, hints) of the monitor's way to the agent; only this call shows whether it works."""
        facts = {key: host[key] for key in ("address", "root", "service_manager", "measure")}
        facts.update(site_id="", controller="", host=host["name"])
        request = {"verb": "observe", "host": facts, "only": [], "load": False}
        try:
            answer = self._installed(request, host["root"], _host_call.agent_bundle()["hash"], task_vars)
        except AnsibleActionFail as error:
            return _preflight.door({}, str(error.message), reached)
        return _preflight.door(answer or {}, "", reached)

    def _look_at_controller(self, task_vars: dict[str, Any]) -> list[str]:
        """Whether the monitor's Python environment can be made there."""
        python = str(self._templar.template(task_vars.get("monitor_python") or "/usr/bin/python3"))
        text = _preflight.probe("/", [], ("venv", "ensurepip"))
        answer = self._low_level_execute_command("%s -" % shlex.quote(python), in_data=text.encode())
        for line in answer["stdout"].splitlines():
            if line.startswith(_preflight.MARK):
                return _preflight.controller(json.loads(line[len(_preflight.MARK) :]), python)
        words = "%s %s" % (answer["stderr"], answer["stdout"])
        return [_preflight.refused(int(answer["rc"]), words, python, {})]

    def _reached(self, host: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, str]:
        ssh = host.get("ssh") or {}
        user = str(self._play_context.remote_user or ssh.get("user") or "")  # of this run: -e ansible_user=YOU
        return {"address": str(ssh.get("host") or host["address"]), "port": str(ssh.get("port") or ""), "user": user}
