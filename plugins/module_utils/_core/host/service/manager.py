# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager of a host, whichever it is: the one place that chooses, and what the others rely on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

    from ..act.launches import Reply
    from ..machine import procs as machine_procs
    from ..machine.instance_files import Placing
    from ..prepare import Work

    Order = Tuple[str, str, str]  # verb, instance, program


class ManagerError(Exception):
    """The service manager cannot be started, or does not take something; the text is a sentence."""


class Refused(Exception):
    """It does not accept a configuration that was placed; the text says why."""


class Manager:
    """A service manager. Nothing here waits for a program: what lives and what ended is read from /proc.

    Orders are ``(verb, instance, program)``; verbs: ``start``, ``stop`` (ask it to end), ``look``, ``add`` (an
    instance, whose configuration was loaded), ``drop`` (an instance that has no process any more).
    """

    asks_all = False  # /proc does not show every process that it has forked: it is asked for each of an instance

    def __init__(self, host: Mapping[str, Any]) -> None:
        self.host = host
        self.root: str = host["root"]

    def find(self, processes: Iterable[machine_procs.Process]) -> int:
        """Its pid, given a sweep of this host's processes; 0 when it does not run."""
        raise NotImplementedError

    def settled(self, processes: Iterable[machine_procs.Process]) -> int:
        """As `find`, but one that another run is just starting is waited for: it takes orders then."""
        return self.find(processes)

    def incarnation(self, pid: int) -> Optional[str]:
        """``<boot id>/<start of the service manager, clock ticks>``; None when it does not run."""
        from ..machine import procs

        found = procs.stat(pid) if pid else None
        return None if found is None else "%s/%d" % (procs.boot_id(), found.started)

    def start(self, settings: Mapping[str, Any], warnings: Optional[List[str]] = None) -> int:
        """Start it and wait until it answers.

        :param settings: as kept in ``etc/host.json``.
        :return: its pid.
        :raises ManagerError: when that fails.
        """
        raise NotImplementedError

    def started(self, process: machine_procs.Process, found: machine_procs.Stat, pid: int) -> bool:
        """Whether it started this process itself; the others are children of those.

        :param pid: of the service manager.
        """
        raise NotImplementedError

    def unsettled(self, nameless: Sequence[machine_procs.Process], pid: int) -> bool:
        """Whether something it was asked for may not be seen in /proc yet.

        :param nameless: processes of this host that do not say which program they are.
        """
        raise NotImplementedError

    def exchange(self, orders: Sequence[Order]) -> List[Reply]:
        """One reply per order, all in one round trip.

        :raises OSError: when it does not answer.
        """
        raise NotImplementedError

    def patience(self, seconds: float) -> None:
        """How long an answer may take from now on."""
        raise NotImplementedError

    def close(self) -> None:
        """Be done with it for now."""

    def placing(self) -> Placing:
        """What puts configuration where it is read."""
        raise NotImplementedError

    def load(self) -> Optional[Sequence[str]]:
        """Have placed configuration read again.

        :return: instances that must be added then; None: all of them.
        :raises OSError: when it does not answer.
        :raises Refused: when it does not accept what was placed.
        """
        raise NotImplementedError

    def is_placed(self, instance: str) -> bool:
        raise NotImplementedError

    def unplace(self, instance: str) -> None:
        raise NotImplementedError

    def position(self, instance: str, program: str) -> float:
        """Where the log of a program ends now."""
        raise NotImplementedError

    def last_words(self, instance: str, program: str, position: float) -> str:
        """The last line it wrote after that; empty when there is none."""
        raise NotImplementedError

    def needs(self, check: bool) -> str:
        """A sentence about what is missing on this machine; empty when nothing is.

        :param check: what the role `host` would have made by now may be missing.
        """
        raise NotImplementedError

    def take_folder(self, work: Work) -> None:
        """Make the host's folders readable for its programs, where those are not run by who deploys."""

    def configure(self, work: Work, request: Mapping[str, Any]) -> List[str]:
        """Write what belongs to the service manager itself. :return: what counts only when it starts again."""
        raise NotImplementedError

    def serve(self, work: Work, request: Mapping[str, Any], changed: Iterable[str]) -> None:
        """Have host services run, and what of them changed restarted."""
        raise NotImplementedError

    def examine(self) -> List[str]:
        """What somebody changed past muster, one phrase each."""
        return []

    def ended(self, instance: str, epoch: int) -> Optional[Dict[str, Any]]:
        """How the bus of an instance ended whose processes are all gone: ``{"program", "epoch", "code", "at"}``."""
        return None

    def down(self) -> None:
        """Before everything of ours is ended: nothing may start again."""

    def own(self, pid: int) -> int:
        """The pid, when the service manager is of ours alone and ends with us; else 0."""
        return 0

    def forget(self) -> None:
        """Remove what it keeps outside of our folder."""


def without_setpriv(path: str) -> str:
    """Why no program can be started on this machine, in one sentence; empty when they can.

    :param path: where programs are found.
    """
    import shutil
    import subprocess

    found = shutil.which("setpriv", path=path)
    if found is None:
        return "the program setpriv is missing (package util-linux), programs cannot be started without it"
    done = subprocess.run([found, "--pdeathsig", "KILL", "true"], env={"PATH": path}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode == 0:
        return ""
    words = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
    return ("%s does not work with --pdeathsig (%s), programs cannot be started without it: util-linux 2.33 or newer "
            "has it, as in Debian 10 or RHEL 9" % (found, words or "it ended with %d" % done.returncode))


def of(host: Mapping[str, Any]) -> Manager:
    """The service manager of this host."""
    if host.get("service_manager") == "systemd":
        from .systemd.manager import Systemd

        return Systemd(host)
    from .supervisor.manager import Supervisord

    return Supervisord(host)
