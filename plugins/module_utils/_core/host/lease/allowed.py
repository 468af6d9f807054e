# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``run/lease``: what the guard of a host tells muster-exec. While it exists, nothing starts that it does not allow.

It has five lines: until when programs may start (hundredths of a second since boot), the session (which lease it is),
the process whose child a program must be (0: any), the boot, and the witnesses that gave the lease.
"""

from __future__ import annotations

import os
import time

from ..machine import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable

SETTINGS_FILE = "etc/lease.json"
ALLOWED_FILE = "run/lease"
VARIABLE = "MUSTER_LEASE"  # in a claim: the session under which its act began
_PATIENCE = 8.0  # s that an act waits for a lease
_NONE = "none"


def allow(root: str, until: float, session: str, parent: int, witnesses: Iterable[str] = ()) -> None:
    """Tell muster-exec until when it may start programs.

    :param until: seconds since boot; 0.0: no longer.
    :raises OSError: when it cannot be written.
    """
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
        boot = handle.read().strip()
    text = "%d\n%s\n%d\n%s\n%s\n" % (int(until * 100), session, parent, boot, " ".join(sorted(witnesses)))
    path = os.path.join(root, ALLOWED_FILE)
    new = path + files.TEMPORARY
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), "w", encoding="ascii") as out:
        os.fchmod(out.fileno(), 0o644)
        out.write(text)
    os.rename(new, path)


def forbid(root: str) -> None:
    """No program may start until a guard says so. For a host with settings, before its service manager starts."""
    if os.path.exists(os.path.join(root, SETTINGS_FILE)):
        allow(root, 0.0, _NONE, 0)
    else:
        files.remove(os.path.join(root, ALLOWED_FILE))


def claimed(root: str, deadline: float) -> Dict[str, str]:
    """What a claim must say so that muster-exec starts its programs: {} where no lease is needed.

    A host whose service manager has just been started needs a moment: its witnesses may have been, too.

    :param deadline: monotonic time until which the lease is waited for, at most.
    :raises ValueError: when it needs a lease and gets none; the text is the reason.
    """
    until = min(deadline, time.monotonic() + _PATIENCE)
    while True:
        data = files.read(os.path.join(root, ALLOWED_FILE))
        if data is None:
            return {}
        lines = data.decode("ascii", "replace").split("\n")
        if len(lines) >= 4 and lines[0].isdigit() and int(lines[0]) > time.clock_gettime(time.CLOCK_BOOTTIME) * 100:
            return {VARIABLE: lines[1]}
        if time.monotonic() > until:
            raise ValueError("it holds no lease (no majority of the witnesses answers it, or it is fenced), so nothing"
                             " may start there")
        time.sleep(0.02)


def observed(root: str) -> Dict[str, Any]:
    """What a host says of its lease: ``{"held", "witnesses"}``; {} where it needs none."""
    data = files.read(os.path.join(root, ALLOWED_FILE))
    if data is None:
        return {}
    lines = data.decode("ascii", "replace").split("\n") + [""] * 5
    held = lines[0].isdigit() and int(lines[0]) > time.clock_gettime(time.CLOCK_BOOTTIME) * 100
    return {"held": held, "witnesses": lines[4].split()}
