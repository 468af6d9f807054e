# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit of systemd that starts the supervisord of a host with its machine: root's, or of a user who may linger.

The unit runs ``bin/muster-boot``, which calls `host.boot`.
"""

from __future__ import annotations

import os

from ...machine import files, procs
from ..errors import ManagerError
from ..systemd import commands, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Tuple

    from ..preparation import Preparation

LINGER = "/var/lib/systemd/linger"
_UNIT = """\
# written by muster: every deploy writes it again
[Unit]
Description=supervisord of the muster host {host}
RequiresMountsFor={root}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={boot} start
ExecStop={boot} stop
TimeoutStartSec=60
TimeoutStopSec=30

[Install]
WantedBy={target}
"""


def prepare(work: Preparation, wanted: bool) -> None:
    """Write and enable the unit, or remove it. Where no unit would be started at boot, a warning says so.

    :param wanted: whether supervisord is to start with the machine.
    :raises ManagerError: when a unit of that name does not belong to this host.
    """
    folder, target = _place()
    unit = unit_name(work.host)
    if not wanted or not folder:
        if wanted:
            work.warnings.append(_nothing())
        if _mine(work.host):
            work.did.append("removed the unit %s" % unit)
            if not work.check:
                forget(work.host)
        return
    path = os.path.join(folder, unit)
    owner = units.owner(work.host)
    first = _first_line(path)
    if first and first != owner:
        raise ManagerError("the unit %s of this machine does not belong to this host: %s" % (path, first))
    if not work.check:
        os.makedirs(os.path.join(folder, target + ".wants"), mode=0o755, exist_ok=True)
    import sys

    boot = commands.guarded if os.geteuid() == 0 else _plain
    text = _UNIT.format(host=work.host["host"], root=commands.escaped(work.root),
                        boot=boot(sys.executable, work.root), target=target)
    work.write(path, "%s\n%s" % (owner, text), 0o644)
    link = _link(folder, target, unit)
    if not os.path.islink(link):
        work.did.append("enabled the unit %s" % unit)
        if not work.check:
            os.symlink("../" + unit, link)


def unit_name(host: Mapping[str, Any]) -> str:
    """As in ``muster-supervisord-server_1.service``."""
    return "muster-supervisord-%s.service" % host["host"]


def forget(host: Mapping[str, Any]) -> None:
    """Disable and remove the unit of this host, if there is one. A unit of another host stays."""
    folder, target = _place()
    if folder and _mine(host):
        for path in (_link(folder, target, unit_name(host)), os.path.join(folder, unit_name(host))):
            files.remove(path)


def _place() -> Tuple[str, str]:
    """(folder of units, the target that is reached at boot); ("", "") where systemd would not start it."""
    if not os.path.isdir("/run/systemd/system"):
        return "", ""
    if os.geteuid() == 0:
        return units.PERSISTENT_UNITS, "multi-user.target"
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:
        return "", ""
    if not os.path.exists("%s/%s" % (LINGER, user.pw_name)):
        return "", ""
    return user.pw_dir + "/.config/systemd/user", "default.target"


def _plain(python: str, root: str) -> str:
    return "%s -I %s/bin/muster-boot" % (python, commands.escaped(root))


def _nothing() -> str:
    if not os.path.isdir("/run/systemd/system"):
        return "supervisord does not start with the machine, which does not run systemd: a run starts it"
    return ("supervisord does not start with the machine until a run starts it: its user may not linger "
            "(loginctl enable-linger, as root), or set muster_boot to false")


def _mine(host: Mapping[str, Any]) -> bool:
    folder, _unused = _place()
    return bool(folder) and _first_line(os.path.join(folder, unit_name(host))) == units.owner(host)


def _first_line(path: str) -> str:
    """Empty when there is no such file."""
    try:
        return procs.read_file(path).decode("utf-8", "replace").split("\n", 1)[0]
    except OSError:
        return ""


def _link(folder: str, target: str, unit: str) -> str:
    return "%s/%s.wants/%s" % (folder, target, unit)
