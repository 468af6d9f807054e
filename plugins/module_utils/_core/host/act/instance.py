# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an act does to one instance.

Invariants: it holds the lock of the instance; it never serves an epoch lower than one that this host has seen; nothing
starts before the claim is written.
"""

from __future__ import annotations

import errno
import time

from ..machine import generations, given, instance_files, procs, starts
from ..machine import ports as machine_ports
from ..service import ends
from . import alone, granted, reload, stages
from .launches import Present
from .results import missing, outcome, too_old

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, List, Mapping, Optional, Sequence, Tuple

    from .scene import Scene

    Steps = Generator[List[Tuple[str, str, str]], List[Any], Any]

_OF_THE_HOST = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no other instance could start there either
_TAKE_SECONDS = 5.0  # within which the service manager must take, or drop, an instance
_EXEC_SECONDS = 1.0  # that a process forked by the service manager may take to become its program


class InstanceJob:
    """Carries out what an act requests for one instance."""

    def __init__(
        self, scene: Scene, request: Mapping[str, Any], staging: stages.Staging, settle: float
    ) -> None:
        """
        :param request: one of the act's ``instances``: ``{"do", "instance", "epoch", "programs", ...}``.
        :param settle: s that a started program is watched.
        """
        self.scene = scene
        self.request = request
        self.staging = staging
        self.settle = settle
        self.instance: str = request["instance"]
        self.epoch: int = request["epoch"]
        self.root = scene.root
        self.where = scene.name
        # Sent once nothing is locked: while a run works on an instance, the end of a program is the run's to report.
        self.signals: List[Tuple[int, int, int]] = []  # (pid, signal, start of the process)
        self.digest: str = request.get("digest", "")  # of the configuration that it gets

    def steps(self) -> Steps:
        """Everything in order. Yields orders, see `host.act.stages`. :return: the instance's result, see `outcome`."""
        lock = instance_files.Lock(self.root, self.instance)
        try:
            while not lock.take():
                if time.monotonic() >= self.scene.deadline:
                    return self.result("refused", "%s is being worked on by %s on %s" % (
                        self.instance, lock.holder(), self.where), changed=False)
                yield []
            return (yield from granted.steps(self, self._locked()))
        except (OSError, ValueError) as error:
            what = str(error)
            full = isinstance(error, OSError) and error.errno in _OF_THE_HOST
            if isinstance(error, OSError) and error.filename:
                what = "%s: %s" % (error.filename, error.strerror)
            return (yield from self._broken("%s on %s: %s" % (self.instance, self.where, what), full))
        finally:
            lock.release()
            for pid, number, started in self.signals:
                procs.send(pid, number, started)

    def _broken(self, why: str, of_the_host: bool) -> Steps:
        """The result when this host cannot do its part, for example with a full disk.

        A copy that lives and was left alone is not a failed start, and neither is what no instance could do on this
        host: "refused", so that it starts elsewhere. A failed start whose programs live keeps
        its claim on this host: they are reported as ``left``.
        """
        if self.request["do"] == "stop":
            return self.result("failed", why)
        left = yield from self._alive()
        if not self.staging.started and (left or of_the_host):
            return self.result("refused", why, changed=False)
        why = "; ".join(["%s %s" % pair for pair in sorted(self.staging.failed.items())] + [why])
        return self.result("failed", why, left=left)

    def _alive(self) -> Steps:
        """:return: the programs of which a process lives."""
        processes: List[procs.Process] = (yield [("sweep", self.instance, "")])[0]
        return sorted({process.program for process in processes if procs.alive(process.pid)})

    def _locked(self) -> Steps:
        seen = instance_files.read_seen(self.root, self.instance)
        refused = too_old(self.where, self.request, seen, instance_files.read_claim(self.root, self.instance))
        if refused:
            return self.result("refused", refused, changed=False)
        if self.request["do"] == "stop":
            return (yield from self._stop(seen))
        if self.scene.contact.silent:
            return self.result("refused", self.scene.contact.silent, changed=False)
        present = yield from self.find_present()
        if self.request["do"] == "reload":
            return (yield from self._reload(present, seen))
        if self.request["do"] in ("end", "renew", "add", "signal"):
            return (yield from alone.alone(self, present, seen))
        fresh, refused = self._how(present, seen)
        if refused:
            return self.result("refused", refused, changed=False)
        if fresh:  # before anything is stopped: on a full disk nothing could start again
            self._remember({})
        new = not present.known
        wanted = str((self.request if fresh else seen).get("digest") or "")
        self.digest = generations.chosen(self.root, self.instance, wanted)
        if fresh or not present.processes:
            placed = (yield [("place", self.instance, self.digest)])[0]
            if placed.error:
                return self.result("refused", placed.error, changed=False)
            new = new or placed.busy
        restarted = False
        if fresh:
            restarted = yield from self.staging.stop(present, bool(self.request.get("urgent")))
            if restarted:
                self.staging.mark("stopped")
            if self.staging.stuck:  # not "failed": a copy lives, so this host keeps the claim
                return self.result("refused", self.staging.stuck)
        else:
            self.staging.adopt(present)
        done = {} if fresh else (yield from self._done(present))
        names = self._names(fresh, seen, done)
        if not names:
            return self.result("running", "", seen=seen, changed=False)
        return (yield from self.start(names, fresh, new, seen, restarted))

    def _done(self, present: Present) -> Steps:
        """:return: the programs of this epoch that ended as they may, so that nothing starts them again."""
        record = starts.read(self.root, self.instance)
        asked = ends.asked(record, present.mains) if record.epoch == self.epoch else []
        if not asked:
            return {}
        return ends.judged(record, asked, (yield [("look", self.instance, program) for program in asked]))

    def _how(self, present: Present, seen: Mapping[str, Any]) -> Tuple[bool, str]:
        """:return: (whether all its programs are started, a sentence when nothing may be done)."""
        action = self.request["do"]
        epochs = {process.epoch for process in present.processes}
        if action == "continue" and not epochs and not self._waits_in_a_gate(seen):
            return False, "%s does not run on %s, so its start cannot go on: start it" % (self.instance, self.where)
        if action in ("continue", "repair") and epochs - {self.epoch, -1}:
            return False, "%s runs on %s with epoch %s, not %d: restart it" % (
                self.instance, self.where, ", ".join(str(e) for e in sorted(epochs)), self.epoch)
        # Each start has an epoch of its own. An order whose answer was lost comes again: what it asked for is there.
        return action in ("start", "restart") and epochs != {self.epoch}, ""

    def _waits_in_a_gate(self, seen: Mapping[str, Any]) -> bool:
        """Whether nothing of it runs because all its programs come after a gate that waits for something."""
        kept = (seen.get("epoch"), instance_files.read_claim(self.root, self.instance))
        return kept == (self.epoch, self.epoch) and bool(seen.get("deferred")) and not missing(
            dict(self.request, only=None), (), dict(seen, deferred=[*seen["deferred"], *seen.get("failed", {})]))

    def _names(self, fresh: bool, seen: Mapping[str, Any], done: Mapping[str, int]) -> List[str]:
        """The programs to start."""
        only = self.request.get("only")
        if self.request["do"] == "continue":
            return list(seen.get("deferred", [])) if only is None else list(only)
        if fresh:
            return [p["name"] for p in self.request["programs"] if p["start_sequence"] > 0] if only is None else (
                list(only))
        return missing(self.request, {*self.staging.running, *done}, seen)

    def start(
        self, names: Sequence[str], fresh: bool, new: bool, seen: Mapping[str, Any], restarted: bool
    ) -> Steps:
        before = {} if fresh else seen
        strategy = self.staging.strategy
        error = self._taken_port(names)
        if not error and new:
            error = yield from self._add()
        if error:
            return (yield from self._end_badly(error, strategy, before, restarted))
        if fresh:
            generations.use(self.root, self.instance, self.digest)
            given.remove(self.root, self.instance)
        self.staging.record = record = starts.begin(self.root, self.instance, self.epoch, fresh)
        instance_files.write_claim(self.root, self.instance, self.epoch, {
            **(self.request.get("environment") or {}), starts.KEY: record.key,
            **self.scene.lines(self.request)}, nothing_runs=fresh)
        failure = yield from self.staging.start(names)
        if failure is None:
            failure = yield from self.staging.linger(self.settle)
        if failure is not None:
            reason = "%s %s%s" % (failure.program, failure.why, self._lingering_port(names))
            return (yield from self._end_badly(reason, failure.strategy, before, restarted))
        self._remember(before)
        return self.result("running", "", restarted=restarted)

    def _reload(self, present: Present, seen: Mapping[str, Any]) -> Steps:
        """What runs takes its changed files, under the epoch that it has."""
        if {process.epoch for process in present.processes} - {-1} != {self.epoch}:
            return self.result("refused", "%s does not run on %s with epoch %d, so it takes nothing" % (
                self.instance, self.where, self.epoch), seen=seen, changed=False)
        self.digest = generations.chosen(self.root, self.instance, self.digest)
        before = generations.use(self.root, self.instance, self.digest)
        told = [p for p in self.request["programs"] if p["name"] in (self.request.get("only") or ())]
        why = yield from reload.tell_all(self.root, told, present.mains, self.scene.deadline, self.settle)
        if why:
            generations.put_back(self.root, self.instance, before)
            return self.result("failed", why, seen=seen)
        instance_files.write_seen(self.root, self.instance, dict(seen, digest=self.digest))
        return self.result("running", "", seen=seen)

    def _stop(self, seen: Mapping[str, Any]) -> Steps:
        present = yield from self.find_present()
        placed = self.scene.manager.is_placed(self.instance)
        did = yield from self.staging.stop(present, bool(self.request.get("urgent")))
        released = yield from self._release()
        if self.staging.stuck:
            return self.result("failed", self.staging.stuck)
        starts.remove(self.root, self.instance)
        given.remove(self.root, self.instance)
        if did:
            self.staging.mark("stopped")
        epoch = max(self.epoch, int(seen.get("epoch", 0)))
        kept = {"epoch": epoch, "digest": "", "deferred": [], "failed": {}}
        instance_files.write_seen(self.root, self.instance, kept)
        return self.result("stopped", "", changed=did or released or placed)

    def _release(self) -> Steps:
        """After a stop: remove the claim, so that nothing can start, stop what was just starting, then unplace it.

        :return: whether there was a claim."""
        released = instance_files.remove_claim(self.root, self.instance)
        if released:  # what was just starting under it
            yield from self.staging.stop_rest()
        if self.scene.manager.is_placed(self.instance):
            kept = yield from self._drop()
            if not kept:
                self.scene.manager.unplace(self.instance)
            elif not self.staging.stuck:
                self.staging.stuck = "the service manager of %s does not let go of %s: %s" % (
                    self.where, self.instance, kept)
        return released

    def _end_badly(self, reason: str, strategy: str, before: Mapping[str, Any], restarted: bool) -> Steps:
        """After a failed start: stop the rest if `strategy` is "stop", and keep the reason for the next observation."""
        present = yield from self.find_present()
        if strategy == "stop" and present.processes:
            yield from self.staging.stop(present)
            self.staging.mark("stopped")
        if strategy == "stop" or not present.processes:
            yield from self._release()
            self.staging.deferred = []
            before = {}
            if not self.staging.stuck:
                starts.remove(self.root, self.instance)
        self._remember(before)
        if self.staging.stuck:
            return self.result("refused", "%s; %s" % (reason, self.staging.stuck))
        return self.result("failed", reason, restarted=restarted, left=(yield from self._alive()))

    def _remember(self, before: Mapping[str, Any]) -> None:
        """Keep for the next observation: the epoch, the digest, which programs are deferred and which failed.

        :param before: what was kept for the processes that go on; {} when all of them are new.
        """
        staging = self.staging
        started = set(staging.running) | set(staging.started)
        failed = {name: why for name, why in before.get("failed", {}).items() if name not in started}
        failed.update(staging.failed)
        if before and self.request["do"] != "continue":
            staging.deferred += [name for name in before.get("deferred", []) if name not in staging.deferred]
        staging.failed = failed
        instance_files.write_seen(self.root, self.instance, {
            "epoch": self.epoch,
            "digest": before["digest"] if before else self.digest,
            "deferred": staging.deferred,
            "failed": failed,
        })

    def find_present(self) -> Steps:
        """Find its processes in /proc; the service manager only says whether it knows it. :return: `Present`."""
        names = [program["name"] for program in self.request["programs"]]
        until = time.monotonic() + _EXEC_SECONDS
        while True:
            orders = [("sweep", self.instance, "")]
            if not self.scene.contact.silent and names:
                orders.append(("look", self.instance, names[0]))
            replies = yield orders
            known = len(replies) > 1 and replies[1].known
            # a signal sent between fork and exec is lost: what was forked must have shown whose it is
            if not self.scene.contact.forked or time.monotonic() > until:
                break
            yield []
        processes: List[procs.Process] = replies[0]
        mains = {}
        for process in processes:
            if process.main and procs.alive(process.pid):
                mains[process.program] = process.pid
        # of a process that hides its environment, the service manager knows the program
        if known and (self.scene.contact.forked or self.scene.manager.asks_all):
            for name, reply in zip(names, (yield [("look", self.instance, name) for name in names])):
                if reply.pid:
                    mains[name] = reply.pid
        return Present(processes, mains, known)

    def _add(self) -> Steps:
        """Have the service manager take the instance's configuration. :return: a sentence when it does not; else ""."""
        until = time.monotonic() + _TAKE_SECONDS
        while True:
            reply = (yield [("add", self.instance, "")])[0]
            if not reply.error:
                return ""
            if time.monotonic() > until or not reply.busy:
                return "the service manager of %s does not take %s: %s" % (self.where, self.instance, reply.error)
            yield []

    def _drop(self) -> Steps:
        """:return: why the service manager has not let go of the instance: a process of it runs; else ""."""
        if self.scene.contact.silent:
            return ""
        until = time.monotonic() + _TAKE_SECONDS
        while True:
            reply = (yield [("drop", self.instance, "")])[0]
            if self.scene.contact.silent or not reply.busy:
                return "" if self.scene.contact.silent else reply.error
            if time.monotonic() > until:
                return reply.error or "it still runs"
            yield []

    def _ports(self, names: Sequence[str]) -> Dict[int, str]:
        """Port -> its name, of these programs."""
        return {entry["port"]: entry["name"] for entry in self.request.get("ports") or []
                if entry.get("program", "") in ("", *names)}

    def _lingering_port(self, names: Sequence[str]) -> str:
        """What a program may have met that does not reuse the address of its port; "" where nothing keeps one."""
        kept = machine_ports.lingering(self.scene.host["address"], sorted(self._ports(names)))
        return "; port %s still has connections of before, so a program that does not use SO_REUSEADDR cannot listen " \
            "there: that ends within a minute" % ", ".join(map(str, kept)) if kept else ""

    def _taken_port(self, names: Sequence[str]) -> str:
        """A sentence when another process listens on a port of a program to start; else ""."""
        ports, host = self._ports(names), self.scene.host
        for port, owner in sorted(machine_ports.taken(host["address"], ports, host["site_id"]).items()):
            return "port %d of %s (%s) is taken on %s by %s" % (port, self.instance, ports[port], self.where, owner)
        return ""

    def result(
        self, result: str, reason: str, restarted: bool = False, changed: bool = True,
        seen: Optional[Mapping[str, Any]] = None, left: Optional[Sequence[str]] = None,
    ) -> Dict[str, Any]:
        """:param seen: what was kept about it, where nothing was done.
        :param left: programs that live after a start that failed, as a sweep found them."""
        staging = self.staging
        return outcome(self.request, result, reason, started=list(staging.started),
                       deferred=staging.deferred or (seen or {}).get("deferred", []),
                       failed=staging.failed or (seen or {}).get("failed", {}),
                       restarted=restarted, timeline=staging.timeline, changed=changed, left=left,
                       digest=self.digest if staging.started else "")
