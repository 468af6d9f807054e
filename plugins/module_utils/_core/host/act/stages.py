# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The staged start and stop of one instance on its host, whatever the service manager.

A `Staging` is advanced by the sequencer together with those of the host's other instances: its methods are generators
that yield orders (``(verb, instance, program)``, see `host.service.manager.Manager`; also ``sweep``) and get one reply
each. An empty list means: continue in a moment. Which processes live and how they ended is read from /proc.
"""

from __future__ import annotations

import time

from ..logs import marks
from ..machine import procs, starts
from ..service import ends
from .launches import Failure, Launch, Present, ending, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

    from .scene import Scene

    Orders = List[Tuple[str, str, str]]
    Steps = Generator[Orders, List[Any], Any]

_QUICK_EXIT = "Bad exit code "  # supervisord's words
_COLLECT_SECONDS = 3.0  # within which the service manager must have collected a dead process
_KILL_SECONDS = 5.0  # that a process may take to die of SIGKILL


class Staging:
    """The start and stop of one instance in one act."""

    def __init__(self, request: Mapping[str, Any], scene: Scene) -> None:
        """:param request: see `host.act.instance.InstanceJob`."""
        self.instance: str = request["instance"]
        self.epoch: int = request["epoch"]
        self.programs: List[Mapping[str, Any]] = list(request["programs"])
        self.strategy: str = request.get("starting_failure_strategy") or "abort"
        self._manager = scene.manager
        self._manager_pid = scene.manager_pid
        self._root = scene.root
        self._ports = {entry["name"]: entry["port"] for entry in request.get("ports") or ()}
        self.record = starts.Start(self.instance, -1)  # of this start, as far as there is one
        self.began = began = scene.began
        self.deadline = deadline = scene.deadline
        self.running: Dict[str, Launch] = {}  # live programs, no gates
        self.started: List[str] = []
        self.deferred: List[str] = []
        self.failed: Dict[str, str] = {}
        self.timeline: List[List[Any]] = []
        self.stuck = ""  # a sentence about a process that would not die
        self.awaited: Set[int] = set()  # pids whose end is being waited for
        self._old_pids: Set[int] = set()
        longest = max([float(p["stop_timeout"]) for p in self.programs] or [0.0])
        self._start_by = max(deadline - longest - 1.0, began + (deadline - began) / 2)
        self._start_timeout = float(request.get("start_timeout") or (deadline - began))  # of the whole start

    def mark(self, what: str, at: Optional[float] = None) -> None:
        """Add to the timeline.

        :param at: monotonic time; None: now.
        """
        self.timeline.append([what, round((at or time.monotonic()) - self.began, 4)])

    def stop(self, present: Present, at_once: bool = False, only: Sequence[str] = ()) -> Steps:
        """Stop every process of the instance, greatest ``stop_sequence`` first. `stuck` says what does not die.

        :param at_once: all of them together. :param only: only these programs.
        :return: whether there was anything to stop.
        """
        mains = present.mains
        names = [program["name"] for program in self.programs]
        names += sorted({process.program for process in present.processes} - set(names))
        members = {process.pid: process.program for process in present.processes}
        members.update({pid: name for name, pid in mains.items()})
        alive: Dict[int, procs.Stat] = {}
        for pid in members:
            found = procs.stat(pid)
            if found is not None and not found.gone:
                alive[pid] = found
        if not alive:
            return False
        self._old_pids.update(alive)
        for rank in self._stop_ranks(names, at_once):
            orders: Orders = []
            victims: Dict[int, Tuple[int, float]] = {}
            for pid, found in alive.items():
                program = members[pid]
                if program not in rank:
                    continue
                victims[pid] = (found.started, self._kill_time(program))
                main = mains.get(program, 0)
                if pid == main:
                    orders.append(("stop", self.instance, program))
                elif not main or found.group != main:
                    procs.send(pid, procs.TERM, found.started)
            if victims:
                if orders:
                    for (_unused, _unused, program), reply in zip(orders, (yield orders)):
                        if reply.error:
                            procs.send(mains[program], procs.TERM, alive[mains[program]].started)
                yield from self._until_gone(victims)
        yield from self.stop_rest(only)
        return True

    def stop_rest(self, only: Sequence[str] = ()) -> Steps:
        """Stop every process that a sweep still finds: children of children, and what started in the meantime."""
        asked: Dict[int, float] = {}
        give_up = 0.0
        clean = 0
        while True:
            processes: List[procs.Process] = (yield [("sweep", self.instance, "")])[0]
            victims = {}
            for process in processes:
                found = procs.stat(process.pid)
                if found is None or found.gone or (only and process.program not in only):
                    continue
                if process.pid not in asked:
                    procs.send(process.pid, procs.TERM, found.started)
                    asked[process.pid] = self._kill_time(process.program)
                victims[process.pid] = (found.started, asked[process.pid])
            if not victims:
                clean += 1
                if clean > bool(asked):  # what was asked to end may have forked after the sweep: look twice
                    return
                continue
            clean = 0
            give_up = give_up or max(kill for _unused, kill in victims.values()) + _KILL_SECONDS
            yield from self._until_gone(dict(victims))
            if time.monotonic() > give_up:
                for pid, (started, _unused) in victims.items():
                    found = procs.stat(pid)
                    if found is not None and not found.gone and found.started == started:
                        self.stuck = "process %d (%s) of %s does not die, its state is %s" % (
                            pid, procs.command_name(pid), self.instance, found.state)
                        return

    def _until_gone(self, victims: Dict[int, Tuple[int, float]]) -> Steps:
        """Wait for the end of ``{pid: (started, when to kill it)}``; gives up on what survives SIGKILL."""
        while victims:
            now = time.monotonic()
            for pid, (started, kill) in list(victims.items()):
                found = procs.stat(pid)
                if found is None or found.gone or found.started != started or now > kill + _KILL_SECONDS:
                    del victims[pid]
                elif now >= kill:
                    procs.send(pid, procs.KILL, started)
                elif found.state == "T":  # a stopped process handles no signal until it continues
                    procs.send(pid, procs.CONTINUE, started)
            if victims:
                self.awaited.update(victims)
                yield []

    def _stop_ranks(self, names: Iterable[str], at_once: bool) -> List[List[str]]:
        if at_once:
            return [list(names)]
        ranks: Dict[float, List[str]] = {}
        known = {program["name"]: program for program in self.programs}
        for name in names:
            rank = float(known[name]["stop_sequence"]) if name in known else float("inf")
            ranks.setdefault(rank, []).append(name)
        return [ranks[rank] for rank in sorted(ranks, reverse=True)]

    def _kill_time(self, program: str) -> float:
        timeouts = {p["name"]: float(p["stop_timeout"]) for p in self.programs}
        return min(time.monotonic() + timeouts.get(program, 5.0), self.deadline)

    def adopt(self, present: Present) -> None:
        """Watch programs that run already like the ones that are started here: their end counts as a failure."""
        for program in self.programs:
            pid = present.mains.get(program["name"], 0)
            if pid and not program["wait_exit"]:
                found = procs.stat(pid)
                if found is not None and not found.gone:
                    launch = Launch(program, 0.0, 0)
                    launch.pid, launch.started, launch.executed = pid, found.started, self.began
                    self.running[program["name"]] = launch

    def start(self, names: Iterable[str]) -> Steps:
        """Start these programs, smallest ``start_sequence`` first, a rank only when the one before is done.

        :return: None, or the `Failure` that ended the start. A start also ends when programs are `deferred`.
        """
        self._start_by = min(self._start_by, time.monotonic() + self._start_timeout)
        wanted = set(names)
        chosen = [p for p in self.programs if p["name"] in wanted]
        ranks: Dict[int, List[Mapping[str, Any]]] = {}
        for program in chosen:
            ranks.setdefault(program["start_sequence"], []).append(program)
        for rank in sorted(ranks):
            # After the deadline, another run may have started the instance on another host.
            if time.monotonic() >= min(self.deadline, self._start_by):
                return Failure(ranks[rank][0]["name"], "was not started: the time for this start is over", "stop")
            launches, failure = yield from self._launch(ranks[rank])
            if failure is None:
                failure = yield from self._complete(launches)
            for launch in launches:
                launch.forget_ready()
            if failure is not None:
                yield from self._end_gates(launches)
                return failure
            if self.deferred:
                self.deferred += [p["name"] for p in chosen if p["start_sequence"] > rank]
                break
        self.mark("running")
        return None

    def linger(self, seconds: float) -> Steps:
        """Watch what was started until it is `seconds` old: a program that cannot run often ends at once.

        :return: as `start`.
        """
        newest = max([launch.executed for launch in self.running.values()] or [0.0])
        while time.monotonic() < min(newest + seconds, self.deadline):
            failure = yield from self._check_running()
            if failure is not None:
                return failure
            yield []
        return (yield from self._check_running())

    def _launch(self, programs: Sequence[Mapping[str, Any]]) -> Steps:
        """Order the start of a rank; repeat it for programs whose last process was not collected yet.

        :return: (launches, failure or None).
        """
        failure = yield from self._check_running()
        if failure is not None:
            return [], failure
        now = time.monotonic()
        marks.add(self._root, self.instance, self.epoch, [program["name"] for program in programs])
        launches = [Launch(p, now, self._manager.position(self.instance, p["name"])) for p in programs]
        for launch in launches:
            launch.expect_ready(self._root, self.instance, self._manager.host, self._ports)
        pending = launches
        while pending:
            replies = yield [("start", self.instance, launch.program["name"]) for launch in pending]
            again = []
            for launch, reply in zip(pending, replies):
                name = launch.program["name"]
                stale = (reply.busy and not self._is_current(reply.pid)) or reply.pid in self._old_pids
                if stale and time.monotonic() < now + _COLLECT_SECONDS:
                    again.append(launch)
                elif stale or (reply.error and not reply.busy and not reply.pid):
                    why = reply.error or "its last process was not collected by the service manager"
                    # it ended before the service manager answered
                    what = why.replace(_QUICK_EXIT, "exited with ", 1) if why.startswith(_QUICK_EXIT) else (
                        "could not be started: %s" % why)
                    failure = self._fail(launch.program, what + self._last_line(launch))
                    launch.forget_ready()
                    launches = [other for other in launches if other is not launch]
                    if failure is not None:
                        return launches, failure
                else:
                    launch.pid = reply.pid
                    found = procs.stat(reply.pid) if reply.pid else None
                    launch.started = found.started if found else 0
                    self.started.append(name)
            self.record.add(self._root, {one.program["name"]: (one.pid, one.started) for one in launches},
                            ends.codes([one.program for one in launches]))
            pending = again
            if pending:
                yield []
        return launches, None

    def _is_current(self, pid: int) -> bool:
        """Whether a process already runs with this epoch: started by an agent that was killed."""
        found = procs.stat(pid) if pid > 0 else None
        if found is None or found.gone or pid in self._old_pids:
            return False
        shown = procs.environment(pid).get("MUSTER_EPOCH")
        return shown is None or shown == str(self.epoch) or self.record.has(pid, found.started)

    def _complete(self, launches: List[Launch]) -> Steps:
        """Wait until every program of the rank runs and every gate is passed."""
        waiting = list(launches)
        late: List[str] = []
        while waiting:
            for launch in list(waiting):
                done, failure = yield from self._advance(launch, late)
                if failure is not None:
                    return failure
                if done:
                    waiting.remove(launch)
            if waiting:
                failure = yield from self._check_running()
                if failure is not None:
                    return failure
                self.awaited.update(launch.pid for launch in waiting if launch.gate and launch.pid)
                yield []
        self.deferred += late
        return None

    def _advance(self, launch: Launch, late: List[str]) -> Steps:
        """One look at a program that is starting. :return: (whether it is done, failure or None)."""
        program = launch.program
        name = program["name"]
        found = procs.stat(launch.pid) if launch.pid else None
        if found is None or found.gone or (launch.started and found.started != launch.started):
            status = found.exit_code if found is not None and found.gone else None
            how, expected = "", launch.gate and exit_code(status) in launch.ends
            if not expected:
                how, expected = yield from self._ending(launch, status)
            if not expected:
                return True, self._fail(program, how)
            self._pass(launch)
            return True, None
        if not launch.executed and procs.executed(launch.pid, self._manager_pid, self.epoch):
            launch.executed = time.monotonic()
        if launch.executed and not launch.gate and (launch.ready is None or launch.ready.look(launch.pid)):
            self.mark(name, launch.executed if launch.ready is None else None)
            self.running[name] = launch
            launch.forget_ready()
            return True, None
        now = time.monotonic()
        if now < min(launch.ordered + float(program["start_timeout"]), self._start_by):
            return False, None
        if launch.gate and program.get("on_timeout") == "defer":
            yield from self._end_gates([launch])
            late.append(name)
            self.mark(name + " deferred")
            return True, None
        waited = now - launch.ordered
        if launch.gate:
            yield from self._end_gates([launch])
        what = "did not end" if launch.gate else "did not become ready" if launch.executed else "did not start"
        over = ", when the time for this start was over" if waited < float(program["start_timeout"]) else ""
        return True, self._fail(program, "%s within %.1f s%s%s" % (what, waited, over, self._last_line(launch)))

    def _pass(self, launch: Launch) -> None:
        launch.passed = True
        self.mark(launch.program["name"])

    def _check_running(self) -> Steps:
        """Look whether everything that was started still lives. :return: None, or the `Failure`."""
        for name, launch in list(self.running.items()):
            found = procs.stat(launch.pid)
            if found is None or found.gone or found.started != launch.started:
                status = found.exit_code if found is not None and found.gone else None
                how, expected = yield from self._ending(launch, status)
                del self.running[name]
                if expected:
                    self.mark(name + " ended")
                    continue
                failure = self._fail(launch.program, how)
                if failure is not None:
                    return failure
        return None

    def _fail(self, program: Mapping[str, Any], why: str) -> Optional[Failure]:
        """Note that a program failed. :return: the `Failure` when that ends the start: a required program or a gate."""
        name = program["name"]
        self.failed[name] = why
        self.mark(name + " failed")
        strategy = program.get("starting_failure_strategy") or self.strategy
        if program["wait_exit"]:
            return Failure(name, why, "stop" if strategy == "stop" else "abort")
        if not program.get("required") or strategy == "continue":
            return None
        return Failure(name, why, strategy)

    def _ending(self, launch: Launch, seen: Optional[int]) -> Steps:
        """:param seen: wait status if the zombie was seen. :return: (phrase, whether it may end so)."""
        until = time.monotonic() + _COLLECT_SECONDS
        status: Optional[int] = None
        while True:
            reply = (yield [("look", self.instance, launch.program["name"])])[0]
            if reply.error or not reply.pid or reply.pid != launch.pid:
                status = reply.exit_status
                break
            if time.monotonic() > until:
                break
            yield []
        code = status if seen is None else exit_code(seen)
        if code is not None and code in launch.ends:
            return "exited with %d" % code, True  # without its last line, for which the journal takes 20 ms
        if reply.error and not reply.known:  # its programs die with the service manager
            return "ended: %s" % reply.error, False
        return ending(seen, code) + self._last_line(launch), False

    def _end_gates(self, launches: Iterable[Launch]) -> Steps:
        """Stop gates that still run, and what they started: they belong to a start, and end with it."""
        orders: Orders = []
        victims: Dict[int, Tuple[int, float]] = {}
        for launch in launches:
            if launch.gate and not launch.passed and launch.pid and procs.alive(launch.pid, launch.started):
                orders.append(("stop", self.instance, launch.program["name"]))
                victims[launch.pid] = (launch.started, self._kill_time(launch.program["name"]))
        if orders:
            yield orders
            yield from self._until_gone(victims)
            yield from self.stop_rest([program for _unused, _unused, program in orders])

    def _last_line(self, launch: Launch) -> str:
        words = self._manager.last_words(self.instance, launch.program["name"], launch.log_offset)
        return " (%s)" % words if words else ""
