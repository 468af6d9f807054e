# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager of a host, and how the host is set up for it: the only file that knows all of them.

Each class is imported when it is chosen, not before: the agent is started for every request, and half of that time is
imports.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from .manager import Manager
    from .preparation import Setup


def manager_of(host: Mapping[str, Any]) -> Manager:
    """
    :param host: the facts of a request, of which ``service_manager`` ("systemd"; else supervisord) decides.
    """
    if host.get("service_manager") == "systemd":
        from .systemd.manager import SystemdManager

        return SystemdManager(host)
    from .supervisor.manager import SupervisordManager

    return SupervisordManager(host)


def setup_of(host: Mapping[str, Any]) -> Setup:
    """As `manager_of`; the service manager itself is the ``manager`` of what is returned."""
    if host.get("service_manager") == "systemd":
        from .systemd.manager import SystemdManager
        from .systemd.setup import SystemdSetup

        return SystemdSetup(SystemdManager(host))
    from .supervisor.manager import SupervisordManager
    from .supervisor.setup import SupervisordSetup

    return SupervisordSetup(SupervisordManager(host))
