# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting up a host for its service manager: the interface, and the record of one preparation."""

from __future__ import annotations

import os

from ..machine import files as machine_files
from .errors import ManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Set

    from .manager import Manager


class Preparation:
    """One preparation of a host: writes its files, or in check mode only notes what it would write."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        """:param request: with ``host``, ``check`` and ``diff``."""
        self.host: Mapping[str, Any] = request["host"]
        self.root: str = self.host["root"]
        self.check = bool(request.get("check"))
        self.diff = bool(request.get("diff"))
        self.did: List[str] = []  # sentences
        self.programs: List[str] = []  # names below bin/ that changed
        self.warnings: List[str] = []
        self.diffs: List[Dict[str, str]] = []

    def write(self, name: str, text: str, mode: int = 0o640) -> bool:
        """Make a file hold this text.

        :param name: path below the host's folder, or an absolute path.
        :return: whether it changed, or in check mode would change.
        :raises OSError: when it cannot be read or written.
        """
        path = os.path.join(self.root, name)
        before = machine_files.read(path) or b""
        data = text.encode("utf-8")
        if before == data:
            return False
        self.did.append("wrote %s" % name)
        if self.diff:
            self.diffs.append({"before": before.decode("utf-8", "replace"), "after": text, "before_header": path,
                               "after_header": path})
        if not self.check:
            machine_files.write_file(path, data, mode)
        return True

    def answer(self) -> Dict[str, Any]:
        """:return: ``{"changed", "did", "warnings"}``, with ``diff`` where there is one."""
        answer: Dict[str, Any] = {"changed": bool(self.did), "did": self.did, "warnings": self.warnings}
        if self.diffs:
            answer["diff"] = self.diffs
        return answer


class Setup:
    """How a host is set up for its service manager, looked through for foreign changes, and taken down."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.host = manager.host

    def needs(self, check: bool) -> str:
        """:param check: in check mode, accounts that the role `host` makes before a preparation may be missing.
        :return: what this machine lacks, in one sentence; "" when it lacks nothing."""
        raise NotImplementedError

    def take_folder(self, work: Preparation) -> None:
        """Let the accounts that run programs read the host's folder, where they are not the account that deploys."""

    def configure(self, work: Preparation, request: Mapping[str, Any]) -> List[str]:
        """Write the configuration of the service manager itself.

        :param request: see `host.prepare.prepare`.
        :return: names of changed files that are read only when the service manager starts again.
        :raises ManagerError: when a unit of the same name does not belong to this host.
        """
        raise NotImplementedError

    def hold_lease(self, work: Preparation, lease: Optional[Mapping[str, Any]]) -> None:
        """Start what holds the host's lease, where that is a program of its own, or stop it. Instances that run go on.

        :param lease: the content of ``etc/lease.json``; None: it is gone.
        :raises ManagerError: when the service manager does not answer, or refuses.
        """

    def serve(self, work: Preparation, request: Mapping[str, Any], changed: Set[str]) -> None:
        """Start host services that do not run, restart those that changed, stop those that are configured no more.

        :param changed: names of services whose files changed, came or went.
        :raises ManagerError: when the service manager does not answer, or refuses.
        """
        raise NotImplementedError

    def start_services(self) -> List[str]:
        """Start the host services that do not run, as they are configured here. :return: their names.

        :raises ManagerError: when the service manager does not answer, or refuses.
        """
        raise NotImplementedError

    def examine(self) -> List[str]:
        """Files of the service manager that were changed outside muster, one phrase each."""
        return []

    def down(self) -> None:
        """Stop everything of this host that the service manager could start again. Processes may still live then."""

    def forget(self) -> None:
        """Remove what the service manager of this host has outside of the host's folder. Idempotent."""


def environment_lines(variables: Mapping[str, str]) -> str:
    """A file of variables, as muster-exec reads it: ``NAME=value`` lines, sorted.

    :raises ManagerError: for a value of more than one line.
    """
    for name, value in variables.items():
        if "\n" in value:
            raise ManagerError("the variable %s holds more than one line, which cannot be passed on" % name)
    return "".join("%s=%s\n" % (name, value) for name, value in sorted(variables.items()))


def service_names(files: Iterable[str]) -> List[str]:
    """The host services that these files below ``etc/services`` configure: a file of that folder itself per service."""
    return sorted({name.rpartition(".")[0] for name in files if "/" not in name})
