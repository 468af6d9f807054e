# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command beside a program of an instance: note it, run it on its host, note what came of it."""

from __future__ import annotations

import base64
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.compile.errors import show
from ansible_collections.control_room.muster.plugins.module_utils._core.model import execution
from ansible_collections.control_room.muster.plugins.module_utils._core.requests import check
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _controller_call, _host_call

_SPEC = {
    "step": {"type": "str", "choices": ["begin", "run", "over"], "required": True},
    "program": {"type": "str", "default": ""},
    "command": {"type": "list", "elements": "str", "default": []},
    "within": {"type": "int", "default": execution.WITHIN},
    "why": {"type": "str", "default": ""},
    "who": {"type": "str", "default": ""},
    "from_where": {"type": "str", "default": ""},
    "request": {"type": "dict", "default": {}},
    "entry": {"type": "dict", "default": {}},
    "host": {"type": "str", "default": ""},
    "show": {"type": "bool", "default": True},
}


class ActionModule(_controller_call.ControllerAction):
    """A step of the playbook, without documentation for others."""

    _supports_check_mode = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        step = {"begin": self._begin, "run": self._on_the_host, "over": self._over}[options["step"]]
        result.update(step(options, task_vars))
        return result

    def _begin(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        asked = {name: options[name] for name in ("program", "command", "within", "why")}
        problems = check.errors(asked, execution.SCHEMA)
        if problems:
            raise AnsibleActionFail(check.sentence(problems))
        compiled = _compiled.compiled_site(self, task_vars)
        call = {"site": compiled.document, "digests": compiled.digests, **asked}
        call.update({"who": options["who"], "from": options["from_where"]})
        begun = self.call_controller("exec", call, task_vars)
        return {"changed": True, **begun}

    def _on_the_host(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Whatever happens there, what came of it is noted afterwards."""
        try:
            came = self.call_host("exec", options["request"], task_vars)
        except _host_call.UnreachableHost as error:
            came = {"error": "%s does not answer: %s" % (task_vars["inventory_hostname"], error)}
        except AnsibleActionFail as error:
            came = {"error": str(error.message)}
        return {"changed": True, "came": came}

    def _over(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        found = _controller_call.registered(task_vars, "muster_executed", [options["host"]])
        came = (found.get(options["host"]) or {}).get("came") or {"error": "%s was not asked" % show(options["host"])}
        known = {name: value for name, value in came.items() if name not in ("out", "err")}
        compiled = _compiled.compiled_site(self, task_vars)
        call = {"site": compiled.document, "digests": compiled.digests, "entry": options["entry"], "came": known}
        noted = self.call_controller("exec_over", call, task_vars)
        if options["show"]:
            for name in ("out", "err"):
                for line in base64.b64decode(came.get(name) or "").decode("utf-8", "backslashreplace").splitlines():
                    self._display.display("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))
            self._display.display(noted["said"])
        if came.get("error") or came.get("code"):
            raise AnsibleActionFail(noted["said"], result={"came": came})
        return {"changed": True, "came": came}
