# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of the guard of a host with systemd: written, enabled and started where a lease is needed, else removed."""

from __future__ import annotations

import os

from ...lease import allowed
from ...machine import ports
from ..errors import ManagerError
from . import commands, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional

    from ..preparation import Preparation
    from .manager import SystemdManager

# Nothing may keep it from its work for long: not the killer of a machine without memory, not a limit of starts.
_UNIT = """\
# written by muster: every deploy writes it again
[Unit]
Description=lease of the muster host {host}
RequiresMountsFor={root}
After=network.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={boot} guard
ExecStopPost=-{boot} ended
Restart=always
RestartSec=200ms
TimeoutStopSec=5
OOMScoreAdjust=-1000
LimitNOFILE=65536
LimitMEMLOCK=infinity
SyslogIdentifier=muster-lease

[Install]
WantedBy=multi-user.target
"""


def hold(manager: SystemdManager, work: Preparation, lease: Optional[Mapping[str, Any]]) -> None:
    """Let the host hold a lease, or stop that; instances that run go on in both cases.

    :param lease: see `host.lease.settings`; None: none is needed.
    :raises ManagerError: when systemd does not answer or refuses, or the unit is not this host's.
    """
    mine, unit = units.owner(work.host), units.guard_name(work.host)
    try:
        if lease is not None:
            _start(manager, work, unit, mine, lease)
        elif unit in units.names_of(units.PERSISTENT_UNITS, mine):
            work.did.append("removed the unit %s" % unit)
            if not work.check:
                _remove(manager, unit, mine, work.root)
    except units.NotOurs as error:
        raise ManagerError(str(error.strerror)) from None
    except OSError as error:
        raise ManagerError("systemd of %s does not take the unit %s: %s" % (
            work.host["host"], unit, error.strerror or error)) from None
    finally:
        manager.close()


def _start(
    manager: SystemdManager, work: Preparation, unit: str, mine: str, lease: Mapping[str, Any]
) -> None:
    import sys

    text = _UNIT.format(host=work.host["host"], root=commands.escaped(work.root),
                        boot=commands.guarded(sys.executable, work.root))
    path = os.path.join(units.PERSISTENT_UNITS, unit)
    try:
        with open(path, encoding="utf-8") as handle:
            before = handle.read()
    except OSError:
        before = ""
    if before != "%s\n%s" % (mine, text):
        work.did.append("wrote the unit %s" % unit)
    runs = manager.systemd.states([unit])[0].active in ("active", "activating")
    problem = "" if runs else ports.cannot_ask(work.host["host"], lease)
    if problem:
        raise ManagerError(problem)
    if not runs:
        work.did.append("started the unit %s" % unit)
    if work.check:
        return
    if units.write_unit(units.PERSISTENT_UNITS, unit, text, mine):
        manager.systemd.call("Reload")
    units.link(unit)
    if not runs:
        allowed.forbid(work.root)  # nothing starts until the guard says so
        [result] = manager.systemd.each("StartUnit", [unit], "replace")
        if isinstance(result, Exception):
            raise OSError(5, str(result))


def _remove(manager: SystemdManager, unit: str, mine: str, root: str) -> None:
    """Its settings are gone, so the guard lets go of what is bound to it."""
    units.remove_units(units.UNITS, units.bound(mine))
    manager.systemd.call("Reload")  # or systemd would stop what is bound to the unit
    manager.systemd.each("StopUnit", [unit], "replace")
    allowed.forbid(root)  # a guard that is gone already takes nothing away
    units.remove_persistent([unit])
