# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run started ahead: the playbook `standby`, parked at a FIFO until intents are written to it.

Interpreter, imports, inventory and connections are paid before the alert. One line of JSON, {"intents": [...]} or
{"request": {...}}, sets it to work; the end of the FIFO without a line ends it. A standby is used once; the next one is
started when the work is over or when there are intents again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor import sources
from monitor.journal import Journal
from monitor.playbooks import NoAnsible
from monitor.runs import Job, Outcome, Runs

F_SETPIPE_SZ = 1031
PIPE_SIZE = 1 << 20
POLL = 0.02  # s between looks whether it is parked
READY_WITHIN = 60.0  # s
SUCCESSOR_AFTER = 2.0  # s after the start of its work at the latest; before, it would take the processor from it
DELAYS = (0.0, 2.0, 5.0, 15.0, 60.0)  # s before the next one after the 0th, 1st, ... that failed in a row
OLDEST = 1800.0  # s until a parked run is replaced, so that its connections stay fresh
LOOK = 10.0  # s between looks whether a parked run has grown old, or its inventory changed


class Standby:
    """One run: `starting`, `parked`, `working` or `over`."""

    def __init__(self, runs: Runs, fifo: Path, deadline: float, leave_out: Sequence[str] = ()) -> None:
        self._runs = runs
        self._deadline = deadline  # s for its work
        self._fifo = fifo
        self._handle: int | None = None
        self.state = "starting"
        self.inventory = sources.stamp(runs.inventory)
        os.mkfifo(fifo, 0o600)
        try:
            self.job: Job = runs.begin("standby", {"muster_standby_fifo": str(fifo)}, deadline, True, leave_out)
        except BaseException:
            fifo.unlink()
            raise

    def try_to_park(self) -> bool:
        """Take hold of the FIFO once the run waits at its other end."""
        if not self._beside(".ready").exists():
            return False
        try:
            self._handle = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._handle, F_SETPIPE_SZ, PIPE_SIZE)
        self.state = "parked"
        return True

    def work(self, order: Mapping[str, Any]) -> None:
        """Hand intents or a request over, never waiting. :raises OSError: when the run does not take them."""
        assert self._handle is not None
        line = json.dumps(order, separators=(",", ":")).encode() + b"\n"
        self.state = "over"
        self._runs.at_work(self.job, self._deadline)
        try:
            if os.write(self._handle, line) < len(line):
                raise BlockingIOError(errno.EAGAIN, "it does not read")
        finally:
            self._close()
        self.state = "working"

    def dismiss(self) -> None:
        """Let a parked run end by itself, a starting one by a signal."""
        if self.state == "parked":
            self._close()
            self.state = "over"
            self._runs.limit(self.job, 5.0)
        elif self.state == "starting":
            self._runs.end(self.job, "it was no longer needed")

    def result(self) -> dict[str, Any]:
        """What the run left as its result; empty when it left nothing."""
        try:
            content = json.loads(self._beside(".result").read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def clean(self) -> None:
        self.state = "over"
        self._close()
        for path in (self._fifo, self._beside(".ready"), self._beside(".result")):
            path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _beside(self, suffix: str) -> Path:
        return self._fifo.with_name(self._fifo.name + suffix)


class Pool:
    """Keeps one standby ready. `parked()` is called when one waits, `over(run, result, outcome)` when one worked."""

    def __init__(
        self,
        runs: Runs,
        folder: Path,
        journal: Journal,
        parked: Callable[[], None],
        over: Callable[[str, dict[str, Any], Outcome], None],
    ) -> None:
        self._runs = runs
        self.deadline = 120.0  # s for the work of a run
        self.leave_out: list[str] = []  # hosts no run goes to
        self.oldest = OLDEST
        self.look = LOOK
        self._folder = folder
        self._journal = journal
        self._parked = parked
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._failures = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._stale = False
        self._closing = False
        self._lives: set[asyncio.Task[None]] = set()
        self.current: Standby | None = None  # starting or parked
        self.working: dict[str, Standby] = {}
        for left in folder.glob("standby-*.fifo*"):
            left.unlink(missing_ok=True)

    @property
    def state(self) -> str:
        return self.current.state if self.current is not None else "none"

    def fill(self, delay: float = 0.0) -> None:
        """See to it that a standby is there or starting, at the latest in `delay` seconds."""
        if self._closing or self.current is not None:
            return
        delay = max(delay, DELAYS[min(self._failures, len(DELAYS) - 1)])
        due = self._loop.time() + delay
        if self._waiting is not None:
            if self._waiting.when() <= due:
                return
            self._waiting.cancel()
        self._waiting = self._loop.call_at(due, self._begin)

    def send(self, order: Mapping[str, Any]) -> str | None:
        """Give intents or a request to the parked run; its name, or None when there is none to take them now."""
        standby = self.current
        if standby is None or standby.state != "parked":
            self.fill()
            return None
        try:
            standby.work(order)
        except OSError as error:
            self._journal.say("standby lost", "the standby run took no intents: %s" % error)
            self._runs.end(standby.job, "it took no intents")  # the end of its process starts the next one
            return None
        self.current = None
        self.working[standby.job.ident] = standby
        self.fill(SUCCESSOR_AFTER)
        return standby.job.ident

    def replace(self) -> None:
        """The site changed: a parked run knows the old hosts."""
        if self.current is None:
            return
        if self.current.state == "parked":
            self.current.dismiss()
        else:
            self._stale = True

    async def close(self, patience: float) -> None:
        """Dismiss the standby; wait so many seconds for a run that works. One that needs longer finishes alone."""
        self._closing = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self.current is not None:
            self.current.dismiss()
        if self._lives:
            await asyncio.wait(self._lives, timeout=patience)

    def _begin(self) -> None:
        self._waiting = None
        if self._closing or self.current is not None:
            return
        self._count += 1
        self._stale = False
        try:
            fifo = self._folder / ("standby-%d-%d.fifo" % (os.getpid(), self._count))
            standby = Standby(self._runs, fifo, self.deadline, self.leave_out)
        except (OSError, NoAnsible) as error:
            self._failures += 1
            self._journal.say("standby failed", "no standby run can be started: %s" % error)
            self.fill()
            return
        self.current = standby
        life = self._loop.create_task(self._live(standby))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)

    async def _live(self, standby: Standby) -> None:
        """From start to end of one standby."""
        done = standby.job.done
        late = self._loop.time() + READY_WITHIN
        while not done.done() and not standby.try_to_park():
            if self._loop.time() > late:
                self._runs.end(standby.job, "it was not ready within %.0f s" % READY_WITHIN)
                break
            await asyncio.sleep(POLL)
        if standby.state == "parked":
            self._failures = 0
            took = self._loop.time() - standby.job.began
            self._journal.say("standby parked", run=standby.job.ident, seconds=round(took, 2))
            if self._stale or self._closing:
                standby.dismiss()
            else:
                self._parked()
                self._look_later(standby, self._loop.time() + self.oldest)
        outcome = await done
        worked = self.working.pop(standby.job.ident, None) is not None
        if worked:
            self._over(standby.job.ident, standby.result(), outcome)
        elif outcome.why and not self._closing:
            self._failures += 1
            words = self._runs.last_words(standby.job)
            self._journal.say("standby failed", "the standby run is gone: %s" % outcome.why, output=words)
        standby.clean()
        if self.current is standby:
            self.current = None
        self.fill()

    def _look_later(self, standby: Standby, until: float) -> None:
        wait = min(self.look, max(0.0, until - self._loop.time()))
        self._loop.call_later(wait, self._look, standby, until)

    def _look(self, standby: Standby, until: float) -> None:
        """Whether a parked run is still as good as a new one."""
        if self.current is not standby or standby.state != "parked":
            return
        why = ""
        if self._loop.time() >= until:
            why = "it has waited for %.0f s" % self.oldest
        elif sources.stamp(self._runs.inventory) != standby.inventory:
            why = "the inventory changed"
        if why:
            self._journal.say("standby replaced", why, run=standby.job.ident)
            standby.dismiss()
        else:
            self._look_later(standby, until)
