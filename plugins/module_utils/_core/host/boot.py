# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop the supervisord of a host as its machine boots and ends: what ``bin/muster-boot`` runs.

It does what a run does: the same settings, the environment of the last start, and the same lock, so that of a run and a
boot the first starts supervisord and the second finds it. It starts the host services and no items.
"""

from __future__ import annotations

import os
import time

from .machine import json_files, procs
from .service.choose import manager_of
from .service.errors import ManagerError
from .service.supervisor import daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

_STOP_SECONDS = 25.0  # less than TimeoutStopSec of its unit, see `host.service.supervisor.boot_unit`


def main(root: str, verb: str) -> int:
    """
    :param root: the folder of the host.
    :param verb: "start" (and wait until it answers) or "stop" (and wait until it ended).
    :return: exit status; the reason of a failure is on standard error.
    """
    import sys

    marker = json_files.read(root + "/etc/host.json")
    if not marker.get("site_id"):
        sys.stderr.write("%s/etc/host.json cannot be read, or is damaged: deploy again\n" % root)
        return 1
    host = dict(marker, root=root)
    try:
        if verb == "start":
            os.environ.update(daemon.read_kept(root))
            warnings: List[str] = []
            manager_of(host).start(marker.get("settings") or {}, warnings)
            sys.stderr.writelines(warning + "\n" for warning in warnings)
        else:
            _stop(host)
    except ManagerError as error:
        sys.stderr.write("%s\n" % error)
        return 1
    return 0


def _stop(host: Dict[str, Any]) -> None:
    """Stop supervisord before systemd stops its programs: it reports that it ends, and stops them in order."""
    pid = manager_of(host).find(procs.sweep(host["site_id"], host["host"]))
    if pid:
        procs.send(pid, procs.TERM)
    until = time.monotonic() + _STOP_SECONDS
    while pid and procs.alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
