# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook runs through ansible-runner, each in a child process, with a deadline; their artefacts are rotated.

Never conclude from the return code what a run did: the watch list shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base import descriptors, usage
from ..base.histogram import RUNS, Histogram
from ..core.controller import run_process
from . import environment, playbooks
from .runner_child import BEGUN, WORKING
from .turns import OwnTime, UnderWay, finished

REPORT = "report.json"  # in a run's folder
KILLED_AFTER_SECONDS = 5.0  # from SIGTERM to SIGKILL
TICK_SECONDS = 0.5  # between looks at a run that is not parked
STARTS_WITHIN_SECONDS = 60.0  # of its own time, from the process's start to its first task
NOT_BEGUN = "it did not begin its first task within %.0f s" % STARTS_WITHIN_SECONDS
READY_WITHIN_SECONDS = 60.0  # the same, to its being parked
ENDS_WITHIN_SECONDS = 30.0  # after its work is done
OLDEST_ARTIFACT_SECONDS = 30 * 86400.0  # an artefact is kept at most
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int | None  # None: it was ended
    why: str  # "" when it ended well


@dataclass(slots=True, eq=False)
class Job:
    """A run under way. Its limits are in its own time, which stands while it waits for a processor."""

    ident: str
    playbook: str
    began: float  # monotonic
    process: subprocess.Popen[bytes]
    done: asyncio.Future[Outcome]
    folder: Path
    own: OwnTime
    result: Path | None = None  # where it leaves its result, if not in its folder
    request: str = ""  # the id of the one that it was begun for
    standby: bool = False  # it has not been sent to work yet
    parked: bool = False
    worked: float | None = None  # monotonic, since when
    work_began: float = 0.0  # the same, in its own time; or when its first task began
    begun: bool = False  # its first task has begun
    until: float = STARTS_WITHIN_SECONDS  # when it is ended, in its own time
    late: str = NOT_BEGUN  # why, then
    deadline: float = 0.0  # s for its work, once it has begun
    ended_because: str = ""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class Runs:
    """Starts runs and ends them at their deadline; belongs to one event loop."""

    def __init__(self, state_dir: Path, inventory: Sequence[str], *, keep: int = 50) -> None:
        self.keep = keep  # artefacts
        self.largest = 200 * MIB  # bytes of all of them
        self.own: Callable[[bool], Mapping[str, Any]] = lambda parked: {}  # variables of every run
        self._sizes: dict[str, int] = {}  # of the artefacts of runs that are over, which do not grow any more
        self.inventory = [str(Path(source).resolve()) if os.path.exists(source) else source for source in inventory]
        self._private = state_dir / "run" / "runner"
        self._artifacts = state_dir / "artifacts"
        self._count = 0
        self.notes: tuple[str, ...] = ()  # what of the settings does not count, as of the last run: sentences
        self._loop = asyncio.get_running_loop()
        self.jobs: dict[str, Job] = {}
        self.took: dict[str, Histogram] = {}  # playbook -> how long its runs worked
        for folder in (self._private, self._artifacts):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def begin(
        self,
        verb: str,
        extravars: Mapping[str, Any],
        deadline: float,
        parked: bool = False,
        leave_out: Sequence[str] = (),
    ) -> Job:
        """Start the collection's playbook `verb`, to be at work for `deadline` seconds at most.

        Its work begins now or, if it is parked first, with `at_work`. What it reports is in `report`.

        :param leave_out: hosts it does not go to.

        :raises NoAnsible, OSError: when it cannot be started.
        """
        made = environment.for_monitor(os.environ, Path.cwd())
        self.notes = made.notes
        self._rotate()
        self._count += 1
        ident = "%s-%s-%d-%d" % (verb, time.strftime("%Y%m%d-%H%M%S"), os.getpid(), self._count)
        folder = self._artifacts / ident
        folder.mkdir(mode=0o700)
        spec = {
            "playbook": playbooks.playbook(verb),
            "inventory": self.inventory,
            "extravars": {
                "muster_report": str(folder / REPORT),
                **playbooks.as_text({**extravars, **self._carries(extravars), **self.own(parked)}),
            },
            "limit": ",".join(["all", *("!" + host for host in leave_out)]) if leave_out else "",
            "ident": ident,
            "artifacts": str(self._artifacts),
            "private": str(self._private),
            "environment": made.env,
            "project": str(made.folder),
            "deadline": deadline,
            "parent": os.getpid(),
            "open_files": descriptors.given(),
        }
        path = folder / "job.json"
        path.write_text(json.dumps(spec), encoding="utf-8")
        path.chmod(0o600)
        with (folder / "runner.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", str(Path(__file__).with_name("runner_child.py")), str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                close_fds=True,
            )
        now = self._loop.time()
        job = Job(ident, verb, now, process, self._loop.create_future(), folder, OwnTime(now), standby=parked)
        job.request = str(extravars.get("muster_request_id") or "")
        self.jobs[ident] = job
        self._await_end(job)
        if parked:
            self.limit(job, READY_WITHIN_SECONDS, "it was not ready within %.0f s" % READY_WITHIN_SECONDS)
        else:
            self.at_work(job, deadline)
        job.timers.append(self._loop.call_later(TICK_SECONDS, self._tick, job))
        return job

    def _carries(self, extravars: Mapping[str, Any]) -> dict[str, str]:
        """For whom a run goes on with a rollout: without this monitor it ends after its round."""
        return {"muster_carries": run_process.text_of(os.getpid()) or "?"} if extravars.get("muster_carries") else {}

    def under_way(self) -> list[UnderWay]:
        """The runs that are neither parked nor over."""
        return [
            UnderWay(job.standby, job.begun, job.own.seconds, job.own.seconds - job.work_began if job.worked else 0.0)
            for job in self.jobs.values()
            if not job.parked
        ]

    def at_work(self, job: Job, deadline: float) -> None:
        """The run begins its work, now or with its first task: it has `deadline` seconds from then on, and now survives
        the end of this monitor."""
        with contextlib.suppress(OSError):
            (job.folder / WORKING).touch()
        job.standby, job.deadline, job.worked = False, deadline, self._loop.time()
        self.follow(job)
        job.work_began = job.own.seconds
        if job.begun:
            self.limit(job, deadline)
        else:
            self.limit(job, STARTS_WITHIN_SECONDS, NOT_BEGUN)

    def parks(self, job: Job) -> None:
        """It waits for an order, and ends with this monitor."""
        (job.folder / WORKING).unlink(missing_ok=True)
        job.parked = True

    def follow(self, job: Job) -> None:
        """It was parked, or its own time begins: what it waited until now does not count."""
        if job.parked:
            job.own.rest(self._loop.time(), usage.waited(job.process.pid))
            job.parked = False

    def limit(self, job: Job, seconds: float, why: str = "") -> None:
        """End the run if it is not over after so many seconds of its own time."""
        job.until = job.own.seconds + seconds
        job.late = why or "it was ended after %.0f s, its deadline" % seconds

    def _tick(self, job: Job) -> None:
        """Look how a run gets on, and end it when its time is over."""
        if job.done.done():
            return
        job.timers[:] = [timer for timer in job.timers if timer.when() > self._loop.time()]
        job.timers.append(self._loop.call_later(TICK_SECONDS, self._tick, job))
        if job.parked:
            return
        now = self._loop.time()
        job.own.advance(now, usage.waited(job.process.pid))
        if not job.begun and (job.folder / BEGUN).exists():
            job.begun, job.work_began = True, job.own.seconds
            if not job.standby and job.deadline:
                self.limit(job, job.deadline)
        if job.own.seconds >= job.until and not job.standby and finished(self.report(job)):
            self.limit(job, ENDS_WITHIN_SECONDS)  # what it was to do is done
        elif job.own.seconds >= job.until or job.own.too_long(now, job.until):
            self.end(job, job.late)

    def end(self, job: Job, why: str) -> None:
        """Ask a run to end, and kill it after `KILLED_AFTER_SECONDS`. :param why: one sentence for its outcome."""
        if job.done.done():
            return
        job.ended_because = job.ended_because or why
        job.process.send_signal(signal.SIGTERM)
        job.timers.append(self._loop.call_later(KILLED_AFTER_SECONDS, job.process.kill))

    def end_for(self, request: str, why: str) -> bool:
        """End the run that a request has of its own. :return: whether it has one."""
        found = [job for job in self.jobs.values() if request and job.request == request]
        for job in found:
            self.end(job, why)
        return bool(found)

    def report(self, job: Job) -> dict[str, Any]:
        """What the run left as its result; empty when it left nothing."""
        try:
            content = json.loads((job.result or job.folder / REPORT).read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def last_words(self, job: Job, lines: int = 12) -> str:
        """The last lines of a run's output, for the journal."""
        return last_lines(self.output(job), lines)

    def output(self, job: Job) -> str:
        """All that a run said, and the process that it was in."""
        text = ""
        for name in ("runner.log", "stdout"):
            try:
                text += (job.folder / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
        return text

    def _await_end(self, job: Job) -> None:
        try:
            pidfd = os.pidfd_open(job.process.pid)
        except OSError:
            self._loop.create_task(self._poll_end(job))
            return

        def ended() -> None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
            self._over(job)

        self._loop.add_reader(pidfd, ended)

    async def _poll_end(self, job: Job) -> None:
        while job.process.poll() is None:
            await asyncio.sleep(0.1)
        self._over(job)

    def _over(self, job: Job) -> None:
        code = job.process.wait()
        for timer in job.timers:
            timer.cancel()
        self.jobs.pop(job.ident, None)
        if job.worked is not None:
            self.took.setdefault(job.playbook, Histogram(RUNS)).note(self._loop.time() - job.worked)
        if job.ended_because and finished(self.report(job)):
            outcome = Outcome(None, "")  # it had done its work
        elif job.ended_because:
            outcome = Outcome(None, job.ended_because)
        else:
            outcome = Outcome(code, "" if code == 0 else "it ended with %d" % code)
        if not job.done.done():
            job.done.set_result(outcome)

    def _rotate(self) -> None:
        """Remove artefacts beyond count, age and size, the oldest first; those of living runs stay."""
        try:
            folders = sorted(
                (entry.stat().st_mtime, entry.path)
                for entry in os.scandir(self._artifacts)
                if entry.is_dir(follow_symlinks=False) and entry.name not in self.jobs
            )
        except OSError:
            return
        oldest = time.time() - OLDEST_ARTIFACT_SECONDS
        surplus = max(0, len(folders) + 1 - self.keep)
        sizes = {path: self._sizes.get(path) or _size(path) for _unused, path in folders}
        total = sum(sizes.values())
        for number, (modified, path) in enumerate(folders):
            newest = number == len(folders) - 1  # kept however large it is, for it may say why the run failed
            if number < surplus or modified < oldest or (total > self.largest and not newest):
                shutil.rmtree(path, ignore_errors=True)
                total -= sizes.pop(path)
        self._sizes = sizes


def last_lines(output: str, lines: int = 12) -> str:
    """The last lines that are not empty."""
    return "\n".join([line for line in output.splitlines() if line.strip()][-lines:])


def _size(folder: str) -> int:
    """Bytes on disk below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += _size(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
