# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of people at the hosts of a local site, outside muster, and what they find there.

On real hosts the same is done otherwise: `tests.lab.site` has the same methods, so that the tests need not know.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.core.host.machine import procs, starts

if TYPE_CHECKING:
    from tests.integration.local_site import Played
    from tests.integration.process_table import Process

DIES_WITHIN = 20.0  # s until the programs of a supervisord that was killed must be gone


class Hands:
    """The part of `SiteLab` that knows how hosts are made."""

    folder: Path
    environment: dict[str, str]
    if TYPE_CHECKING:

        def root(self, host: str) -> Path: ...
        def run(self, command: list[str], **environment: str) -> Played: ...
        def processes(self, instance: str = "") -> list[Process]: ...

    def supervisord(self, host: str) -> int:
        return int((self.root(host) / "run" / "supervisord.pid").read_text())

    def supervisorctl(self, host: str, *arguments: str) -> Played:
        socket = self.root(host) / "run" / "supervisor.sock"
        return self.run([sys.executable, "-m", "supervisor.supervisorctl", "-s", "unix://%s" % socket, *arguments])

    def by_hand(self, host: str, verb: str, name: str) -> None:
        """`start` or `stop` an instance or a host service with the service manager's own command."""
        self.supervisorctl(host, verb, name + ":*")

    def reboot(self, *hosts: str) -> None:
        """Reboot all of these hosts at once: every program ends, then the programs that start at boot are started."""
        for host in hosts:  # nothing starts a supervisord of this machine but a run
            os.kill(self.supervisord(host), signal.SIGKILL)
        until = time.monotonic() + DIES_WITHIN
        while left := [process for process in self.processes() if process.host in hosts]:
            assert time.monotonic() < until, "programs outlive their supervisord: %s" % left
            time.sleep(0.05)

    def said(self, host: str, instance: str, program: str) -> str:
        """A program's log; empty when it never ran there."""
        log = self.root(host) / "log" / instance / (program + ".log")
        return log.read_text() if log.exists() else ""

    def definition(self, host: str, instance: str) -> Path:
        """The file on a host that tells how the programs of an instance are run."""
        return self.root(host) / "etc" / "available" / (instance + ".ini")

    def seen_root(self, host: str) -> str:
        """The host's folder, as its own processes call it."""
        return str(self.root(host))

    def shared(self) -> tuple[Path, str]:
        """A folder of the controller: as it is reached from here, and as the monitor calls it."""
        folder = self.folder / "shared"
        folder.mkdir(exist_ok=True)
        return folder, str(folder)

    def begin_at(self, host: str, command: list[str], **environment: str) -> subprocess.Popen[str]:
        """A process on a host that muster knows nothing of, in this environment."""
        return self._begin(command, {**self.environment, **environment})

    def seen_process(self, begun: subprocess.Popen[Any]) -> tuple[int, int]:
        """Process id and start time, as the host's own processes see them, of what `begin_at` began."""
        found = procs.stat(begun.pid)
        assert found is not None
        return begun.pid, found.started

    @contextlib.contextmanager
    def stray(self, instance: str, host: str) -> Iterator[subprocess.Popen[str]]:
        """A copy of an instance that an earlier start left on a host, as after a cut: on record there, without a claim.

        A process that only carries the labels of an instance is a stranger: tests/field/test_identity.py.
        """
        claimed = next(process for process in self.processes(instance))
        words = Path("/proc/%d/environ" % claimed.pid).read_text(encoding="utf-8").split("\0")
        environment = dict(word.partition("=")[::2] for word in words if word)
        environment.update(MUSTER_HOST=host, MUSTER_ROOT=self.seen_root(host))
        del environment["MUSTER_EPOCH"]  # else the watcher would count it as a second copy that muster started
        process = self.begin_at(host, ["sleep", "300"], **environment)
        left = starts.Start(instance, max(claimed.epoch - 1, 0), "left")
        left.add(str(self.root(host)), {claimed.program: self.seen_process(process)})
        try:
            yield process
        finally:
            starts.remove(str(self.root(host)), instance)
            process.kill()
            process.communicate()

    @staticmethod
    def _begin(command: list[str], environment: dict[str, str] | None = None) -> subprocess.Popen[Any]:
        return subprocess.Popen(command, env=environment, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
