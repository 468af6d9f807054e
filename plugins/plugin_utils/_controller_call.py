# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call to the controller, where ledger and published state live: in process when its connection is local."""

from __future__ import annotations

import multiprocessing
import os
import pwd
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.control_room.muster.plugins.module_utils import _entry
from ansible_collections.control_room.muster.plugins.module_utils._core.controller import calls, run_process
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled, _host_call, _inventory

_JOB = "AWX_PRIVATE_DATA_DIR"  # AWX sets it for each job


class ControllerAction(_host_call.HostAction):
    """An action that is one request to the controller; the task runs once, delegated to it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._process = os.getpid()  # of the task

    def call_controller(self, verb: str, request: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """:raises AnsibleActionFail: with the controller's sentence."""
        request = {"verb": verb, "check": bool(self._task.check_mode), **request}
        if len(task_vars.get("groups", {}).get("muster_controller", ())) > 1:
            request.setdefault("here", _inventory.controller_name(task_vars))
            request.setdefault("term", _compiled.kept("term") or task_vars.get("muster_term") or 0)
        if verb in ("plan", "phase"):
            self._run_of_this_task()
        if self._connection.transport == "local" and _JOB in os.environ:
            raise AnsibleActionFail(
                "this is a job of AWX, and the controller is reached by ansible_connection: local: its ledger would lie"
                " in the container of the job, and be gone with it. Let AWX reach the controller by ssh (docs/awx.md)"
            )
        if self._connection.transport == "local" and not self._as_another_user():
            if verb == "plan":
                request["process"] = run_process.text_of(self._run_of_this_task())
            answer = calls.handle(request)
        else:
            result = self._execute_module(
                module_name="control_room.muster.site", module_args={_entry.REQUEST: request}, task_vars=task_vars
            )
            if result.get("failed"):
                raise AnsibleActionFail("%s: %s" % (request.get("controller", "the controller"), result.get("msg")))
            answer = result["answer"]
        if answer.get("error"):
            raise AnsibleActionFail(answer["error"])
        return answer

    def _run_of_this_task(self) -> int:
        """The process of the run, of which this task is a child; a regular look is a child of the task, and acts on
        nothing.

        :raises AnsibleActionFail: when it was killed: nobody would do what this task commits.
        """
        parent = multiprocessing.parent_process()
        if parent is None or parent.pid is None:
            return os.getppid()
        if os.getpid() == self._process and parent.pid != os.getppid():
            raise AnsibleActionFail("the run of this task was killed")
        return parent.pid

    def _as_another_user(self) -> bool:
        """Whether the controller's variables ask to become another user than the one who runs this."""
        become = self._connection.become
        return become is not None and become.get_option("become_user", playcontext=self._play_context) != _who()


def _who() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def registered(task_vars: Mapping[str, Any], variable: str, hosts: list[str]) -> dict[str, Any]:
    """The values of a variable that was registered on every host: host -> value, without hosts that were not asked."""
    hostvars = task_vars["hostvars"]
    found = {}
    for name in hosts:
        value = hostvars.raw_get(name).get(variable)
        if value is not None:
            found[name] = _inventory.plain(value)
    return found


def answers(task_vars: Mapping[str, Any], hosts: list[str], run: str) -> dict[str, Any]:
    """The hosts' answers to the act tasks of this run: host -> act answer."""
    found = registered(task_vars, "muster_acted", hosts)
    return {name: value["answer"] for name, value in found.items() if value.get("answer", {}).get("run") == run}
