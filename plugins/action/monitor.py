# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the monitor a program of the controller's own service manager."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.control_room.muster.plugins.module_utils._core.host.service.supervisor import orders
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _host_call, _inventory, _programs

_SPEC = {
    "program": {"type": "str", "default": "monitor", "choices": ["monitor", "etcd"]},
    "controller": {"type": "str", "default": ""},
    "state": {"type": "str", "default": "started", "choices": ["started", "stopped", "removed"]},
    "command": {"type": "list", "elements": "str", "default": []},
    "supervisord": {"type": "list", "elements": "str", "default": ["/usr/bin/supervisord"]},
    "environment": {"type": "dict", "default": {}},
    "boot": {"type": "bool", "default": False},
}
# After the retries Supervisor gives a program up for good; between two it waits a second longer each time.
_PROGRAM = """[program:{program}]
command={command}
directory={directory}
environment={environment}
autostart=true
autorestart=true
startsecs=1
startretries=1000000
stopwaitsecs=20
redirect_stderr=true
stdout_logfile=@@root@@/log/{program}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=3
"""


class ActionModule(_host_call.HostAction):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(_SPEC)
        program = options["program"]
        compiled = _compiled.compiled_site(self, task_vars)
        name = compiled.document["controller"]
        if compiled.document["controllers"]:
            name = options["controller"] or str(task_vars["inventory_hostname"])
        variables = task_vars["hostvars"][name]
        host = {
            "site_id": str(_compiled.kept("site_id") or ""),
            "site": compiled.document["name"],
            "controller": name,
            "host": name,
            "address": "127.0.0.1",
            "root": str(variables["muster_root"]) + ("" if program == "monitor" else "_" + program),
            "node": name,
            "service_manager": "supervisor",
            "measure": "node",
        }
        if program != "monitor":  # it is there before the site has a ledger
            host["site_id"] = "%s-%s" % (host["site"], program)
        if options["state"] == "removed":
            answer = self.call_host("remove", {"host": host}, task_vars)
        else:
            services = {}
            if options["state"] == "started":
                services[program + ".ini"] = {"text": self._program(options, task_vars), "mode": "0640"}
            answer = self.call_host(
                "prepare",
                {
                    "host": host,
                    "files": _programs.program_files([], task_vars),
                    "services": services,
                    "supervisord": options["supervisord"],
                    "environment": {},
                    "boot": options["boot"],
                },
                task_vars,
                install=True,
            )
        result.update(changed=bool(answer.get("changed")), did=answer.get("did", []))
        if answer.get("diff"):
            result["diff"] = answer["diff"]
        return result

    def _program(self, options: dict[str, Any], task_vars: dict[str, Any]) -> str:
        sources = [os.path.abspath(str(source)) for source in task_vars.get("ansible_inventory_sources") or []]
        environment = {str(k): str(v) for k, v in _inventory.plain(options["environment"]).items()}
        inventory = [argument for source in sources for argument in ("--inventory", source)]
        if options["program"] != "monitor":
            inventory = []
        command = ["setpriv", "--pdeathsig", "TERM", "--", *options["command"], *inventory]
        return _PROGRAM.format(
            program=options["program"],
            command=orders.quote_command(command),
            directory=_compiled.COLLECTION,
            environment=orders.quote_environment(environment),
        )
