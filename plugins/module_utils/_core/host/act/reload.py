# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell programs that run to take their changed configuration: by a signal, or by a command that must exit with 0."""

from __future__ import annotations

import os
import signal
import time

from ..inside import surroundings
from ..machine import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, List, Mapping, Sequence, Tuple

    Steps = Generator[List[Tuple[str, str, str]], List[Any], str]


def tell_all(
    root: str, programs: Sequence[Mapping[str, Any]], mains: Mapping[str, int], deadline: float, settle: float
) -> Steps:
    """Tell these programs, in their order, then watch them.

    :param mains: program -> pid.
    :param settle: s that they are watched: what does not bear its new files usually ends at once.
    :return: why they did not take them, as a phrase; "" when they did.
    """
    for program in programs:
        why = yield from _tell(root, program, mains.get(program["name"], 0), deadline)
        if why:
            return "%s %s" % (program["name"], why)
    until = min(deadline, time.monotonic() + settle)
    while programs and time.monotonic() < until:
        for program in programs:
            if not procs.alive(mains[program["name"]]):
                return "%s ended when it was told to take its files" % program["name"]
        yield []
    return ""


def _tell(root: str, program: Mapping[str, Any], pid: int, deadline: float) -> Steps:
    """:param program: of an act, with ``reload``: the name of a signal, or the arguments of a command."""
    found = procs.stat(pid) if pid else None
    if found is None or found.gone:
        return "does not run"
    how = program["reload"]
    if isinstance(how, str):
        procs.send(pid, int(getattr(signal, "SIG" + how)), found.started)
        return ""
    import subprocess  # takes 10 ms to import

    command = [how[0] if how[0].startswith("/") else "%s/bin/%s" % (root, how[0]), *how[1:]]
    until = min(deadline, time.monotonic() + float(program["start_timeout"]))
    try:
        environment = dict(surroundings.environment(pid), MUSTER_PID=str(pid))
        child = subprocess.Popen(command, env=environment, cwd=root, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True,
                                 start_new_session=True, **_user(pid))
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return "could not be told: %s: %s" % (command[0], getattr(error, "strerror", None) or error)
    while child.poll() is None:
        if time.monotonic() > until:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return "was not told in time: %s did not end" % command[0]
        yield []
    if child.returncode < 0:
        return "refused: %s was ended by signal %d" % (command[0], -child.returncode)
    return "" if child.returncode == 0 else "refused: %s exited with %d" % (command[0], child.returncode)


def _user(pid: int) -> Dict[str, Any]:
    """What runs the command as the program's user: its environment was the program's to change."""
    uid, gid, groups = surroundings.identity(pid)
    if uid == os.geteuid():
        return {}

    def become() -> None:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)

    return {"preexec_fn": become}
