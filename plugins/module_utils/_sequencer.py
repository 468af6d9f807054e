# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an act does to the instances of a host: all of them in parallel, in one loop, each under its lock.

Every step has a deadline, and nothing outside of this process is needed to finish: a run that is cancelled leaves its
agent to end what it began.
"""

from __future__ import annotations

import os
import time

from . import _instancefiles, _ports, _procs, _staging, _supervisor, _supervisord, _xmlrpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, List, Mapping, Optional, Sequence, Tuple

    Orders = List[Tuple[str, str, str]]
    Steps = Generator[Orders, List[Any], Any]

SETTLE = 0.25  # s that a started program is watched: what cannot run usually ends at once
_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.01
_PLACING_TIMEOUT = 5.0


class Sequencer:
    """The instances of one act on one host."""

    def __init__(self, host: Mapping[str, Any], manager_pid: int, began: float, deadline: float) -> None:
        """:param manager_pid: of the service manager; 0 when it does not run: stops still work then."""
        self.host = host
        self.root: str = host["root"]
        self.manager_pid = manager_pid
        self.began = began
        self.deadline = deadline
        self._manager = _supervisor.Supervisor(self.root)
        self._reloaded: List[str] = []
        self._silent = "" if manager_pid else "the service manager of %s does not run" % host["host"]

    def run(self, requests: Sequence[Mapping[str, Any]], settle: float = SETTLE) -> Dict[str, Dict[str, Any]]:
        """:return: instance -> its result; with ``changed``, which says whether anything was done."""
        results: Dict[str, Dict[str, Any]] = {}
        jobs: Dict[str, Steps] = {}
        for request in requests:
            jobs[request["instance"]] = self._job(request, settle)
        replies: Dict[str, Optional[List[Any]]] = {name: None for name in jobs}
        pause = _SHORTEST_PAUSE
        while jobs:
            wanted: Dict[str, Orders] = {}
            for name in list(jobs):
                try:
                    reply = replies[name]
                    wanted[name] = next(jobs[name]) if reply is None else jobs[name].send(reply)
                except StopIteration as end:
                    results[name] = end.value
                    del jobs[name]
            if any(wanted.values()):
                pause = _SHORTEST_PAUSE
            else:
                time.sleep(pause)
                pause = min(pause * 1.2, _LONGEST_PAUSE)
            replies = self._serve(wanted)
        return results

    # -- one round -----------------------------------------------------------------------------------------------

    def _serve(self, wanted: Mapping[str, Orders]) -> Dict[str, Optional[List[Any]]]:
        flat = [(name, order) for name, orders in wanted.items() for order in orders]
        answers: Dict[int, Any] = {}
        mine = [(position, order) for position, (_, order) in enumerate(flat) if order[0] not in ("sweep", "place")]
        for (position, _), reply in zip(mine, self._order([order for _, order in mine])):
            answers[position] = reply
        placing = [(position, order) for position, (_, order) in enumerate(flat) if order[0] == "place"]
        if placing:
            placed = self._place([order[1] for _, order in placing])
            for position, order in placing:
                answers[position] = placed[order[1]]
        if any(order[0] == "sweep" for _, order in flat):
            by_instance: Dict[str, List[_procs.Process]] = {}
            for process in _procs.sweep(self.host["site_id"], self.host["host"]):
                by_instance.setdefault(process.instance, []).append(process)
            for position, (_, order) in enumerate(flat):
                if order[0] == "sweep":
                    answers[position] = by_instance.get(order[1], [])
        replies: Dict[str, Optional[List[Any]]] = {name: [] for name in wanted}
        for position, (name, _) in enumerate(flat):
            known = replies[name]
            assert known is not None
            known.append(answers[position])
        return replies

    def _order(self, orders: Orders) -> List[_supervisor.Reply]:
        if not orders:
            return []
        if not self._silent:
            try:
                return self._manager.exchange(orders)
            except (OSError, _xmlrpc.Fault) as error:
                self._silent = "the service manager of %s does not answer any more: %s" % (self.host["host"], error)
        return [_supervisor.Reply(error=self._silent, known=False) for _ in orders]

    def _place(self, instances: List[str]) -> Dict[str, _supervisor.Reply]:
        """Place configurations and have them read once. A reply's `busy` asks for an ``add`` afterwards."""
        replies: Dict[str, _supervisor.Reply] = {}
        again = _instancefiles.dirty(self.root)
        changed = []
        programs: List[str] = []
        for instance in instances:
            reply = _supervisor.Reply(error=self._silent)
            replies[instance] = reply
            if self._silent:
                continue
            try:
                if _instancefiles.place(self.root, instance, programs):
                    changed.append(instance)
            except FileNotFoundError:
                reply.error = "%s has no configuration of %s: deploy first" % (self.host["host"], instance)
            except OSError as error:
                reply.error = "cannot place the configuration of %s on %s: %s" % (
                    instance, self.host["host"], error.strerror or error)
        if not changed and not again:
            return replies
        try:
            added, altered, _ = self._manager.reload()
            for instance in instances:
                replies[instance].busy = instance in added or instance in altered
            _instancefiles.mark_clean(self.root)
        except (OSError, _xmlrpc.Fault) as error:
            for instance in changed:
                _instancefiles.unplace(self.root, instance)
                replies[instance].error = "the service manager of %s does not accept the configuration: %s" % (
                    self.host["host"], error)
        return replies

    # -- one instance --------------------------------------------------------------------------------------------

    def _job(self, request: Mapping[str, Any], settle: float) -> Steps:
        instance = request["instance"]
        lock = _instancefiles.Lock(self.root, instance)
        try:
            try:
                while not lock.take():
                    if time.monotonic() >= self.deadline:
                        return _result(request, "refused", "%s is being worked on by %s on %s" % (
                            instance, lock.holder(), self.host["host"]))
                    yield []
                return (yield from self._locked(request, settle))
            except OSError as error:
                return _result(request, "failed", "%s on %s: %s" % (
                    instance, self.host["host"], "%s: %s" % (error.filename, error.strerror)
                    if error.filename else str(error)))
        finally:
            lock.release()

    def _locked(self, request: Mapping[str, Any], settle: float) -> Steps:
        instance, epoch, action = request["instance"], request["epoch"], request["do"]
        seen = _instancefiles.read_seen(self.root, instance)
        claim = _instancefiles.read_claim(self.root, instance)
        last = max(int(seen.get("epoch", 0)), claim or 0)
        if epoch < last:
            return _result(request, "refused", "%s on %s was already seen with epoch %d: this request, for epoch %d, is "
                           "older and nothing was done" % (instance, self.host["host"], last, epoch))
        staging = _staging.Staging(request, self.root, self.began, self.deadline)
        if action == "stop":
            return (yield from self._stop(request, staging, seen))
        if self._silent:
            return _result(request, "refused", self._silent)
        there = yield from self._present(request)
        epochs = {process.epoch for process in there.processes}
        only = request.get("only")
        fresh = action == "restart" or (action == "start" and epochs != {epoch})
        restarted = False
        if action in ("continue", "repair") and epochs - {epoch, -1}:
            return _result(request, "refused", "%s runs on %s with epoch %s, not %d: restart it" % (
                instance, self.host["host"], ", ".join(str(e) for e in sorted(epochs)), epoch))
        new = not there.known
        if fresh or not there.processes:
            placed = (yield [("place", instance, "")])[0]
            if placed.error:
                return _result(request, "refused", placed.error)
            new = new or placed.busy
        if fresh:
            restarted = yield from staging.stop(there, bool(request.get("urgent")))
            if restarted:
                staging.mark("stopped")
                stuck = yield from staging.remains()
                if stuck:
                    return _result(request, "failed", stuck, staging)
            names = [p["name"] for p in request["programs"]] if only is None else list(only)
        else:
            staging.adopt(there)
            names = _missing(request, staging, seen)
            if action == "continue":
                names = list(seen.get("deferred", [])) if only is None else list(only)
        if not names:
            return _result(request, "running", "", staging, seen=seen, changed=False)
        busy = self._taken_port(request, names)
        if busy:
            return (yield from self._end_badly(request, staging, busy, stop=fresh, restarted=restarted))
        if new:
            error = yield from self._add(instance)
            if error:
                return _result(request, "failed", error, staging)
        _instancefiles.write_claim(self.root, instance, epoch, request.get("environment") or {})
        failure = yield from staging.start(names)
        if failure is None:
            failure = yield from staging.linger(settle)
        if failure is not None:
            reason = "%s %s" % (failure.program, failure.why)
            stop = fresh and failure.strategy == "stop"
            return (yield from self._end_badly(request, staging, reason, stop, restarted))
        self._remember(request, staging, seen if not fresh else {})
        return _result(request, "running", "", staging, restarted=restarted)

    def _stop(self, request: Mapping[str, Any], staging: _staging.Staging, seen: Mapping[str, Any]) -> Steps:
        instance = request["instance"]
        there = yield from self._present(request)
        did = yield from staging.stop(there, bool(request.get("urgent")))
        released = _instancefiles.remove_claim(self.root, instance)
        stuck = yield from staging.remains()
        if stuck:
            return _result(request, "failed", stuck, staging)
        if did:
            staging.mark("stopped")
        placed = _instancefiles.is_placed(self.root, instance)
        if placed and (yield from self._drop(instance)):
            _instancefiles.unplace(self.root, instance)
        epoch = max(request["epoch"], int(seen.get("epoch", 0)))
        _instancefiles.write_seen(self.root, instance, {"epoch": epoch, "digest": "", "deferred": [], "failed": {}})
        return _result(request, "stopped", "", staging, changed=did or released or placed)

    def _end_badly(
        self, request: Mapping[str, Any], staging: _staging.Staging, reason: str, stop: bool, restarted: bool
    ) -> Steps:
        """A start that failed: what the strategy says about the rest, and the reason kept."""
        if stop:
            yield from staging.stop((yield from self._present(request)))
            _instancefiles.remove_claim(self.root, request["instance"])
            stuck = yield from staging.remains()
            staging.mark("stopped")
            reason += "; " + stuck if stuck else ""
        self._remember(request, staging, {})
        return _result(request, "failed", reason, staging, restarted=restarted)

    def _remember(self, request: Mapping[str, Any], staging: _staging.Staging, before: Mapping[str, Any]) -> None:
        """Keep for the next observation: the epoch, what is deferred and what failed."""
        running = set(staging.running) | set(staging.started)
        failed = {name: why for name, why in before.get("failed", {}).items() if name not in running}
        failed.update(staging.failed)
        deferred = staging.deferred
        if not deferred and before.get("deferred") and request["do"] != "continue":
            deferred = [name for name in before["deferred"] if name not in running]
        staging.deferred = deferred
        _instancefiles.write_seen(self.root, request["instance"], {
            "epoch": request["epoch"], "digest": request.get("digest", ""), "deferred": deferred, "failed": failed,
        })

    def _present(self, request: Mapping[str, Any]) -> Steps:
        """What runs of it."""
        instance = request["instance"]
        names = [program["name"] for program in request["programs"]]
        if self._silent:
            return _staging.There((yield [("sweep", instance, "")])[0], {}, False)
        replies = yield [("sweep", instance, ""), *[("look", instance, name) for name in names]]
        mains = {name: reply.pid for name, reply in zip(names, replies[1:]) if reply.pid}
        return _staging.There(replies[0], mains, all(reply.known for reply in replies[1:]))

    def _add(self, instance: str) -> Steps:
        """Have the service manager take the instance's configuration. :return: a sentence when it does not."""
        until = time.monotonic() + _PLACING_TIMEOUT
        while True:
            reply = (yield [("add", instance, "")])[0]
            if not reply.error:
                return ""
            if time.monotonic() > until or not reply.busy:
                return "the service manager of %s does not take %s: %s" % (self.host["host"], instance, reply.error)
            yield []

    def _drop(self, instance: str) -> Steps:
        """:return: whether the service manager has let go of the instance."""
        if not self.manager_pid:
            return True
        until = time.monotonic() + _PLACING_TIMEOUT
        while True:
            reply = (yield [("drop", instance, "")])[0]
            if not reply.busy:
                return not reply.error
            if time.monotonic() > until:
                return False
            yield []

    def _taken_port(self, request: Mapping[str, Any], names: Sequence[str]) -> str:
        """A sentence when somebody listens where a program of this start must."""
        ports = {entry["port"]: entry for entry in request.get("ports") or [] if entry.get("program", "") in ("", *names)}
        for port, owner in sorted(_ports.taken(self.host["address"], ports).items()):
            return "port %d of %s (%s) is taken on %s by %s" % (
                port, request["instance"], ports[port]["name"], self.host["host"], owner)
        return ""


def _missing(request: Mapping[str, Any], staging: _staging.Staging, seen: Mapping[str, Any]) -> List[str]:
    """Programs that should run and do not, with the gates that stand before them."""
    only = request.get("only")
    deferred = set(seen.get("deferred", []))
    wanted = [p for p in request["programs"] if p["start_sequence"] > 0 and p["name"] not in deferred]
    missing = [p for p in wanted if not p["wait_exit"] and p["name"] not in staging.running
               and (only is None or p["name"] in only)]
    if not missing:
        return []
    last = max(p["start_sequence"] for p in missing)
    gates = [p for p in wanted if p["wait_exit"]]
    before = [p for p in gates if p["start_sequence"] < last]
    first = min([p["start_sequence"] for p in gates] or [0])
    if min(p["start_sequence"] for p in missing) < first:  # the bus itself came back: ask it, too
        before += [p for p in gates if p["start_sequence"] == first and p not in before]
    return [p["name"] for p in [*missing, *before]]


def _result(
    request: Mapping[str, Any], result: str, reason: str, staging: Optional[_staging.Staging] = None,
    restarted: bool = False, changed: Optional[bool] = None, seen: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    if changed is None:
        changed = staging is not None
    seen = seen or {}
    return {
        "result": result,
        "reason": reason,
        "epoch": request["epoch"],
        "started": list(staging.started) if staging else [],
        "deferred": list((staging.deferred if staging else None) or seen.get("deferred", [])),
        "failed": dict((staging.failed if staging else None) or seen.get("failed", {})),
        "restarted": restarted,
        "timeline": list(staging.timeline) if staging else [],
        "changed": changed,
    }


def predict(host: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """What `Sequencer.run` would do, without doing it: for check mode."""
    root = host["root"]
    processes = _procs.sweep(host["site_id"], host["host"])
    manager = _supervisord.find(processes, root)
    results = {}
    for request in requests:
        instance, epoch = request["instance"], request["epoch"]
        mine = _procs.of_instance(processes, instance)
        seen = _instancefiles.read_seen(root, instance)
        last = max(int(seen.get("epoch", 0)), _instancefiles.read_claim(root, instance) or 0)
        if epoch < last:
            results[instance] = _result(request, "refused", "%s was already seen with epoch %d" % (instance, last))
            continue
        if request["do"] == "stop":
            there = os.path.exists(_instancefiles.claim_path(root, instance)) or _instancefiles.is_placed(root, instance)
            results[instance] = _result(request, "stopped", "", changed=bool(mine) or there)
            continue
        live = {p.program for p in mine if p.epoch == epoch}
        same = bool(live) and {p.epoch for p in mine} == {epoch} and bool(manager)
        absent = [p["name"] for p in request["programs"] if p["start_sequence"] > 0 and not p["wait_exit"]
                  and p["name"] not in live and p["name"] not in seen.get("deferred", [])]
        changed = request["do"] in ("restart", "continue") or not same or bool(absent)
        results[instance] = _result(request, "running", "", changed=changed, seen=seen, restarted=bool(mine) and not same)
    return results
