# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps one run parked, ready for an alert. Where none parks in time, a cold run takes the order."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..base import usage
from ..base.journal import Journal
from ..core.model.moments import Ladder
from . import inventory_stamp, turns
from .playbooks import NoAnsible
from .runs import Job, Outcome, Runs, last_lines
from .standby import Standby
from .trouble import Trouble, of_ansible

POLL_SECONDS = 0.02  # between looks whether it is parked
# s after a run began to work. Earlier, the next one would take processor time from it; later, it would not be parked
# yet when a host that this run did not reach is believed down (`host_down_after`, 2 s).
SUCCESSOR_AFTER_SECONDS = 0.5
# s before the next standby, after 0, 1, ... in a row that failed. Without a failure it starts at once, for an alert
# needs it. One that fails takes about 2 CPU seconds: 60 s bounds that to a few per cent of a core, and meanwhile cold
# runs serve.
DELAYS = Ladder((0.0, 2.0, 5.0, 15.0, 60.0))
RETURNS_WITHIN_SECONDS = 1.0  # after which one that will park again gets a successor, too
SLOW_SECONDS = 10.0  # that a run waits for a processor until status says so
OLDEST_SECONDS = 1800.0  # until a parked run is replaced, so that its connections stay fresh
LOOK_SECONDS = 10.0  # between looks whether a parked run has grown old, or its inventory changed
FORGOTTEN_AFTER_SECONDS = 5.0  # without a try to send: the order that waited is gone, for the loop turns more often
LOOKS_WITHIN_SECONDS = 60.0  # that a plan over what was seen may take
AGAIN_SECONDS = 1.0  # between looks whether a standby may begin on a busy machine


class Pool:
    """Keeps one standby ready. Calls `parked()` when one waits, and `over(run, result, outcome)` after its work."""

    def __init__(
        self,
        runs: Runs,
        folder: Path,
        journal: Journal,
        parked: Callable[[], None],
        over: Callable[[str, dict[str, Any], Outcome], None],
    ) -> None:
        self._runs = runs
        self.changed: Callable[[], None] = lambda: None  # called when `no_runs` may be another
        self.deadline = 120.0  # s for the work of a run
        self.leave_out: list[str] = []  # hosts that no run goes to
        self.oldest = OLDEST_SECONDS
        self.look = LOOK_SECONDS
        self._folder = folder
        self._journal = journal
        self._parked = parked
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._trouble = Trouble()
        self._told: tuple[str, ...] = ()  # notes on the settings, as they were told last
        self._told_trouble = ""
        self._waiting: asyncio.TimerHandle | None = None
        self._closing = False
        self._lives: set[asyncio.Task[None]] = set()
        self.current: Standby | None = None  # parked
        self.coming: Standby | None = None  # starting; once parked it takes the place of the current one
        self.working: dict[str, Standby] = {}
        self._cold: set[str] = set()  # those of them that never parked
        self._usual = 0.0  # s that the last one needed to park
        self._refused: float | None = None  # since when an order waits
        self._tried = 0.0  # when it was tried last
        for left in (*folder.glob("standby-*.fifo*"), *folder.glob("cold-*.json*")):
            left.unlink(missing_ok=True)

    @property
    def state(self) -> str:
        there = self.current or self.coming
        return there.state if there is not None else "none"

    @property
    def no_runs(self) -> dict[str, Any] | None:
        """{since, why} while no run can be made."""
        if self._ready or not self._trouble.why:
            return None
        return {"since": round(self._trouble.since, 3), "why": self._trouble.why}

    @property
    def refusal(self) -> str:
        """Why a request need not wait for a run, as a sentence; empty when one may come."""
        return "" if self.no_runs is None or self._trouble.hopeful else "cannot run playbooks: %s" % self._trouble.why

    @property
    def notes(self) -> list[str]:
        """What people should know about the settings of the runs, one sentence each."""
        more = self._ready and self._trouble.why
        told = ["no further run can be made: %s" % self._trouble.why] if more else []
        slow = max((run.job.own.waited for run in (self.coming, *self.working.values()) if run), default=0.0)
        if slow > SLOW_SECONDS:
            told.append("runs are slow, but go on: one has waited %.0f s for a processor of this machine" % slow)
        return [*self._runs.notes, *told]

    def may_look(self) -> bool:
        """Whether a run that looks at every host may begin beside those under way."""
        others = self._runs.under_way()
        return not others or turns.may_look(others, usage.busy())

    @property
    def _ready(self) -> bool:
        return self.current is not None or len(self.working) > len(self._cold)

    def fill(self, delay: float = 0.0) -> None:
        """Start a standby within `delay` seconds, unless one is there or starting."""
        if not self._lacking():
            return
        delay = max(delay, DELAYS.wait(self._trouble.failures))
        due = self._loop.time() + delay
        if self._waiting is not None:
            if self._waiting.when() <= due:
                return
            self._waiting.cancel()
        self._waiting = self._loop.call_at(due, self._begin)

    def send(self, order: Mapping[str, Any]) -> str | None:
        """Give an order, intents or a request, to the parked run; to a cold run if it has waited for one too long.

        :return: the name of the run; None when no run takes the order now.
        """
        standby = self.current
        if standby is None:
            self.fill()
            return self._send_cold(order)
        self.current = None
        try:
            standby.work(order)
        except OSError as error:
            self._journal.say("standby lost", "the standby run took no intents: %s" % error)
            self._runs.end(standby.job, "it took no intents")
            self.fill()
            return None
        self._refused = None
        self.working[standby.job.ident] = standby
        if standby.returns:
            self._follow(self._come_back(standby))
        self.fill(RETURNS_WITHIN_SECONDS if standby.returns else SUCCESSOR_AFTER_SECONDS)
        return standby.job.ident

    async def plan_over(self, seen: Mapping[str, Any], term: Mapping[str, Any]) -> dict[str, Any]:
        """Have the parked run plan over what was seen; it stays parked. :return: {"plan"}, or {"why"} there is none."""
        standby = self.current
        if standby is None:
            return {"why": "no run is parked"}
        try:
            answer = standby.look(seen, term)
        except OSError as error:
            return {"why": "the parked run takes no look: %s" % error}
        until = self._loop.time() + LOOKS_WITHIN_SECONDS
        while not answer.exists():
            if standby.job.done.done() or self._loop.time() > until:
                return {"why": "the parked run has not planned over what was seen"}
            await asyncio.sleep(POLL_SECONDS)
        try:
            found = json.loads(answer.read_bytes())
        except (OSError, ValueError) as error:
            return {"why": "what the parked run planned cannot be read: %s" % error}
        answer.unlink(missing_ok=True)
        return found if isinstance(found, dict) else {}

    def replace(self, usable: bool) -> None:
        """Replace the standby, because what it took from its start has changed.

        :param usable: the parked one may serve until then; False: there is a host now that it cannot reach.
        """
        for run in self.working.values():
            run.stale, run.last = True, run.last or not usable
        if not usable:
            self._trouble.failures = 0  # the site of a first deploy is there: what failed without it need not wait
        if self.coming is not None and usable and usage.busy():
            self.coming.stale = True  # it has cost much already: it serves until the next one is there
            return
        if self.coming is not None:
            self.coming.dismiss()
            self.coming = None
        if self.current is not None:
            self.current.stale = True
            if not usable:
                self.current.dismiss()
                self.current = None
        self.fill()

    async def close(self, patience: float) -> None:
        """Dismiss the standby, and wait up to `patience` seconds for runs at work; slower ones finish alone."""
        self._closing = True
        if self._waiting is not None:
            self._waiting.cancel()
        for standby in (self.current, self.coming):
            if standby is not None:
                standby.dismiss()
        if self._lives:
            await asyncio.wait(self._lives, timeout=patience)

    def _lacking(self) -> bool:
        return not self._closing and self.coming is None and (self.current is None or self.current.stale)

    def _send_cold(self, order: Mapping[str, Any]) -> str | None:
        now = self._loop.time()
        if self._refused is None or now - self._tried > FORGOTTEN_AFTER_SECONDS:
            self._refused = now
        self._tried = now
        waited = now - self._refused
        turn = turns.cold(self._runs.under_way(), waited, self._usual, usage.busy())
        if turn is turns.Turn.WAIT or self._closing:
            return None
        if turn is turns.Turn.INSTEAD and self.coming is not None:
            self.coming.dismiss()
            self.coming = None
        self._refused = now  # the next order has to wait as long, whatever becomes of this one
        standby = self._started("cold-%d-%d.json", "run failed", "no cold run can be started", order)
        if standby is None:
            return None
        self._journal.say("cold run", "no run was parked for %.1f s" % waited, run=standby.job.ident)
        self._cold.add(standby.job.ident)
        self.working[standby.job.ident] = standby
        return standby.job.ident

    def _begin(self) -> None:
        self._waiting = None
        if not self._lacking():
            return
        if not turns.may_park(self._runs.under_way(), usage.busy()):
            self._waiting = self._loop.call_later(AGAIN_SECONDS, self._begin)
            return
        self.coming = self._started("standby-%d-%d.fifo", "standby failed", "no standby run can be started")
        if self.coming is None:
            self.fill()

    def _started(self, name: str, event: str, failure: str, order: Mapping[str, Any] | None = None) -> Standby | None:
        """Start a run, and a task that follows it. :return: None when it cannot be started, which is logged."""
        self._count += 1
        self._trouble.begins(self._loop.time(), time.time())
        try:
            path = self._folder / (name % (os.getpid(), self._count))
            standby = Standby(self._runs, path, self.deadline, self.leave_out, order)
        except (OSError, NoAnsible) as error:
            self._trouble.impossible(str(error))
            self._journal.say(event, "%s: %s" % (failure, error))
            self._tell()
            return None
        except Exception as error:  # unexpected; without this there would be no next try
            self._trouble.impossible("%s: %s" % (type(error).__name__, error))
            self._journal.failed("the start of a run", error)
            self._tell()
            return None
        for note in self._runs.notes:
            if note not in self._told:
                self._journal.say("settings", note)
        self._told = self._runs.notes
        self._follow(self._live(standby))
        return standby

    def _follow(self, life: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(life)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    async def _live(self, standby: Standby) -> None:
        """Follow one run from start to end."""
        if standby.state == "starting":
            await self._park(standby)
        outcome = await standby.job.done
        cold = standby.job.ident in self._cold
        self._cold.discard(standby.job.ident)
        if self.working.pop(standby.job.ident, None) is not None:
            result = standby.result()
            if not outcome.why:
                self._trouble.worked()
                self._tell()
            elif cold and not result:
                outcome = self._cold_failed(standby, outcome)
            self._over(standby.job.ident, result, outcome)
        elif (outcome.why or standby.state == "starting") and not standby.dismissed and not self._closing:
            why = outcome.why or "it ended before it was ready"
            output = self._runs.output(standby.job)
            self._trouble.begins(self._loop.time(), time.time())
            self._trouble.ended(why, output)
            self._journal.say("standby failed", "the standby run is gone: %s" % why, output=last_lines(output))
            self._tell()
        standby.clean()
        if self.current is standby:
            self.current = None
        if self.coming is standby:
            self.coming = None
        self.fill()

    def _cold_failed(self, standby: Standby, outcome: Outcome) -> Outcome:
        """It did nothing; who waits for it gets to know why."""
        output = self._runs.output(standby.job)
        self._trouble.ended(outcome.why, output, at_work=True)
        self._tell()
        error = of_ansible(output)
        return replace(outcome, why="%s: %s" % (outcome.why, error)) if error else outcome

    def _tell(self) -> None:
        """Log that no run can be made, once per reason, and that it is over."""
        if self._trouble.why == self._told_trouble:
            return
        self._told_trouble = self._trouble.why
        if self._trouble.why:
            self._journal.say("no runs", "cannot run playbooks: %s" % self._trouble.why)
        self.changed()

    async def _park(self, standby: Standby) -> None:
        """Wait until a standby is parked, and put it in the place of the one before; or until it is over."""
        job = standby.job
        try:
            while not (job.done.done() or standby.dismissed or standby.try_to_park()):
                if self._trouble.is_late(self._loop.time() - job.own.waited):
                    self._trouble.late(self._runs.last_words(job))
                    self._tell()
                await asyncio.sleep(POLL_SECONDS)
        except OSError as error:
            self._runs.end(job, "its FIFO cannot be opened: %s" % error)
            return
        if standby.state != "parked":
            return
        self._trouble.fine()
        self._tell()
        self._usual = job.own.seconds
        seconds = round(self._loop.time() - job.began, 2)
        self._journal.say("standby parked", run=job.ident, seconds=seconds, **_waited(job))
        before, self.current, self.coming = self.current, standby, None
        if before is not None:
            before.dismiss()
        standby.until = self._loop.time() + self.oldest
        self._look_later(standby, standby.until)
        self._parked()

    async def _come_back(self, standby: Standby) -> None:
        """Wait until a run that works has parked again, report its work, and have it serve until another one does."""
        job = standby.job
        try:
            while not standby.try_to_park():
                if job.done.done():
                    return
                await asyncio.sleep(POLL_SECONDS)
        except OSError as error:
            self._runs.end(job, "its FIFO cannot be opened: %s" % error)
            return
        if self.working.pop(job.ident, None) is None:
            return  # it is over already
        self._trouble.worked()
        self._tell()
        self._over(job.ident, standby.result(), Outcome(0, ""))
        if self.current is not None or standby.last or self._closing:
            standby.dismiss()
            self.fill()
            return
        self.current = standby
        self._look_later(standby, standby.until)
        if not standby.returns:
            standby.stale = True  # the next one parks before this one has had its last order
        self.fill()
        self._parked()

    def _look_later(self, standby: Standby, until: float) -> None:
        wait = min(self.look, max(0.0, until - self._loop.time()))
        self._loop.call_later(wait, self._look, standby, until)

    def _look(self, standby: Standby, until: float) -> None:
        """Replace a parked run that has grown old, or whose inventory has changed."""
        if self.current is not standby or standby.stale:
            return
        why = ""
        if self._loop.time() >= until:
            why = "it has waited for %.0f s" % self.oldest
        elif inventory_stamp.stamp(self._runs.inventory) != standby.inventory:
            why = "the inventory changed"
        if why:
            self._journal.say("standby replaced", why, run=standby.job.ident)
            standby.stale = True
            self.fill()
        else:
            self._look_later(standby, until)


def _waited(job: Job) -> dict[str, Any]:
    """For the log: how long it has waited for a processor, if that matters."""
    return {"waited": round(job.own.waited, 1)} if job.own.waited >= 1.0 else {}
