# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may start now, after the hosts' answers so far. A step of the playbooks, without documentation for others."""

from __future__ import annotations

from typing import Any

from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _controller_call, _standby

_SPEC = {"phase": {"type": "int", "required": True}, "published": {"type": "bool", "default": False}}


class ActionModule(_controller_call.ControllerAction):
    """Returns the requests of one later phase of the plan."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        asked: dict[str, Any] = {"plan": _compiled.kept("plan"), "phase": options["phase"]}
        if options["published"]:
            asked["site"] = _standby.published_site(task_vars)["document"]
        else:
            compiled = _compiled.compiled_site(self, task_vars)
            asked.update(site=compiled.document, digests=compiled.digests)
        names = [host["name"] for host in asked["site"]["hosts"]]
        asked["answers"] = _controller_call.answers(task_vars, names, asked["plan"]["run"])
        answer = self.call_controller("phase", asked, task_vars)
        result.update(changed=False, requests=answer["requests"], hosts=sorted(answer["requests"]))
        return result
