# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor: observe, decide, act.

Probes, lines to hosts, file events, requests and ended runs only pass in what happened and wake the loop; this is the
one place that reads the clock and starts runs. `monitor.judge.brain` knows and decides; what it returns is carried out
by `Monitor._carry_out`. The monitor never starts or stops a process of the site itself: it says *that* something must
happen, and a run of the playbooks does it. After a crash it finds all it needs in watch list and ledger.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .base import descriptors
from .base.files import file_stamp
from .base.journal import Journal
from .base.listeners import Listened
from .base.waking import Waking
from .core.controller import ledgers, places
from .core.model.request import KINDS, Request
from .judge.brain import Brain
from .judge.effects import Answer, BusEnded, Effect, Fence, Look, Note, Question, Reconcile, Send, Wake
from .judge.health import Health
from .judge.hosts import Signal
from .judge.intents import Intents
from .judge.schedule import Schedule, variables
from .judge.watch_list import Watch, how_it_ended
from .kept import Kept
from .lead.helm import Helm
from .look_task import LookTask
from .runs import ssh_of_runs, whole_runs
from .runs.playbooks import NoAnsible
from .runs.pool import Pool
from .runs.runs import MIB, Job, Outcome, Runs
from .tell import snapshot
from .tell.sd_notify import Notify
from .tell.survived import pause, survived
from .watch.act_door import ActDoor
from .watch.fences import Fences
from .watch.lines import Lines
from .watch.prober import Key, Prober
from .watch.watch_file import FileEvents, WatchList
from .words_task import LastWords

LOOK_AGAIN_SECONDS = 2.0  # between looks at the watch list when no file event came
LOOK_OFTEN_SECONDS = 0.2  # the same where the system gives no file events
STATUS_EVERY_SECONDS = 5.0  # between rewrites of run/monitor.json when nothing changed


class Monitor(Listened):
    """One per state folder. Belongs to the asyncio loop that it was made in."""

    def __init__(self, state_dir: Path, inventory: list[str], journal: Journal, *, standby: bool = True) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self.journal = journal
        self.state_dir, self._folder = state_dir, state_dir / places.RUN_FOLDER
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._list = WatchList(state_dir, lambda why: journal.say("watch list", why))
        self._prober = Prober(self._health_changed, lambda why: journal.say("probe", why))
        says, ssh = partial(journal.say, "line"), partial(ssh_of_runs.read, os.environ, Path.cwd())
        self._lines = Lines(self._line_changed, self._event, says, state_dir / places.DOORS_FOLDER, ssh)
        self.logs, self.looks, self.ways = self._lines.logs, self._lines.looks, self._lines
        self._words = LastWords(state_dir, self.logs, journal)
        self._acts = ActDoor(state_dir / places.ACTS_SOCKET, self._lines.acts, says)
        self._runs = Runs(state_dir, inventory)
        self._pool = Pool(self._runs, self._folder, journal, self.wake, self._run_over) if standby else None
        if self._pool is not None:
            self._pool.changed = self._changed
        self._look_task = LookTask(state_dir, self._lines, self._pool, journal, self._look_over)
        intents = Intents("%x" % int(time.time()))
        self._brain = Brain(self._prober.buses, self._prober.services, intents, Schedule(now))
        self._fences = Fences(
            state_dir,
            lambda host, why: journal.say("fence", why, host=host),
            lambda host, says: self._carry_out([*self._brain.fencing.told(host, says), Wake()]),
        )
        self._jobs: set[Job] = set()  # whole runs under way
        self._kept = Kept(state_dir, journal)
        self._helm = Helm(state_dir, self._brain, self._kept, self._fences, self._carry_out, self.wake, self.stop)
        self._helm.whole, self._helm.parks, self._helm.end_run = self._whole_run, standby, self._runs.end_for
        self.rank, self.withdraw = self._helm.rank, self._helm.withdraw
        self._runs.own, self._lines.leads = self.rank.variables, self.rank.leads
        self._waking, self._status_due, self._since = Waking(), now, time.time()
        self.turned = now  # when the loop turned last: the API's health check
        self._site_stamp = file_stamp(state_dir / places.SITE_FILE)
        self._untaken = False  # a watch list was read, and not yet taken in whole
        self._next: float | None = None  # when something falls due although nothing happens
        self._failures, self.failing = 0, ""  # turns in a row that failed; why, while they do: one sentence
        self.scarce = ""  # why it can hardly open a file any more
        self._stopping, self._notify, self._look_again = False, Notify(), LOOK_AGAIN_SECONDS

    def wake(self) -> None:
        self._waking.wake()

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    async def run(self, patience: float = 10.0) -> None:
        """Turn until `stop`; then wait up to `patience` seconds for runs at work."""
        events: FileEvents | None = None
        try:
            events = FileEvents(self.state_dir, self._loop, self.wake)
        except OSError as error:
            self._look_again = LOOK_OFTEN_SECONDS
            self.journal.say("file events", "there are none (%s): looking every %g s" % (error, LOOK_OFTEN_SECONDS))
        self.journal.say("monitor started", state_dir=str(self.state_dir), pid=os.getpid())
        await self._acts.open()
        if self._pool is not None:
            self._pool.fill()
        self._helm.start()
        try:
            while not self._stopping:
                await (self._sleep() if self.turn() else self._recover())
        finally:
            if events is not None:
                events.stop()
            self._prober.stop()
            self._look_task.stop()
            self._fences.stop()
            self._helm.stop()
            self._notify.stopping()
            self.journal.say("monitor stopping", "it received a signal to stop")
            if self._pool is not None:
                await self._pool.close(patience)
            if self._jobs:
                await asyncio.wait([job.done for job in self._jobs], timeout=patience)
            self._acts.close()
            self._lines.stop()  # last: what runs at work have handed over comes back there
            self._write_status("stopped")

    def observe(self) -> None:
        """Take in the watch list. Needed before each decision: a stop is published before it is done."""
        known_lost = self._list.lost
        if not (self._list.refresh() or self._untaken):
            if self._list.lost and ledgers.may_have_planned(str(self.state_dir)):
                self._carry_out(self._brain.watch_lost(known_lost))
            return
        self._untaken = True
        now, watch = self._loop.time(), self._list.watch
        self._runs.keep, self._runs.largest = watch.artifacts, watch.artifacts_size * MIB
        self._prober.follow(watch, now)
        self._lines.follow(watch)
        self._carry_out(self._brain.take_watch(watch, now))
        stamp = file_stamp(self.state_dir / places.SITE_FILE)
        changed = stamp != self._site_stamp
        if changed:
            self._site_stamp = stamp
            self.journal.say("site changed", revision=watch.revision)
        if self._pool is not None:
            self._pool.deadline = watch.run_timeout
            before, self._pool.leave_out = self._pool.leave_out, self._brain.left_out()
            if changed or before != self._pool.leave_out:
                # A run has no connection to a host that it was started to leave out, or that was not in the site then.
                self._pool.replace(usable=not changed and set(before) <= set(self._pool.leave_out))
        self._untaken = False
        self._changed()

    def turn(self) -> bool:
        """Observe, decide and act. :return: False after an unexpected error, which is logged."""
        self.turned = self._loop.time()
        try:
            self.observe()
            if not self._helm.steers(self.turned):
                self._carry_out(self._brain.judge_hosts(self.turned))
            else:
                self._carry_out(self._brain.turn(self.turned, time.time()))
                if self._pool is None or self._pool.may_look():
                    self._carry_out(self._brain.reconcile_due(self.turned, time.time()))
            self._next = self._brain.next_time(self._loop.time())
        except Exception as error:
            self._failures += 1
            self.journal.failed("a turn of the loop", error)
            self.failing = self.journal.defect
        else:
            self._failures, self.failing = 0, ""
        self._show()
        return not self.failing

    @survived("the writing of the status")
    def _show(self) -> None:
        before, self.scarce = self.scarce, descriptors.scarce()
        if self.scarce and not before:
            self.journal.say("descriptors", self.scarce)
        if self._loop.time() >= self._status_due:
            self._write_status("running")
        self._notify.turned(self.turned, self._list.looked, self.failing or self.journal.last)

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        """Do what the brain decided, in its order, and report to it which runs were started."""
        for effect in effects:
            self._status_due = self._loop.time()
            match effect:
                case Note(event, why, facts):
                    self.journal.say(event, why, **facts)
                case Send():
                    run = self._pool.send(self._helm.order(effect.order)) if self._pool is not None else None
                    if run is not None:
                        self._carry_out(self._brain.sent(effect, run))
                case Reconcile():
                    begun = self._begin_reconcile(effect.why, effect.leave_out)
                    self._carry_out(self._brain.reconcile_begun(effect, begun))
                case Look():
                    begun = self._look_task.begin(effect, self._list.watch.revision, self._helm.order({}))
                    self._carry_out(self._brain.reconcile_begun(effect, begun))
                case Answer(waiter, content, request):
                    content = self._helm.answered(str(request.get("id") or ""), content)
                    if waiter is not None and not waiter.done():
                        waiter.set_result(content)
                case Wake():
                    self._changed()
                    self.wake()
                case Question(host):
                    self._lines.ask(host)
                case BusEnded(instance, epoch, why):
                    self._prober.ended((instance, epoch), why)
                case Fence():
                    self._fences.do(effect)

    # What people and programs ask.

    async def ask(self, request: Request, ident: str = "") -> dict[str, Any]:
        """Carry out a request.

        Returns when the run is over: {"ok", "said": sentences, "run", "results": {instance: {"result", "reason"}}}.
        """
        request = request._replace(where=request.where or self._list.watch.controller)
        if not self.rank.leads():
            return await self._helm.forward(request, ident)
        whole = KINDS[request.kind].whole_run
        if self._pool is not None and self._pool.refusal and not whole:
            return whole_runs.not_begun(self._pool.refusal)
        ident = await self._kept.note(request, ident)
        if whole or self._pool is None:
            return await self._whole_run(request, ident)
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._carry_out(self._brain.ask({**request.to_json(), "id": ident}, answer))
        return await answer

    def heard(self, host: str) -> dict[str, float]:
        """When the host answered last, by line, bus or run: {host: seconds since 1970}; empty if never."""
        return self._brain.heard(host, self._loop.time(), time.time())

    @property
    def watch(self) -> Watch:
        return self._list.watch

    def snapshot(self) -> dict[str, Any]:
        """The content of ``run/monitor.json``."""
        return snapshot.document(
            self._prober,
            self._brain,
            now=self._loop.time(),
            since=self._since,
            revision=self._list.watch.revision,
            standby=self._pool.state if self._pool is not None else "off",
            no_runs=self._pool.no_runs if self._pool is not None else None,
            notes=self._pool.notes if self._pool is not None else [],
            runs=self._runs.jobs,
            took=self._runs.took,
            failing=self.failing or self.scarce,
            lead=self.rank.to_json(),
        )

    def _changed(self) -> None:
        self._status_due = self._loop.time()
        self._tell()

    @survived("the intake of the watch list")
    def _look(self) -> None:
        self.observe()

    @survived("the intake of a health")
    def _health_changed(self, key: Key, health: Health) -> None:
        now = self._loop.time()
        state = health.state(now)
        why = health.why or health.warning
        if len(key) == 3:
            self.journal.say("link", why, instance=key[0], epoch=key[1], state=state.value)
            self._changed()
            return
        name, where = key
        self.journal.say("health", why, name=name, where=where, state=state.value, cause=health.cause)
        self._look()
        self._carry_out(self._brain.health_changed(key, health, now))

    @survived("the intake of a line's state")
    def _line_changed(self, host: str, signal: Signal, why: str) -> None:
        if not self._stopping:
            self._carry_out(self._brain.line_changed(host, signal, why, self._loop.time()))

    @survived("the intake of an event")
    def _event(self, event: Mapping[str, Any]) -> None:
        """An event of a host: a window that stands still, or a program that ended by itself, is passed on."""
        if not self._stopping:
            self._carry_out(self._brain.reported(event, time.time()))
        if self._stopping or event.get("event") != "exited" or event.get("expected") or event.get("busy"):
            return
        self._look()
        instance, epoch, program = str(event["instance"]), int(event["epoch"]), str(event["program"])
        entry = self.watch.instances.get(instance)
        if entry is not None and event.get("host", entry.host) != entry.host:
            return  # no host has a say about what another one holds
        code = event.get("code")
        how = how_it_ended(code)
        expected = self.watch.may_end(instance, program, code)
        if not expected:
            self._words.ended({**event, "host": event.get("host") or (entry.host if entry else "")}, how)
        self.journal.say("program ended", how, instance=instance, epoch=epoch, program=program, host=event.get("host"))
        self._carry_out(self._brain.program_ended(instance, epoch, program, how, time.time(), expected))

    @survived("the intake of a run's end")
    def _run_over(self, run: str, result: dict[str, Any], outcome: Outcome) -> None:
        self._look()
        try:
            effects = self._brain.run_over(run, result, outcome.why, self._loop.time())
        except Exception as error:  # the intents that it had must not stay with it
            self.journal.failed("the intake of a run's result", error)
            effects = self._brain.run_over(run, {}, "what it reported cannot be understood", self._loop.time())
        self._carry_out(effects)

    def _begin_reconcile(self, why: str, leave_out: Sequence[str]) -> bool:
        if self._pool is None:
            return False
        job = self._begin("reconcile", variables(why, self._list.watch), leave_out)
        if isinstance(job, str):
            return False
        self.journal.say("run", why, run=job.ident, **({"without": list(leave_out)} if leave_out else {}))
        job.done.add_done_callback(lambda done: self._reconcile_over(job, done.result()))
        return True

    @survived("the intake of a run's end")
    def _reconcile_over(self, job: Job, outcome: Outcome) -> None:
        if outcome.why:
            words = self._runs.last_words(job)
            self.journal.say("run failed", "%s: %s" % (job.ident, outcome.why), output=words)
        else:
            self.journal.say("run over", run=job.ident)
        self._reported(job, self._runs.report(job), self._brain.reconcile_over)

    @survived("the intake of a run's result")
    def _reported(
        self, job: Job, report: Mapping[str, Any], take: Callable[[Mapping[str, Any], float], Iterable[Effect]]
    ) -> None:
        self._look()
        self._carry_out(take(report, job.began))

    @survived("the intake of a look")
    def _look_over(self, answer: Mapping[str, Any], why: str) -> None:
        if not self._stopping:
            self._look()
            self._carry_out(self._brain.look_over(answer, why))

    async def _whole_run(self, request: Request, ident: str) -> dict[str, Any]:
        """Carry out a request by a run of its own that looks at every host first. :param ident: of its record."""
        extra = {**request.variables(), **({"muster_request_id": ident} if ident else {})}
        job = self._begin(request.kind, extra, self._brain.left_out(asked=True))
        if isinstance(job, str):
            return self._helm.answered(ident, whole_runs.not_begun(job))
        self.journal.say("run", "a request is carried out", run=job.ident, kind=request.kind, who=request.who)
        outcome = await asyncio.shield(job.done)
        report = self._runs.report(job)
        self._reported(job, report, self._brain.request_over)
        output = self._runs.output(job) if outcome.why else ""
        return self._helm.answered(ident, whole_runs.answer(job, outcome, report, output))

    def _begin(self, verb: str, extra: Mapping[str, Any], leave_out: Sequence[str]) -> Job | str:
        """:return: a sentence when it cannot be started."""
        try:
            job = self._runs.begin(verb, extra, self._list.watch.run_timeout, leave_out=leave_out)
        except (OSError, ValueError, NoAnsible) as error:
            self.journal.say("run failed", "no %s can be started: %s" % (verb, error))
            return "no %s can be started: %s" % (verb, error)
        self._jobs.add(job)
        job.done.add_done_callback(lambda _unused: self._jobs.discard(job))
        return job

    async def _sleep(self) -> None:
        again = self._loop.time() + self._look_again
        await self._waking.sleep(min(again, self._next or again))

    async def _recover(self) -> None:
        """After a turn that failed. What woke the loop may make it fail again."""
        await self._waking.rest(self._loop.time() + pause(self._failures, self._look_again), lambda: self._stopping)

    def _write_status(self, state: str) -> None:
        self._status_due = self._loop.time() + STATUS_EVERY_SECONDS
        why = snapshot.save(self.state_dir / places.MONITOR_FILE, {**self.snapshot(), "state": state})
        if why:
            self.journal.say("status file", why)
