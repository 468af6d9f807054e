# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs where and how well: one verdict per item, from the ledger and what the hosts report now."""

from __future__ import annotations

from typing import Any

from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _controller_call, _sentences

_SPEC = {"report": {"type": "path", "default": ""}, "observed": {"type": "str", "default": "muster_observed"}}


class ActionModule(_controller_call.ControllerAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        compiled = _compiled.compiled_site(self, task_vars)
        names = [host["name"] for host in compiled.document["hosts"]]
        seen = _controller_call.registered(task_vars, options["observed"], names)
        if not seen:
            self._display.warning(
                "no host was observed in this run (there is no %s): this is what they said last" % options["observed"]
            )
        answer = self.call_controller(
            "status",
            {
                "site": compiled.document,
                "observations": {name: value["observation"] for name, value in seen.items() if "observation" in value},
                "observed_revision": _compiled.kept("revision"),
            },
            task_vars,
        )
        if options["report"]:
            _sentences.write_report(options["report"], answer["status"])
        for line in answer.get("table", "").splitlines():
            self._display.display(line)
        result.update(changed=False, status=answer["status"])
        return result
