# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager of a host at run time, whichever it is: orders, and where configuration is placed.

`host.service.choose` says which one a host has. Setting a host up for it is `host.service.preparation.Setup`.
"""

from __future__ import annotations

from ..machine import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

    from ..machine.instance_files import Placing
    from ..machine.starts import Start

    Order = Tuple[str, str, str]  # verb, instance, program


class Reply:
    """What the service manager said to one order."""

    __slots__ = ("busy", "error", "exit_status", "known", "pid", "stopped")

    def __init__(self, pid: int = 0, exit_status: Optional[int] = None, error: str = "", known: bool = True) -> None:
        self.pid = pid  # of the process that lives or was not collected yet; 0: none
        self.exit_status = exit_status  # of the last run; -1: ended by a signal; None: there was none
        self.error = error  # why the order was refused, a phrase; "" when it was not
        self.known = known  # whether the service manager has such a program
        self.stopped = False  # somebody had the service manager stop it, or it has not been started since it reloaded
        self.busy = False  # refused because the last run is not collected yet: order it again


class Manager:
    """A service manager. No method waits for a program: which processes live and how they ended is read from /proc.

    Orders are ``(verb, instance, program)``; verbs: ``start``, ``stop`` (ask it to end), ``look``, ``add`` (an
    instance, whose configuration was loaded), ``drop`` (an instance that has no process any more).
    """

    # Whether processes that it has just forked cannot be distinguished from its own in /proc: then each program of an
    # instance is looked up with an order.
    asks_all = False

    def __init__(self, host: Mapping[str, Any]) -> None:
        """:param host: the facts of a request (``host``, ``root``, ``site_id``, ``address``, ...)."""
        self.host = host
        self.root: str = host["root"]

    def find(self, processes: Iterable[procs.Process]) -> int:
        """:param processes: all of this host, from a sweep.
        :return: pid of the service manager; 0 when it does not run."""
        raise NotImplementedError

    def settled(self, processes: Iterable[procs.Process]) -> int:
        """As `find`; when another run is just starting it, wait until it takes orders."""
        return self.find(processes)

    def incarnation(self, pid: int) -> Optional[str]:
        """:param pid: as `find` returns it.
        :return: ``<boot id>/<start of the service manager, clock ticks>``; None when it does not run."""
        found = procs.stat(pid) if pid else None
        return None if found is None else "%s/%d" % (procs.boot_id(), found.started)

    def start(self, settings: Mapping[str, Any], warnings: Optional[List[str]] = None) -> int:
        """Start it and wait until it answers.

        :param settings: those of ``etc/host.json``: ``supervisord`` (argument list), ``environment``.
        :param warnings: gets a sentence for each part that does not work.
        :return: its pid.
        :raises ManagerError: when that fails.
        """
        raise NotImplementedError

    def roots(self, pid: int, starts: Mapping[str, Start]) -> List[Tuple[int, str, str]]:
        """The processes that this host has started, and that it may have: other members are descendants of them.

        :param pid: of the service manager.
        :param starts: instance -> record of its start.
        :return: (pid, instance, program); names are empty where only the process itself, or `mains`, can tell.
        """
        raise NotImplementedError

    def mains(self, programs: Sequence[Tuple[str, str]], all_of_them: bool) -> Dict[int, Tuple[str, str]]:
        """Ask the service manager which processes it started.

        :param programs: (instance, program), each to ask about.
        :param all_of_them: ask about every program that it has; takes longer.
        :return: pid -> (instance, program); host services have the instance ``<service>_<host>``.
        :raises OSError: when it does not answer.
        """
        replies = self.exchange([("look", instance, program) for instance, program in programs])
        return {reply.pid: pair for pair, reply in zip(programs, replies) if reply.pid}

    def unsettled(self, nameless: Sequence[procs.Process], pid: int) -> bool:
        """Whether a program that was ordered may not be visible in /proc yet.

        :param nameless: processes of this host that belong to no instance.
        :param pid: of the service manager.
        :raises OSError: when it does not answer.
        """
        raise NotImplementedError

    def exchange(self, orders: Sequence[Order]) -> List[Reply]:
        """Send orders in one round trip. :return: one reply per order.

        :raises OSError: when the service manager does not answer.
        """
        raise NotImplementedError

    def patience(self, seconds: float) -> None:
        """Set how long an answer may take from now on."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection. The next order opens it again."""

    def placing(self) -> Placing:
        """A context in which configuration is copied to where the service manager reads it."""
        raise NotImplementedError

    def load(self) -> Optional[Sequence[str]]:
        """Have placed configuration read again.

        :return: instances that need an ``add`` afterwards; None: all of them do.
        :raises OSError: when the service manager does not answer.
        :raises ConfigurationRefused: when it does not accept what was placed.
        """
        raise NotImplementedError

    def is_placed(self, instance: str) -> bool:
        """Whether there is configuration of this instance where the service manager reads it."""
        raise NotImplementedError

    def unplace(self, instance: str) -> None:
        """Remove the placed configuration of an instance. Idempotent."""
        raise NotImplementedError

    def position(self, instance: str, program: str) -> float:
        """Where the log of a program ends now: bytes or seconds since 1970, for `last_words` only."""
        raise NotImplementedError

    def last_words(self, instance: str, program: str, position: float) -> str:
        """The last line in the log of a program after a `position`; "" when there is none."""
        raise NotImplementedError

    def ended(self, instance: str, epoch: int) -> Optional[Dict[str, Any]]:
        """How the bus of an instance ended, all of whose processes are gone.

        :return: ``{"program", "epoch", "code", "at"}`` (seconds since 1970); None when that is unknown.
        """
        return None

    def endings(self, instance: str, programs: Sequence[str]) -> Dict[str, str]:
        """How programs ended that do not live any more, as phrases; those of which that is unknown are missing.

        "stopped" stands for an order to the service manager, which somebody gave past muster.
        """
        return {}

    def own(self, pid: int) -> int:
        """:param pid: of the service manager.
        :return: the same pid if muster started the service manager and must stop it; else 0."""
        return 0
