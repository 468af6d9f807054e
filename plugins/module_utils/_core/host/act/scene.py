# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all instances of one act on one host share."""

from __future__ import annotations

from ..lease import stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Final, Mapping

    from ..service.manager import Manager


class Contact:
    """Whether the service manager takes orders. Only the sequencer changes it, while an act goes on."""

    __slots__ = ("forked", "silent")

    def __init__(self, silent: str) -> None:
        self.silent = silent  # why it takes no orders, a sentence; "" while it takes them
        self.forked = False  # as of the last sweep: it has a process on its way that shows no name yet


class Scene:
    """The host, its service manager, and the time of one act. Its attributes never change."""

    __slots__ = ("began", "contact", "deadline", "host", "lease", "manager", "manager_pid", "name", "root")

    def __init__(
        self, manager: Manager, manager_pid: int, began: float, deadline: float, lease: Mapping[str, str]
    ) -> None:
        """
        :param manager_pid: of the service manager; 0 when it does not run: only stops work then.
        :param began: monotonic time that timelines count from, in seconds.
        :param deadline: monotonic time at which everything must be over, in seconds.
        :param lease: what claims say of the host's lease: see `host.lease.settings.claimed`.
        """
        self.manager: Final[Manager] = manager
        self.manager_pid: Final[int] = manager_pid
        self.host: Final[Mapping[str, Any]] = manager.host
        self.name: Final[str] = manager.host["host"]
        self.root: Final[str] = manager.root
        self.began: Final[float] = began
        self.deadline: Final[float] = deadline
        self.lease: Final[Mapping[str, str]] = lease
        self.contact: Final[Contact] = Contact(
            "" if manager_pid else "the service manager of %s does not run" % self.name)

    def lines(self, request: Mapping[str, Any]) -> Dict[str, str]:
        """What the claim of an instance says of the host's lease, and of its end with it.

        :param request: for the instance.
        """
        return {**self.lease, **stopping.line(request["programs"])} if self.lease else {}
