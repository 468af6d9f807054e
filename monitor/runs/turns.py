# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run may begin beside those under way: fewer on a busy machine, never more. Pure.

A run takes about 2 CPU seconds. On a busy machine each further one makes those under way later, and what is late is
ended, begun again, and late again. So there, one run is made at a time, and none is thrown away for being slow.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

COLD_AFTER_SECONDS = 3.0  # an order waits for a run to park
COLD_RUNS_AT_ONCE = 4
AT_HOSTS_SECONDS = 3.0  # of its own time at work, after which a run waits for hosts
MOST_SECONDS = 900.0  # that a run may wait for a processor, all in all


class OwnTime:
    """The clock of one run: it stands while the run waits for a processor, as if it had the machine for itself."""

    def __init__(self, now: float) -> None:
        self.seconds = 0.0
        self.waited = 0.0
        self._began = self._now = now
        self._known = 0.0

    def advance(self, now: float, waited: float) -> None:
        """:param waited: s that the run's processes have waited so far; less than before when some of them ended."""
        passed = max(0.0, now - self._now)
        stood = min(passed, max(0.0, waited - self._known))
        self.seconds += passed - stood
        self.waited += stood
        self._now, self._known = now, waited

    def rest(self, now: float, waited: float) -> None:
        """It did nothing until now, and its whole time begins."""
        self._began = self._now = now
        self._known = waited

    def too_long(self, now: float, until: float) -> bool:
        """Whether it is to be ended although it still waits for a processor. :param until: its limit, in own time."""
        return now - self._began > until + MOST_SECONDS


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run that is neither parked nor over."""

    standby: bool  # it will park
    begun: bool  # its first task has begun: Ansible itself is there
    age: float  # s of its own time
    at_work: float = 0.0  # those since it got its order

    @property
    def waits(self) -> bool:
        """Whether what it takes by now is no processor time: a host starts something for it, perhaps with a gate that
        waits for minutes. Nobody else waits for that."""
        return self.begun and self.at_work > AT_HOSTS_SECONDS


class Turn(enum.Enum):
    WAIT = "wait"
    BEGIN = "begin"
    INSTEAD = "instead"  # begin, and end the standby that does not get ready


def may_park(others: Sequence[UnderWay], busy: bool) -> bool:
    """Whether a standby may begin: it serves the next alert, so on a busy machine all others come first."""
    return not (busy and _taking_time(others))


def may_look(others: Sequence[UnderWay], busy: bool) -> bool:
    """Whether a run that looks at every host may begin."""
    return not (busy and _taking_time(others))


def _taking_time(runs: Sequence[UnderWay]) -> list[UnderWay]:
    """Those that need a processor."""
    return [run for run in runs if not run.waits]


def cold(others: Sequence[UnderWay], waited: float, usual: float, busy: bool) -> Turn:
    """Whether an order that waits gets a run of its own, which takes longer to begin than a parked one.

    :param waited: s that the order has waited.
    :param usual: s of its own time that the last standby took to park.
    """
    coming = [run for run in others if run.standby]
    if waited < COLD_AFTER_SECONDS or any(run.age < max(COLD_AFTER_SECONDS, 1.5 * usual) for run in coming):
        return Turn.WAIT  # a standby that is about to park is ready sooner
    if busy and _taking_time(others):
        return Turn.WAIT
    if any(not run.begun for run in others if not run.standby) or len(others) - len(coming) >= COLD_RUNS_AT_ONCE:
        return Turn.WAIT
    return Turn.INSTEAD if coming else Turn.BEGIN


def finished(report: object) -> bool:
    """Whether a run had done its work when it left this report, however it ended."""
    if not isinstance(report, dict):
        return False
    plan = report.get("plan")
    if not isinstance(plan, dict):
        return False
    acts = any(action.get("action") not in ("hold", "refuse", "free") for action in plan.get("actions") or ())
    return "outcome" in report or not acts
