# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that ended as they may: with an exit code that the record of their start allows."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, Dict, List, Mapping, Tuple

    from ..machine.starts import Start
    from .manager import Manager, Reply


def asked(record: Start, living: Collection[str]) -> List[str]:
    """The programs whose end has to be looked up. :param living: those that have a process."""
    return [name for name in sorted(record.ends) if name not in living]


def judged(record: Start, programs: List[str], replies: List[Reply]) -> Dict[str, int]:
    """:param replies: the service manager's, to ``look`` for each of the programs.
    :return: program -> exit code of those that ended as they may."""
    found = {}
    for program, reply in zip(programs, replies):
        code = reply.exit_status
        # "stopped": by an order past muster, or never started by this service manager
        if not (reply.error or reply.pid or reply.stopped or code is None) and code in record.ends[program]:
            found[program] = code
    return found


def done(manager: Manager, record: Start, living: Collection[str]) -> Dict[str, int]:
    """As `judged`; empty where the service manager does not answer."""
    programs = asked(record, living)
    if not programs:
        return {}
    orders: List[Tuple[str, str, str]] = [("look", record.instance, program) for program in programs]
    try:
        return judged(record, programs, manager.exchange(orders))
    except OSError:
        return {}


def codes(programs: List[Mapping[str, Any]]) -> Dict[str, List[int]]:
    """What a record keeps: program -> exit codes; gates always end, so how does not matter."""
    return {p["name"]: list(p["exit_codes"]) for p in programs if p.get("exit_codes") and not p["wait_exit"]}
