# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``run/lease``: what the guard of a host tells muster-exec. While it exists, nothing starts that it does not allow.

It has seven lines: until when programs may start (hundredths of a second since boot), the session (which lease it is),
the process whose child a program must be (0: any), the boot, the witnesses that gave the lease, the first line once
more, and a checksum of all that. To replace a file takes a disk milliseconds, or seconds when it is busy, and the guard
has no time for that: it writes over it. A reader for whom the checksum is wrong has read while it did, and reads again.
muster-exec compares the first line with the sixth: what else it may read of two moments makes it refuse a start.
"""

from __future__ import annotations

import binascii
import os
import time

from ..machine import files, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional

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
    moment = "%012d" % int(until * 100)
    names = " ".join(sorted(witnesses))
    data = ("%s\n%s\n%d\n%s\n%s\n%s\n" % (moment, session, parent, procs.boot_id(), names, moment)).encode("ascii")
    data += b"%08x\n" % binascii.crc32(data)
    path = os.path.join(root, ALLOWED_FILE)
    try:
        known = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        known = -1
    if known >= 0:
        try:
            if os.fstat(known).st_size == len(data):  # only numbers and names of the same length differ
                os.pwrite(known, data, 0)
                return
        finally:
            os.close(known)
    new = path + files.TEMPORARY
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), "wb") as out:
        os.fchmod(out.fileno(), 0o644)
        out.write(data)
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
        found = _read(root)
        if found is None:
            return {}
        if found.until > time.clock_gettime(time.CLOCK_BOOTTIME):
            return {VARIABLE: found.session}
        if time.monotonic() > until:
            raise ValueError("it holds no lease (no majority of the witnesses answers it, or it is fenced), so nothing"
                             " may start there")
        time.sleep(0.02)


def is_new(root: str) -> bool:
    """Whether no guard was here since this machine booted, or leases were switched on."""
    found = _read(root)
    return found is None or found.session == _NONE


def session(root: str) -> str:
    """Which lease the host holds now; empty without one."""
    found = _read(root)
    return found.session if found is not None and found.until > time.clock_gettime(time.CLOCK_BOOTTIME) else ""


def observed(root: str) -> Dict[str, Any]:
    """What a host says of its lease: ``{"held", "lost", "guard", "witnesses"}``; {} where it needs none.

    It is lost when it was held since its guard began; before that, the host waits for its first one. Without ``guard``
    none has begun.
    """
    found = _read(root)
    if found is None:
        return {}
    held = found.until > time.clock_gettime(time.CLOCK_BOOTTIME)
    lost = not held and found.until == 0.0 and not found.session.endswith(("-0", _NONE))
    return {"held": held, "lost": lost, "guard": found.session != _NONE, "witnesses": found.witnesses}


class _Allowed:
    """What the file says."""

    __slots__ = ("session", "until", "witnesses")

    def __init__(self, lines: List[str]) -> None:
        of_this_boot = len(lines) >= 4 and lines[3] == procs.boot_id()
        self.until = int(lines[0]) / 100 if of_this_boot and lines[0].isdigit() else 0.0
        self.session = lines[1] if of_this_boot else _NONE
        self.witnesses = lines[4].split() if len(lines) > 4 else []


def _read(root: str) -> Optional[_Allowed]:
    """:return: None where no lease is needed."""
    for _unused in range(1000):
        data = files.read(os.path.join(root, ALLOWED_FILE))
        if data is None:
            return None
        lines = data.decode("ascii", "replace").split("\n")
        if len(lines) < 8:  # of an older guard, which has no checksum
            whole = len(lines) < 6 or not lines[5] or lines[5] == lines[0]
        else:
            whole = lines[6] == "%08x" % binascii.crc32(data[: data.rfind(b"\n", 0, -1) + 1])
        if whole:
            return _Allowed(lines)
    return _Allowed([])
