# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel does with process groups that are bound to a process, with real ones."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.core.host.lease.binding import Bindings
from tests.integration.host.host_in_a_folder import wait_for

REPOSITORY = Path(__file__).resolve().parents[3]
GUARD = """
import signal, sys
from monitor.core.host.lease import kernel
from monitor.core.host.lease.binding import Bindings
bindings = Bindings()
for group in sys.argv[2:]:
    bindings.bind(int(group))
if sys.argv[1] == "deadline":
    deadline = kernel.Deadline()
    deadline.set(kernel.now() + 0.2)
if sys.argv[1] == "freed":
    bindings.free_all()
print("bound", flush=True)
if sys.argv[1] in ("deadline", "killed"):
    signal.pause()
"""


class Family:
    """A program in a group of its own, with a child in it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & echo $!; wait"], start_new_session=True,
                                        stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert self.process.stdout is not None
        self.child = int(self.process.stdout.readline())

    def gone(self) -> bool:
        """Its child is collected by somebody else."""
        if self.process.poll() is None:
            return False
        try:
            return Path("/proc/%d/stat" % self.child).read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(name="families")
def families_fixture() -> Iterator[list[Family]]:
    made = [Family() for _unused in range(3)]
    yield made
    for family in made:
        family.close()
        assert family.process.stdout is not None
        family.process.stdout.close()


@pytest.mark.parametrize("how", ["killed", "deadline", "ended"])
def test_groups_end_with_the_process_that_they_are_bound_to(how: str, families: list[Family]) -> None:
    guard = guarding(how, families[:2])
    if how == "killed":
        guard.send_signal(signal.SIGSTOP)  # it stands still, too
        guard.kill()
    guard.wait(20)
    wait_for(lambda: all(family.gone() for family in families[:2]), "what was bound ended")
    assert not families[2].gone(), "it was not bound"


def test_what_was_freed_goes_on(families: list[Family]) -> None:
    guarding("freed", families).wait(20)
    assert not any(family.gone() for family in families)


def test_a_group_that_ended_is_forgotten_and_one_that_is_not_there_refused(families: list[Family]) -> None:
    bindings = Bindings()
    bindings.bind(families[0].process.pid)
    families[0].close()
    wait_for(lambda: not Path("/proc/%d" % families[0].child).exists(), "its child is collected")
    bindings.bind(families[1].process.pid)
    assert bindings.groups() == [families[1].process.pid]
    with pytest.raises(OSError, match="No such process"):
        bindings.bind(families[0].process.pid)
    bindings.free_all()


def guarding(how: str, families: list[Family]) -> subprocess.Popen[str]:
    groups = [str(family.process.pid) for family in families]
    guard = subprocess.Popen([sys.executable, "-c", GUARD, how, *groups], stdout=subprocess.PIPE, text=True,
                             cwd=REPOSITORY)  # fmt: skip
    assert guard.stdout is not None and guard.stdout.readline() == "bound\n"
    return guard
