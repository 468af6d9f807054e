# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor: observe, decide, act.

Probes, file events and ended runs only wake the loop; this is the one place that reads the clock, changes what the
monitor knows and starts runs. It never starts or stops a process of the site itself: it says *that* something must
happen, and a run of the playbooks does it. What it loses in a crash it finds again in the watch list.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from monitor.decide import decide
from monitor.health import Health, State
from monitor.intents import Intent, Intents
from monitor.journal import Journal
from monitor.playbooks import NoAnsible
from monitor.prober import Key, Prober
from monitor.runs import Job, Outcome, Runs
from monitor.schedule import Schedule
from monitor.standby import Pool
from monitor.watchlist import FileEvents, WatchList

LOOK_AGAIN = 2.0  # s between looks at the watch list when no file event came
LOOK_OFTEN = 0.2  # s, where the system gives no file events
STATUS = "monitor.json"  # below <state_dir>/run: what the monitor sees, for status and page
STATUS_EVERY = 5.0  # s between rewrites of it when nothing changed
SERVICES_APART = 30.0  # s between two reconciles because of host services
AT_ONCE = 500  # intents one run takes


class Monitor:
    """Everything the monitor knows, and its loop."""

    def __init__(self, state_dir: Path, inventory: list[str], journal: Journal, *, standby: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._journal = journal
        self._state_dir = state_dir
        self._folder = state_dir / "run"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._list = WatchList(state_dir, lambda why: journal.say("watch list", why))
        self._prober = Prober(self._health_changed, lambda why: journal.say("probe", why))
        self._intents = Intents("%x" % int(time.time()))
        self._runs = Runs(state_dir, inventory)
        self._pool = Pool(self._runs, self._folder, journal, self.wake, self._run_over) if standby else None
        self._schedule = Schedule(now)
        self._reconcile: Job | None = None
        self._woken = asyncio.Event()
        self._status_due = now
        self._since = time.time()
        self._site_stamp = _stamp(state_dir / "site.json")
        self._stopping = False
        self._look_again = LOOK_AGAIN

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    async def run(self, patience: float = 10.0) -> None:
        """Until `stop`; a run at work then is waited for, for `patience` seconds."""
        events: FileEvents | None = None
        try:
            events = FileEvents(self._state_dir, self._loop, self.wake)
        except OSError as error:
            self._look_again = LOOK_OFTEN
            self._journal.say("file events", "there are none (%s): looking every %g s" % (error, LOOK_OFTEN))
        self._journal.say("monitor started", state_dir=str(self._state_dir), pid=os.getpid())
        if self._pool is not None:
            self._pool.fill()
        try:
            while not self._stopping:
                self.observe()
                self.decide()
                self.act()
                await self._sleep()
        finally:
            if events is not None:
                events.stop()
            self._prober.stop()
            self._journal.say("monitor stopping", "it was told to stop")
            if self._pool is not None:
                await self._pool.close(patience)
            if self._reconcile is not None:
                await asyncio.wait([self._reconcile.done], timeout=patience)
            self._write_status(self._loop.time(), "stopped")

    def observe(self) -> None:
        """Take in the watch list as it is now; right before deciding too: a stop is published before it is done."""
        before = self._list.watch
        if not self._list.refresh():
            return
        now, watch = self._loop.time(), self._list.watch
        self._schedule.watch_changed(before, watch, now)
        self._runs.keep = watch.artifacts
        if self._pool is not None:
            self._pool.deadline = watch.run_timeout
        self._prober.follow(watch, now)
        self._status_due = now
        stamp = _stamp(self._state_dir / "site.json")
        if stamp != self._site_stamp:
            self._site_stamp = stamp
            self._journal.say("site changed", revision=watch.revision)
            if self._pool is not None:
                self._pool.replace()
        for intent, how in self._intents.settle(watch):
            self._journal.say("intent satisfied", how, id=intent.id, instance=intent.wish.instance)

    def decide(self) -> None:
        wishes = decide(self._list.watch, self._prober.buses, self._prober.services, self._loop.time())
        for intent in self._intents.offer(wishes, time.time()):
            self._journal.say("intent", intent.wish.why, **_facts(intent))

    def act(self) -> None:
        now, watch = self._loop.time(), self._list.watch
        ready = self._intents.ready(watch, now)[:AT_ONCE]
        if ready:
            self._send(ready)
        if self._pool is not None and self._reconcile is None and watch.revision >= 0:
            why = self._schedule.due(watch, now, time.time())
            if why:
                self._begin_reconcile(why, now)
        if now >= self._status_due:
            self._write_status(now, "running")

    def _send(self, intents: list[Intent]) -> None:
        if self._pool is None:
            return
        run = self._pool.send([intent.to_json() for intent in intents])
        if run is None:
            return  # the next standby wakes the loop when it is parked
        self._intents.taken(intents, run)
        self._status_due = self._loop.time()
        names = sorted(intent.wish.instance for intent in intents)
        self._journal.say("run", "%d intents sent" % len(intents), run=run, instances=names)

    def _begin_reconcile(self, why: str, now: float) -> None:
        self._schedule.started(now)
        extra = {"muster_who": "monitor", "muster_why": why}
        try:
            job = self._runs.begin("reconcile", extra, self._list.watch.run_timeout)
        except (OSError, NoAnsible) as error:
            self._journal.say("run failed", "no reconcile can be started: %s" % error)
            return
        self._reconcile = job
        self._journal.say("run", why, run=job.ident)
        job.done.add_done_callback(lambda done: self._reconcile_over(job, done.result()))

    def _reconcile_over(self, job: Job, outcome: Outcome) -> None:
        self._reconcile = None
        if outcome.why:
            words = self._runs.last_words(job)
            self._journal.say("run failed", "%s: %s" % (job.ident, outcome.why), output=words)
        else:
            self._journal.say("run over", run=job.ident)
        self.wake()

    def _run_over(self, run: str, result: dict[str, Any], outcome: Outcome) -> None:
        """A standby finished its work; what the watch list does not show as satisfied is queued again."""
        results: dict[str, dict[str, Any]] = result.get("results") or {}
        came_of = {name: ": ".join(filter(None, (r.get("result"), r.get("reason")))) for name, r in results.items()}
        intents = (result.get("plan") or {}).get("intents") or []
        held = [intent["why"] for intent in intents if intent.get("outcome") != "acted"]
        self._journal.say("run over", outcome.why, run=run, outcome=came_of, held=held)
        self.observe()
        for name, came in results.items():
            if came.get("result") == "refused":
                self._schedule.soon("%s: %s" % (name, came.get("reason") or "its host refused"))
        for intent in self._intents.returned(run, self._loop.time()):
            self._journal.say("intent kept", "run %s did not satisfy it" % run, **_facts(intent))
            if intent.attempts == 1:
                self._schedule.soon("run %s did not do it: %s" % (run, intent.wish.why))
        self.wake()

    def _health_changed(self, key: Key, health: Health) -> None:
        name, where = key
        state = health.state(self._loop.time())
        self._journal.say("health", health.why, name=name, where=where, state=state.value, cause=health.cause)
        self._status_due = self._loop.time()
        if state is State.UNHEALTHY:
            self.observe()
            if isinstance(where, str):  # a host service: its service manager, or what supervises that, may be gone
                self._schedule.soon("%s on %s does not answer: %s" % (name, where, health.why), SERVICES_APART)
        self.wake()

    async def _sleep(self) -> None:
        """Until something happens, the next delayed intent is due, or it is time to look again."""
        now = self._loop.time()
        until = min(now + self._look_again, self._intents.next_time(now) or now + self._look_again)
        try:
            async with asyncio.timeout_at(until):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def _write_status(self, now: float, state: str) -> None:
        self._status_due = now + STATUS_EVERY
        document = {
            "schema": 1,
            "state": state,
            "pid": os.getpid(),
            "since": self._since,
            "at": round(time.time(), 3),
            "revision": self._list.watch.revision,
            "standby": self._pool.state if self._pool is not None else "off",
            "buses": {name: {"epoch": epoch, **h.to_json(now)} for (name, epoch), h in self._prober.buses.items()},
            "services": {},
            "intents": [{**i.to_json(), "run": i.run, "attempts": i.attempts} for i in self._intents],
            "runs": sorted(self._runs.jobs),
        }
        services: dict[str, dict[str, Any]] = {}
        for (name, host), health in self._prober.services.items():
            services.setdefault(name, {})[host] = health.to_json(now)
        document["services"] = services
        path = self._folder / STATUS
        try:
            temporary = path.with_name(STATUS + ".new")
            temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
            os.replace(temporary, path)
        except OSError as error:
            self._journal.say("status file", "%s cannot be written: %s" % (path, error))


def _facts(intent: Intent) -> dict[str, Any]:
    wish = intent.wish
    return {"id": intent.id, "instance": wish.instance, "epoch": wish.epoch, "cause": wish.cause, "what": wish.what}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return (facts.st_ino, facts.st_mtime_ns, facts.st_size)
