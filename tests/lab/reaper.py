# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes labs, by their names alone: also what is left of one whose maker was killed.

`python -m tests.lab.reaper LAB PID` waits for the end of a process and removes its lab then. It is started beside every
lab that belongs to a test, in a session of its own, so that no kill of the test leaves hosts running.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.machine import hierarchies, leave, supervisors
from tests.lab.names import PREFIX, RUN, Names

OWNER = "owner"  # file in a lab's folder: process id and start time of the test it belongs to


def remove(lab: str) -> bool:
    """End every host of a lab and take away all that it made. :return: whether there was anything."""
    names = Names(lab)
    found = names.folder.exists()
    deadline = time.monotonic() + 10
    while (left := supervisors(names.folder)) and time.monotonic() < deadline:
        found = True
        for pid in left:
            # Process 1 takes along every process of its host; nspawn ends by itself then.
            for child in _children(pid) or ([pid] if time.monotonic() > deadline - 5 else []):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        _thaw(names)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        time.sleep(0.02)
    for place in sorted(_mounts(names.folder), key=len, reverse=True):
        _quiet("umount", place) or _quiet("umount", "--lazy", place)
    with contextlib.suppress(OSError):
        names.folder.rmdir()
    for entry in _listed(Path("/run/netns")):
        if entry.startswith(f"{PREFIX}{lab}-"):
            found = True
            _quiet("ip", "netns", "del", entry)
    leave(names.cgroup)
    return found


def orphans() -> list[str]:
    """Labs whose tests have ended."""
    found = []
    for entry in _listed(RUN):
        if entry.startswith(PREFIX):
            with contextlib.suppress(OSError, ValueError):
                pid, started = (RUN / entry / OWNER).read_text().split()
                if start_time(int(pid)) != started:
                    found.append(entry[len(PREFIX) :])
    return found


def own(names: Names) -> None:
    """From now on the lab ends with this process, however that ends."""
    pid = os.getpid()
    (names.folder / OWNER).write_text(f"{pid} {start_time(pid)}\n")
    root = Path(__file__).resolve().parents[2]
    subprocess.Popen(
        [sys.executable, "-m", "tests.lab.reaper", names.lab, str(pid)], cwd=root, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def start_time(pid: int) -> str:
    """ "" when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def main(lab: str, pid: int) -> None:
    names = Names(lab)
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not poll.poll(5000):
            if not (names.folder / OWNER).exists():  # the lab was taken down as it should be
                return
    if lab in orphans():
        remove(lab)
        names.lock.unlink(missing_ok=True)


def _thaw(names: Names) -> None:
    for hierarchy in hierarchies():
        for state in (hierarchy / names.cgroup).glob("*/freezer.state"):
            with contextlib.suppress(OSError):
                state.write_text("THAWED")
        for state in (hierarchy / names.cgroup).glob("*/cgroup.freeze"):
            with contextlib.suppress(OSError):
                state.write_text("0")


def _mounts(folder: Path) -> list[str]:
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [place for place in places if place == str(folder) or place.startswith(f"{folder}/")]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _quiet(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
