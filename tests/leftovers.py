# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes everything that a test started when its process ends, in any way.

`own` names a folder to a process beside this one, in a session of its own, which hears by the end of a pipe that this
one is no more. What then still mentions such a folder is ended, what is mounted below it unmounted, and it is removed.
Labs of booted hosts have names besides folders: `tests.lab.reaper`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WITHIN = 60.0  # s
_KEEP = "keep "

_beside: subprocess.Popen[bytes] | None = None


def own(folder: Path | str, keep: bool = False) -> None:
    """Remove the folder, its processes and its mounts when this process ends.

    :param keep: its files stay, as those of pytest do.
    """
    global _beside
    if _beside is None:
        _beside = subprocess.Popen(
            [sys.executable, "-m", "tests.leftovers"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    assert _beside.stdin is not None
    _beside.stdin.write(("%s%s\n" % (_KEEP if keep else "", folder)).encode())
    _beside.stdin.flush()


def ours(folder: str) -> list[int]:
    """Every process with this folder in its environment, command line or working folder, but us."""
    mark = re.compile(re.escape(folder.encode()) + rb"(?![\w-])")  # not that of another number
    found = []
    for pid in [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]:
        if pid == os.getpid():
            continue
        try:
            data = b"".join(Path("/proc/%d/%s" % (pid, name)).read_bytes() for name in ("environ", "cmdline"))
            data += os.readlink("/proc/%d/cwd" % pid).encode(errors="surrogateescape")
            dead = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if mark.search(data) and not dead:
            found.append(pid)
    return found


def end(folder: str) -> None:
    """Kill all processes there, frozen ones included."""
    deadline = time.monotonic() + WITHIN
    while (left := ours(folder)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def clear(folder: str) -> None:
    """End, unmount and remove."""
    end(folder)
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((p for p in places if p == folder or p.startswith(folder + "/")), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    folders = sys.stdin.read().splitlines()  # until the test's process is no more
    for folder in folders:
        if folder.startswith(_KEEP):
            end(folder.removeprefix(_KEEP))
        elif os.path.isdir(folder):
            clear(folder)


if __name__ == "__main__":
    main()
