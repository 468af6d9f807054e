# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All instances of an act in parallel, in one loop: their orders go to the service manager together.

Every step has a deadline and needs nothing outside of this process: when a run is cancelled, its agent completes what
it began.
"""

from __future__ import annotations

import os
import select
import time

from ..machine import generations, procs
from ..service import identity
from ..service.errors import ConfigurationRefused
from ..service.manager import Reply
from . import instance as act_instance
from . import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, List, Mapping, Optional, Sequence, Set, Tuple

    from ..machine.instance_files import Placing
    from .scene import Scene

    Orders = List[Tuple[str, str, str]]
    Steps = Generator[Orders, List[Any], Any]

SETTLE_SECONDS = 0.25  # that a started program is watched: what cannot run usually ends at once
_STOP_PATIENCE_SECONDS = 3.0  # for a service manager that hangs: a stop works without it
_MIN_PAUSE_SECONDS = 0.0005
_MAX_PAUSE_SECONDS = 0.02


class Sequencer:
    """The instances of one act on one host."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._manager = scene.manager
        self._contact = scene.contact
        self._stagings: Dict[str, stages.Staging] = {}
        self._ends: Dict[int, int] = {}  # pid -> descriptor that is readable when it has ended

    def run(self, requests: Sequence[Mapping[str, Any]], settle: float = SETTLE_SECONDS) -> Dict[str, Dict[str, Any]]:
        """Carry out the requests; all of them end by the deadline of the scene.

        :param requests: see `host.act.instance.InstanceJob`.
        :param settle: s that a started program is watched.
        :return: instance -> its result, see `host.act.results.outcome`.
        """
        if all(request["do"] == "stop" for request in requests):
            self._manager.patience(_STOP_PATIENCE_SECONDS)
        results: Dict[str, Dict[str, Any]] = {}
        jobs: Dict[str, Steps] = {}
        for request in requests:
            request = _as_it_can_start(self._scene.root, request)
            staging = stages.Staging(request, self._scene)
            self._stagings[request["instance"]] = staging
            jobs[request["instance"]] = act_instance.InstanceJob(self._scene, request, staging, settle).steps()
        replies: Dict[str, Optional[List[Any]]] = dict.fromkeys(jobs)
        pause = _MIN_PAUSE_SECONDS
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
                pause = _MIN_PAUSE_SECONDS
            elif jobs:
                ended = self._pause(pause)
                pause = _MIN_PAUSE_SECONDS if ended else min(pause * 1.2, _MAX_PAUSE_SECONDS)
            replies = self._serve(wanted)
        for descriptor in self._ends.values():
            os.close(descriptor)
        self._manager.close()
        return results

    def _pause(self, seconds: float) -> bool:
        """Wait this long, or until a process ends whose end is waited for. :return: whether one did."""
        awaited: Set[int] = set()
        for staging in self._stagings.values():
            awaited |= staging.awaited
            staging.awaited.clear()
        for pid in set(self._ends) - awaited:
            os.close(self._ends.pop(pid))
        for pid in awaited - set(self._ends):
            descriptor = procs.end_of(pid)
            if descriptor is not None:
                self._ends[pid] = descriptor
        if not self._ends:
            time.sleep(seconds)
            return False
        poll = select.poll()
        for descriptor in self._ends.values():
            poll.register(descriptor, select.POLLIN)
        ended = {descriptor for descriptor, _unused in poll.poll(max(1, round(seconds * 1000)))}
        for pid, descriptor in list(self._ends.items()):
            if descriptor in ended:
                os.close(self._ends.pop(pid))
        return bool(ended)

    def _serve(self, wanted: Mapping[str, Orders]) -> Dict[str, Optional[List[Any]]]:
        """One round: orders, then placing, then a sweep, so that it shows the effect of both."""
        flat = [(name, order) for name, orders in wanted.items() for order in orders]
        answers: Dict[int, Any] = {}
        mine = [position for position, entry in enumerate(flat) if entry[1][0] not in ("sweep", "place")]
        for position, reply in zip(mine, self._order([flat[position][1] for position in mine])):
            answers[position] = reply
        placing = [(position, order) for position, (_unused, order) in enumerate(flat) if order[0] == "place"]
        if placing:
            placed = self._place({order[1]: order[2] for _unused, order in placing})
            for position, order in placing:
                answers[position] = placed[order[1]]
        if any(order[0] == "sweep" for _unused, order in flat):
            look = identity.Look(self._manager, self._scene.manager_pid)
            self._contact.forked = self._scene.manager_pid > 0 and self._unsettled(look.nameless)
            for position, (_unused, order) in enumerate(flat):
                if order[0] == "sweep":
                    answers[position] = look.of(order[1])
        replies: Dict[str, Optional[List[Any]]] = {name: [] for name in wanted}
        for position, entry in enumerate(flat):
            known = replies[entry[0]]
            if known is not None:
                known.append(answers[position])
        return replies

    def _unsettled(self, nameless: List[procs.Process]) -> bool:
        try:
            return not self._contact.silent and self._manager.unsettled(nameless, self._scene.manager_pid)
        except OSError as error:
            self._gone(error)
            return False

    def _order(self, orders: Orders) -> List[Reply]:
        if not orders:
            return []
        if not self._contact.silent:
            try:
                return self._manager.exchange(orders)
            except OSError as error:
                self._gone(error)
        return [Reply(error=self._contact.silent, known=False) for _unused in orders]

    def _gone(self, error: OSError) -> None:
        self._contact.silent = "the service manager of %s does not answer any more: %s" % (
            self._scene.name, error.strerror or error)

    def _place(self, instances: Mapping[str, str]) -> Dict[str, Reply]:
        """Place configurations and have them read once.

        :param instances: instance -> digest, see `host.machine.generations.file`.
        :return: instance -> reply; `busy`: it needs an ``add``.
        """
        if self._contact.silent:
            return {instance: Reply(error=self._contact.silent) for instance in instances}
        replies = {instance: Reply() for instance in instances}
        try:
            self._place_all(instances, replies)
        except OSError as error:
            for reply in replies.values():
                reply.error = reply.error or "cannot place configurations on %s: %s: %s" % (
                    self._scene.name, error.filename, error.strerror or error)
        return replies

    def _place_all(self, instances: Mapping[str, str], replies: Dict[str, Reply]) -> None:
        with self._manager.placing() as placing:
            for instance, digest in instances.items():
                try:
                    placing.place(instance, digest)
                except FileNotFoundError:
                    replies[instance].error = "%s has no configuration of %s: deploy first" % (
                        self._scene.name, instance)
                except OSError as error:
                    replies[instance].error = "cannot place the configuration of %s on %s: %s" % (
                        instance, self._scene.name, error.strerror or error)
            if placing.must_load:
                self._load(placing, instances, replies)

    def _load(self, placing: Placing, digests: Mapping[str, str], replies: Dict[str, Reply]) -> None:
        """Have the placed configuration read. Only the configurations that are not accepted are put back."""
        try:
            added = self._manager.load()
            placing.loaded()
        except OSError as error:
            self._gone(error)
            for reply in replies.values():
                reply.error = reply.error or self._contact.silent
            return
        except ConfigurationRefused as fault:
            changed = placing.undo()
            for instance in changed:
                reply = replies[instance]
                if len(changed) == 1:
                    reply.error = "the service manager of %s does not accept the configuration of %s: %s" % (
                        self._scene.name, instance, fault)
                else:  # one by one: a mistake in one must not stop the others
                    placing.place(instance, digests[instance])
                    self._load(placing, digests, {instance: reply})
            return
        for instance, reply in replies.items():
            reply.busy = added is None or instance in added


def _as_it_can_start(root: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request, with the programs of the newest configuration where this host has no other one of the instance."""
    wanted = str(request.get("digest") or "")
    if not request.get("otherwise") or generations.chosen(root, request["instance"], wanted) == wanted:
        return request
    return {**request, **request["otherwise"]}
