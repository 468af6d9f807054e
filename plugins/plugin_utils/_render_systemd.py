# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs as the templates for systemd see them: directives of units, and the lines that muster-exec reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import SimpleNamespace

from ansible_collections.control_room.muster.plugins.module_utils._core.host.service.systemd import orders
from ansible_collections.control_room.muster.plugins.module_utils._core.model import confinement, site, text

TOKENS = {"user": "@@user@@", "hci_user": "@@hci_user@@", "group": "@@group@@"}
STOPPING = ("stop_application", "restart_application")
_GATE_LEFT = 10  # s after which systemd ends a gate whose run does not live to do it


def slice_name(application: str) -> str:
    """The slices of an application's instances are this, a dash and the item."""
    return "muster-" + orders.escape(application)


def unit_programs(application: site.Application) -> list[SimpleNamespace]:
    """The programs of an application as its unit templates need them: nothing here depends on the item."""
    bus = application.bus.program if application.bus else ""
    binding = bus if bus and application.program(bus).running_failure_strategy in STOPPING else ""
    result = []
    for program in application.programs:
        after_bus = (
            bool(binding)
            and program.name != bus
            and (program.start_sequence > application.program(bus).start_sequence > 0)
        )
        result.append(
            SimpleNamespace(
                name=program.name,
                gate=program.is_gate,
                give_up=math.ceil(program.start_timeout) + math.ceil(program.stop_timeout) + _GATE_LEFT,
                bound_to=binding if after_bus else "",
                stop_signal=program.stop_signal,
                directory=program.directory,
                ends=() if program.is_gate and not program.exit_codes else program.ends,
                umask=program.umask or "0027",
                stop_timeout=max(1, math.ceil(program.stop_timeout)),
                user=program.user or TOKENS["hci_user" if application.on_request else "user"],
                group=program.group,
                directives=[*_nice(program), *confinement.directives(program.limits, program.sandbox)],
            )
        )
    return result


def _nice(program: site.Program) -> list[str]:
    return ["Nice=%d" % program.nice] if program.nice else []


def run_lines(command: Iterable[str], environment: Mapping[str, str]) -> str:
    """A program's environment and arguments as muster-exec reads them.

    :raises ValueError: for what a line cannot hold.
    """
    lines = ["%s=%s" % pair for pair in environment.items()] + [">" + argument for argument in command]
    for line in lines:
        text.refuse_unreadable("a line of the environment or the command", line)
    return "\n".join(lines)
