# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller at a load of up to 75: whatever fails is served with one run, and none is thrown away.

Processors are shared fairly between the tasks that can run. The real rules of turns, the real clock of a run, its real
limits; what a run costs was measured (docs/benchmarks.md): 1 CPU second until Ansible is there, 1 for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from monitor.runs.runs import READY_WITHIN_SECONDS, STARTS_WITHIN_SECONDS
from monitor.runs.turns import OwnTime, Turn, UnderWay, cold, may_look, may_park

PROCESSORS = 2
STEP = 0.2
TO_BEGIN, TO_PARK, WORK = 1.0, 1.5, 1.0  # CPU seconds
RUN_TIMEOUT = 120.0
REGULAR = 60.0
LASTS = 1200.0


@dataclass
class Job:
    kind: str  # standby | cold | look
    own: OwnTime
    began: float
    until: float = STARTS_WITHIN_SECONDS
    used: float = 0.0
    waited: float = 0.0
    parked: bool = False
    begun: bool = False
    serves: bool = False

    @property
    def standby(self) -> bool:
        return self.kind == "standby" and not self.serves


@dataclass
class Controller:
    """The pool, one intent, and the regular look."""

    load: int
    now: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    thrown_away: list[str] = field(default_factory=list)
    intent_since: float | None = None
    served: list[float] = field(default_factory=list)
    looks: int = 0
    most: int = 0  # processes of muster beside an intent that waited
    own_time: bool = True
    in_turn: bool = True
    looked: float = 0.0

    @property
    def busy(self) -> bool:
        return self.in_turn and self.load + len(self.active) > 2 * PROCESSORS

    @property
    def active(self) -> list[Job]:
        return [job for job in self.jobs if not job.parked]

    def under_way(self) -> list[UnderWay]:
        return [UnderWay(job.standby, job.begun, job.own.seconds) for job in self.active]

    def begin(self, kind: str) -> Job:
        until = READY_WITHIN_SECONDS if kind == "standby" else STARTS_WITHIN_SECONDS
        job = Job(kind, OwnTime(self.now), self.now, until)
        if not self.own_time and kind != "standby":
            job.until = RUN_TIMEOUT
        self.jobs.append(job)
        return job

    def step(self) -> None:
        self.now += STEP
        share = min(1.0, PROCESSORS / max(1, self.load + len(self.active)))
        for job in list(self.active):
            job.used += STEP * share
            job.waited += STEP * (1 - share)
            job.own.advance(self.now, job.waited if self.own_time else 0.0)
            self.advance(job)
        self.decide()

    def advance(self, job: Job) -> None:
        if not job.begun and job.used >= TO_BEGIN:
            job.begun = True
            if not job.standby and self.own_time:
                job.until = job.own.seconds + RUN_TIMEOUT
        if job.standby and job.used >= TO_PARK:
            job.parked = True
        elif not job.standby and job.used >= (TO_PARK if job.kind != "standby" else 0.0) + WORK:
            self.jobs.remove(job)
            if job.serves:
                self.served.append(self.now)
        elif job.own.seconds >= job.until or job.own.too_long(self.now, job.until):
            self.jobs.remove(job)
            self.thrown_away.append(job.kind)
            if job.serves:
                self.intent_since = self.now

    def decide(self) -> None:
        if self.intent_since is not None:
            self.send()
        if self.intent_since is not None:
            self.most = max(self.most, len(self.active))
        standby = any(job.kind == "standby" and not job.serves for job in self.jobs)
        if not standby and may_park(self.under_way(), self.busy):
            self.begin("standby")
        due = self.now - self.looked >= REGULAR and not any(job.kind == "look" for job in self.jobs)
        if due and (self.intent_since is None or not self.in_turn) and may_look(self.under_way(), self.busy):
            self.looked = self.now
            self.looks += 1
            self.begin("look")

    def send(self) -> None:
        assert self.intent_since is not None
        parked = next((job for job in self.jobs if job.parked), None)
        if parked is not None:
            parked.parked, parked.serves, parked.used = False, True, 0.0
            parked.own.rest(self.now, parked.waited)
            parked.until = parked.own.seconds + RUN_TIMEOUT
            self.intent_since = None
            return
        turn = cold(self.under_way(), self.now - self.intent_since, 1.5, self.busy)
        if turn is Turn.WAIT:
            return
        if turn is Turn.INSTEAD:
            self.jobs = [job for job in self.jobs if not job.standby]
            self.thrown_away.append("standby")
        self.begin("cold").serves = True
        self.intent_since = None


def some_time(load: int, fails_at: float, **rules: bool) -> Controller:
    controller = Controller(load, **rules)
    failed = False
    while controller.now < LASTS:
        if not failed and controller.now >= fails_at:
            controller.intent_since, failed = controller.now, True
        controller.step()
    return controller


@pytest.mark.parametrize("fails_at", [0.0, 1.0, 20.0, 59.9, 61.0, 600.0])
@pytest.mark.parametrize("load", [0, 3, 8, 30, 75, 100])
def test_what_fails_is_served_once_by_one_run_and_none_is_thrown_away(load: int, fails_at: float) -> None:
    one = some_time(load, fails_at)
    assert one.thrown_away == []
    assert len(one.served) == 1
    if load > 2 * PROCESSORS:
        assert one.most <= 1, "more than one process of muster beside an intent that waited"
    assert one.looks >= LASTS / (REGULAR + 4 * (TO_PARK + WORK) * (load + 2) / PROCESSORS) - 2
    assert [job.parked for job in one.jobs if job.kind == "standby"] == [True]


def test_with_deadlines_by_the_clock_on_the_wall_runs_are_thrown_away() -> None:
    """So that the test above can fail: the rules before these."""
    assert some_time(100, 0.0, own_time=False).thrown_away.count("standby") > 1


def test_without_turns_runs_begin_beside_an_intent_that_waits() -> None:
    assert some_time(100, 0.0, in_turn=False).most > 1
