# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call to a host's agent: the installed one, else the same one sent along with the request.

A module of Ansible is used only where no Python is at its usual place: it finds one. It takes half a second of
processor to start, on every host of a first deploy.
"""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.control_room.muster.plugins.module_utils._core.host.install import PACKAGE
from ansible_collections.control_room.muster.plugins.module_utils._core.host.machine import ownership
from ansible_collections.control_room.muster.plugins.module_utils._core.model import answers
from ansible_collections.control_room.muster.plugins.module_utils._core.model.text import printable
from ansible_collections.control_room.muster.plugins.plugin_utils import _agent_files, _bounded, _line_call

_ANSWER = "MUSTER:"
# For `python -c`: runs the program that comes first on standard input. So the program is not part of the command line,
# where csh as a login shell accepts no newline and sh limits the length. The text after it is for people who look at
# the list of processes.
_FED = "import sys;exec(sys.stdin.buffer.read(%d))"
_NOT_READ = "Data could not be sent"  # Ansible: the command's input was closed while ssh was still there
_USUAL_PYTHON = "/usr/bin/python3"
_DISCOVER = ("", "auto", "auto_legacy", "auto_silent", "auto_legacy_silent")


class UnreachableHost(Exception):
    """The host did not answer, or answers nonsense; the sentence says why."""


@functools.lru_cache(maxsize=1)
def agent_bundle() -> dict[str, Any]:
    """The agent's sources and their hash: ``{"hash", "files": {path: text}}``."""
    return _agent_files.bundle(_agent_files.texts())


class HostAction(ActionBase):
    """An action that is one request to the agent on the task's host.

    Connection errors come back as data (``unreachable``): a host that does not answer is an input of the decision.
    """

    def call_host(
        self, verb: str, request: dict[str, Any], task_vars: Mapping[str, Any], install: bool = False
    ) -> dict[str, Any]:
        """Call the agent.

        :raises UnreachableHost: with the connection's own words, or what is wrong with the answer.
        :raises AnsibleActionFail: when the agent failed, with its sentence.
        """
        request = {"verb": verb, "check": bool(self._task.check_mode), "diff": bool(self._task.diff), **request}
        root = request["host"]["root"]
        self.need_pipes(request["host"]["host"])
        bundle = agent_bundle()
        if install:
            request["agent"] = bundle
        try:
            answer = None
            if not (install and self._task.check_mode):
                try:
                    answer = self._installed(request, root, bundle["hash"], task_vars)
                except AnsibleConnectionFailure as error:
                    if _NOT_READ not in str(error.message):
                        raise
                    # No agent is there, and what said so ended before it had read the request: nothing was done.
            request["agent"] = bundle
            if answer is None:
                answer = self._run(_agent_files.CARRIED, request, task_vars)
            if answer is None:
                answer = self._run(_agent_files.CARRIED, request, self._with_python(task_vars))
            if answer is None:
                raise AnsibleActionFail("%s: the Python found there cannot run the agent" % request["host"]["host"])
        except AnsibleConnectionFailure as error:
            raise UnreachableHost(_one_line(error)) from error
        return _checked(verb, answer, request["host"]["host"])

    def collect_act(
        self, given: Mapping[str, Any], host: Mapping[str, Any], state_dir: str, task_vars: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The answer of an act that was handed to the monitor's line, see `_line_call.give`.

        Where the line ended meanwhile, the host is asked for the answer by command: the act itself goes on there, and
        is never sent again.

        :return: None when the host did not begin it.
        :raises UnreachableHost: when nobody knows what became of it, as of a connection that broke in an act.
        :raises AnsibleActionFail: when the agent failed, with its sentence.
        """
        why = given.get(_line_call.LOST)
        if not why:
            found = _line_call.collect(state_dir, given[_line_call.TOKEN], given["deadline"])
            if "refused" in found:
                self._display.vvv("%s: %s: the act goes by command" % (host["host"], found["refused"]))
                return None
            if "answer" in found:
                return _checked("act", found["answer"], str(host["host"]))
            why = found[_line_call.LOST]
            request = {"host": host, "token": given[_line_call.TOKEN], "within": given["deadline"]}
            try:
                return self.call_host("acted", request, task_vars)
            except AnsibleActionFail as error:
                why = "%s; %s" % (why, error.message)
        raise UnreachableHost(why)

    def observe_by_line(
        self, way: Mapping[str, str], request: Mapping[str, Any], state_dir: str
    ) -> dict[str, Any] | None:
        """The observation of a host by the agent at the end of the monitor's line, which is up already.

        :return: None where that brings none: then the host is asked by command.
        """
        answer = _line_call.observe(state_dir, agent_bundle()["hash"], way, request)
        try:
            return _checked("observe", answer, request["host"]["host"]) if answer is not None else None
        except (UnreachableHost, AnsibleActionFail):
            return None

    def _installed(
        self, request: Mapping[str, Any], root: str, bundle_hash: str, task_vars: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The installed agent's answer; None when this host has no such agent, or none that root may run."""
        if self.by_door(task_vars):
            door = agent_door(self.interpreter(task_vars), request["host"]["host"])
            return self._answer(shlex.join(door), request, before=bundle_hash.encode() + b"\n")
        start = ownership.launcher(root, "%s/lib/%s" % (root, bundle_hash), PACKAGE)
        return self._run(start, request, task_vars)

    def _run(self, program: str, request: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer of a program in Python; None when there is no such Python, agent, or right."""
        source = program.encode()
        words = [*self.interpreter(task_vars), "-I", "-S", *ownership.UTF8, "-c", _FED % len(source)]
        words.append(request["host"]["root"])
        return self._answer(shlex.join(words), request, _agent_files.ABSENT, before=source)

    def _answer(
        self, command: str, request: Mapping[str, Any], absent: Sequence[str] = (), before: bytes = b""
    ) -> dict[str, Any] | None:
        """A command's answer to a request; None where it failed with one of the words of `absent`.

        :raises UnreachableHost: when the answer is too large, or no JSON.
        :raises AnsibleActionFail: when it ends without an answer for any other reason, with its last line.
        """
        data = before + json.dumps(request, separators=(",", ":")).encode() + b"\n"
        try:
            with _bounded.memory(self._connection.transport):
                result = self._low_level_execute_command(command, in_data=data)
        except MemoryError:
            raise UnreachableHost("answers nonsense: more than %d MiB" % (_bounded.MOST >> 20)) from None
        if len(result["stdout"]) > answers.LARGEST:
            raise UnreachableHost("answers nonsense: %d characters" % len(result["stdout"]))
        for line in result["stdout"].splitlines():
            if line.startswith(_ANSWER):
                try:
                    answer: dict[str, Any] = json.loads(line[len(_ANSWER) :])
                except (ValueError, RecursionError) as error:
                    raise UnreachableHost("answers nonsense: no JSON (%s)" % error) from error
                return answer
        if absent and (result["rc"] == 127 or any(words in result["stderr"] for words in absent)):
            return None
        words = result["stderr"].strip().splitlines()[-1:] or ["it said nothing"]
        last = printable(words[0])
        raise AnsibleActionFail("the agent on %s ended with %s: %s" % (request["host"]["host"], result["rc"], last))

    def interpreter(self, task_vars: Mapping[str, Any]) -> list[str]:
        """The command of this host's Python, as modules find it, but without a search on the host."""
        written = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        named = str(self._templar.template(written) or "").strip()
        if named in _DISCOVER:
            facts = task_vars.get("ansible_facts") or {}
            named = str(facts.get("discovered_interpreter_python") or _USUAL_PYTHON)
        return shlex.split(named) or [_USUAL_PYTHON]

    def need_pipes(self, host: str) -> None:
        """:raises AnsibleActionFail: where the connection cannot hand over what is written to a program's input."""
        if not self._connection.has_pipelining:
            raise AnsibleActionFail(
                "%s is reached by %s, which cannot hand over what the agent has to do: say ansible_connection: ssh"
                % (host, self._connection.transport)
            )

    def by_door(self, task_vars: Mapping[str, Any]) -> bool:
        """Whether the account's only right is to have the agent look and act as root, through the agent's door."""
        if self._connection.become is not None:
            return False
        return bool(self._templar.template(task_vars.get("muster_agent_sudo")))

    def _with_python(self, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """The variables with the Python that Ansible finds on the host; what a module needs tells whether one is there.

        :raises AnsibleActionFail: when none is there, or the one that is named does not run.
        """
        found = self._execute_module(module_name="ansible.builtin.ping", module_args={}, task_vars=dict(task_vars))
        if found.get("failed"):
            words = found.get("module_stderr") or found.get("msg") or "no module runs there"
            raise AnsibleActionFail("%s: %s" % (task_vars["inventory_hostname"], printable(str(words).strip(), 300)))
        facts = {**(task_vars.get("ansible_facts") or {}), **(found.get("ansible_facts") or {})}
        return {**task_vars, "ansible_facts": facts}


def _checked(verb: str, answer: Any, host: str) -> dict[str, Any]:
    """
    :raises UnreachableHost: when it is nonsense.
    :raises AnsibleActionFail: when it says that the agent failed.
    """
    try:
        clean = answers.checked(verb, answer, host)
    except answers.Nonsense as error:
        raise UnreachableHost(str(error)) from error
    if clean.get("error"):
        raise AnsibleActionFail("%s: %s" % (host, clean["error"]))
    return clean


def agent_door(python: Sequence[str], host: str) -> list[str]:
    """The command by which an account without root calls the agent, allowed by sudo (role monitor, `access`)."""
    return ["sudo", "-n", "--", *python, "-I", "-S", "/usr/local/libexec/muster-agent-%s" % host]


def _one_line(error: AnsibleError) -> str:
    return printable(" ".join(str(error.message).split()), 300)
