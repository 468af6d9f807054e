# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program as the templates of a service manager see it: command and environment, as each manager reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ansible_collections.control_room.muster.plugins.module_utils._core.compile import keys_resources
from ansible_collections.control_room.muster.plugins.module_utils._core.host.machine import accounts, notify
from ansible_collections.control_room.muster.plugins.module_utils._core.host.service.supervisor import orders
from ansible_collections.control_room.muster.plugins.module_utils._core.model import site, text
from ansible_collections.control_room.muster.plugins.plugin_utils import _render_systemd

ROOT = "@@root@@"
OF_USERS = ("HOME", "LOGNAME", "USER")
LOG = {field.name: field.default for field in keys_resources.LOG.fields}


def programs(
    application: site.Application,
    strings: list[list[str]],
    context: Mapping[str, Any],
    managers: Sequence[str],
    becomes: bool = False,
) -> list[SimpleNamespace]:
    """:param becomes: whether a supervisord of root runs them as users of their own."""
    result = []
    marks = {program.name: _marks(application, program) for program in application.programs}
    for program, leaves in zip(application.programs, strings):
        result.append(
            program_lines(
                program,
                leaves,
                {
                    "MUSTER_INSTANCE": context["instance"],
                    "MUSTER_PROGRAM": program.name,
                    "MUSTER_ITEM": context["item"]["id"],
                    "MUSTER_SLOT": str(context["slot"]),
                    "MUSTER_ETC": context["etc"],
                    **port_environment(context["ports"]),
                    **({"MUSTER_WINDOW": "%g" % program.window} if program.window else {}),
                    **marks[program.name],
                    **_notified(context["instance"], program),
                    **(
                        {
                            "MUSTER_PEER_" + k: v
                            for k, v in port_environment(context["peer"].get("ports", {}), "PORT_").items()
                        }
                    ),
                },
                managers,
                becomes,
            )
        )
    return result


def _marks(application: site.Application, program: site.Program) -> dict[str, str]:
    """The variables that tell muster's listener in supervisord whether a program is a bus or a gate."""
    if application.bus and application.bus.program == program.name:
        return {"MUSTER_BUS": program.running_failure_strategy}
    return {"MUSTER_GATE": "1"} if program.is_gate else {}


def _notified(instance: str, program: site.Program) -> dict[str, str]:
    """Where a program says that it is ready."""
    if program.ready.get("type") != "notify":
        return {}
    return {notify.VARIABLE: ROOT + notify.below(instance, program.name)}


def program_lines(
    program: site.Program,
    leaves: list[str],
    environment: dict[str, str],
    managers: Sequence[str],
    becomes: bool = False,
) -> SimpleNamespace:
    """
    :param leaves: the rendered arguments and values, in the order in which the program names them.
    :raises ValueError: when one of them cannot be handed over exactly as it is; the sentence names it.
    """
    command = list(leaves[: len(program.command)])
    if command and not command[0].startswith(("/", "@@root@@")):
        command[0] = "%s/bin/%s" % (ROOT, command[0])
    environment = {**environment, **dict(zip(program.environment, leaves[len(program.command) :]))}
    for position, argument in enumerate(command):
        if not argument.isprintable():
            text.refuse_unreadable("argument %d of %s" % (position + 1, program.name), argument)
    for variable, value in environment.items():
        if not value.isprintable():
            text.refuse_unreadable("the variable %s of %s" % (variable, program.name), value)
    lines = SimpleNamespace(
        name=program.name,
        command=command,
        environment=environment,
        stop_signal=program.stop_signal,
        directory=program.directory,
        umask=program.umask,
        ends=() if program.is_gate and not program.exit_codes else program.ends,
        log={**LOG, **program.log},
        stop_timeout=max(1, math.ceil(program.stop_timeout)),  # whole seconds, as service managers take them
    )
    if "supervisor" in managers:
        nice = ["nice", "-n", str(program.nice), "--"] if program.nice else []
        if becomes:  # what it says of these itself comes after what its user says
            said = ["%s=%s" % (name, environment[name]) for name in OF_USERS if name in environment]
            command = ["env", *said, *command] if said else command
            token = accounts.token(program.user, program.group)
            lines.command_line = (orders.quote_command(nice) + " " if nice else "") + token
            lines.command_line += orders.quote_command(command)
        else:
            lines.command_line = orders.quote_command([*nice, *command])
        lines.environment_line = orders.quote_environment(environment)
    if "systemd" in managers:
        lines.run_lines = _render_systemd.run_lines(command, environment)
    return lines


def port_environment(ports: Mapping[str, int], prefix: str = "MUSTER_PORT_") -> dict[str, str]:
    return {prefix + name.upper(): str(port) for name, port in ports.items()}
