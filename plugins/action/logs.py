# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read logs of a host: what an item, an instance, a host service or the host itself wrote last."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils._core.client import programs as client_programs
from ansible_collections.control_room.muster.plugins.module_utils._core.controller.way import host_facts
from ansible_collections.control_room.muster.plugins.module_utils._core.model import moments
from ansible_collections.control_room.muster.plugins.module_utils._core.requests import log_sources
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _host_call

_SPEC = {
    "name": {"type": "str", "required": True},
    "lines": {"type": "int", "default": client_programs.LINES},
    "since": {"type": "str", "default": ""},
    "until": {"type": "str", "default": ""},
    "grep": {"type": "str", "default": ""},
    "previous": {"type": "bool", "default": False},
    "show": {"type": "bool", "default": True},
}


class ActionModule(_host_call.HostAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        compiled = _compiled.compiled_site(self, task_vars)
        name = task_vars["inventory_hostname"]
        result.update(changed=False, lines=[])
        try:
            found = log_sources.log_sources(compiled.site, {}, options["name"])
            more = self._more(options)
        except ValueError as error:
            mistake = {"mistake": "unknown name"} if isinstance(error, log_sources.NoLogs) else {}
            return dict(result, failed=True, msg=str(error), **mistake)
        sources = [source for source in found if source.host == name]
        if not sources:
            return result
        request = {
            "host": host_facts(compiled.document, _compiled.kept("site_id") or "", name),
            "sources": [dict(source.entry) for source in sources],
            **more,
        }
        try:
            answer = self.call_host("log", request, task_vars)
        except _host_call.UnreachableHost as error:
            answer = {"lines": [{"s": 0, "at": None, "note": "%s does not answer: %s" % (name, error)}]}
        except AnsibleActionFail as error:
            answer = {"lines": [{"s": 0, "at": None, "note": str(error.message)}]}
        for line in answer["lines"]:
            source = line.pop("s")
            if not (isinstance(source, int) and 0 <= source < len(sources)):
                continue
            if "t" in line:
                line["text"] = line.pop("t")
            result["lines"].append({**sources[source].to_json(), **line})
        if options["show"]:
            for text in client_programs.as_text(result["lines"]):
                self._display.display(text)
        return result

    @staticmethod
    def _more(options: dict[str, Any]) -> dict[str, Any]:
        """:raises ValueError: for a moment that is none."""
        now = time.time()
        more: dict[str, Any] = {key: moments.past(options[key], now) for key in ("since", "until") if options[key]}
        more.update(lines=options["lines"], word=options["grep"], previous=options["previous"])
        return more
