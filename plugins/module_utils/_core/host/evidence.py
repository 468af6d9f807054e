# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows that only matters when the ledger is lost. Changes nothing."""

from __future__ import annotations

import os
import socket

from . import ledger_copies
from .machine import instance_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict


def gather(root: str) -> Dict[str, Any]:
    """
    :return: ``{"watched": whether a monitor listens to this host, "epochs": {instance: the highest epoch that was ever
        seen here}, "copy": the newest copy of the ledger that the monitor left here}``; instances that were stopped
        are in it, too.
    """
    found: Dict[str, Any] = {"watched": _watched(root + "/run/listeners"), "epochs": _epochs(root)}
    copy = ledger_copies.newest(root)
    return dict(found, copy=copy) if copy else found


def _watched(folder: str) -> bool:
    """Each monitor has a socket there; one whose process has ended refuses."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".sock"))
    except OSError:
        return False
    for name in names:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect(os.path.join(folder, name))
            except OSError:
                continue
            return True
    return False


def _epochs(root: str) -> Dict[str, int]:
    try:
        names = sorted(name[: -len(".json")] for name in os.listdir(root + "/run/seen") if name.endswith(".json"))
    except OSError:
        return {}
    found = {name: int(instance_files.read_seen(root, name).get("epoch") or 0) for name in names}
    return {name: epoch for name, epoch in found.items() if epoch > 0}
