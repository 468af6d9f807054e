# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a run, on the controller: a run that was killed is not waited for until its deadline.

Only what is certain counts: of a process of another machine, or of another container, nothing is known.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Mapping

from ..host.machine import procs


def text_of(pid: int) -> str:
    """A process of this machine for the ledger; empty where there is none."""
    found = procs.stat(pid)
    return "%s/%d/%d" % (_here(), pid, found.started) if found is not None else ""


def is_gone(text: str) -> bool:
    """Whether a process of the ledger certainly does not live any more."""
    here, _unused, rest = text.partition("/")
    pid, _unused, started = rest.partition("/")
    if not here or here != _here() or procs.number(pid) <= 0:
        return False
    try:
        os.kill(int(pid), 0)  # /proc may hide the processes of others
    except ProcessLookupError:
        return True
    except OSError:
        pass
    found = procs.stat(int(pid))
    return found is not None and (found.gone or found.started != procs.number(started))


def without_gone(state: Mapping[str, Any], gone: Callable[[str], bool] = is_gone) -> Dict[str, Any]:
    """The ledger's state, in which a run that is gone is one that is over and got no answer.

    What it sent to a host may still arrive there, as after a connection that broke.
    """
    lost: Dict[str, Any] = {}
    known: Dict[str, bool] = {}
    for name, claim in state["claims"].items():
        actor = claim.get("actor") or {}
        process = str(actor.get("process") or "")
        if process and not actor.get("lost") and _known(known, process, gone):
            lost[name] = dict(claim, actor=dict(actor, lost=True))
    return dict(state, claims={**state["claims"], **lost}) if lost else dict(state)


def _known(known: Dict[str, bool], process: str, gone: Callable[[str], bool]) -> bool:
    if process not in known:
        known[process] = gone(process)
    return known[process]


def _here() -> str:
    """This boot of this machine, and the container in which pids count."""
    try:
        return "%s.%s" % (procs.boot_id(), os.readlink("/proc/self/ns/pid").strip("pid:[]"))
    except OSError:
        return ""
