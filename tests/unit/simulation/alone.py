# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of the simulation that help themselves while no monitor is on their line, by the decisions of real ones.

A host that is frozen stands still between its look and its act, as anywhere else, and goes on when it is thawed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from monitor.core.host.alone import decide as host_alone
from monitor.core.host.alone.decide import Attempt, Budget, Deed, Grant
from tests.unit.simulation import acts

if TYPE_CHECKING:
    from tests.unit.simulation.hosts import SimHost
    from tests.unit.simulation.world import SimWorld

AFTER = 3.0  # s without a question of a monitor
LOOK = 0.5


class SimAlone:
    """What runs allowed the hosts to do, and what they did."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._grants: dict[tuple[str, str], tuple[Grant, dict[str, Any]]] = {}  # host, instance -> it, its order
        self._asked: dict[str, float] = dict.fromkeys(world.hosts, -math.inf)
        self._noticed: dict[tuple[str, str, int], float] = {}
        self._tokens = 0
        self.count = 0
        for host in world.hosts.values():
            world.after(world.rng.uniform(0, LOOK), lambda host=host: self._look(host))  # type: ignore[misc]

    def asked(self, host: SimHost) -> None:
        """A monitor that may act asked the host."""
        self._asked[host.name] = self._world.t

    def shown(self, host: SimHost) -> dict[str, Any]:
        """As an observation shows it."""
        found = {}
        for (where, name), (grant, _order) in self._grants.items():
            if where == host.name:
                last = grant.attempts[-1] if grant.attempts else None
                found[name] = {
                    "until": grant.until, "stands": self._stands(host, grant), "attempts": [
                        host_alone.to_json(attempt) for attempt in host_alone.counted(grant)],
                    "busy": last is not None and not last.result and name in host.locks,
                }  # fmt: skip
        return found

    def begun(self, host: SimHost, order: Mapping[str, Any]) -> bool:
        """The host has taken an order, and holds the lock. :return: whether it may be carried out."""
        key = (host.name, order["instance"])
        if order["do"] == "stop":
            self._grants.pop(key, None)
        mine = order.get("granted")
        if mine is None:
            return True
        grant, kept = self._grants.get(key) or (None, {})
        if grant is None or grant.token != mine["token"] or not self._stands(host, grant):
            return False
        attempts = (*(one for one in grant.attempts if one.did != host_alone.CONTINUE), mine["attempt"])
        self._grants[key] = (grant._replace(attempts=attempts, epoch=order["epoch"]), kept)
        return True

    def ended(self, host: SimHost, order: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """The order was carried out, and the lock is still held."""
        key, mine, word = (host.name, order["instance"]), order.get("granted"), result["result"]
        if mine is not None:
            grant, kept = self._grants.get(key) or (None, {})
            if grant is not None and grant.token == mine["token"]:
                done = mine["attempt"]._replace(result=word, back=self._world.t)
                attempts = tuple(done if one == mine["attempt"] else one for one in grant.attempts)
                self._grants[key] = (grant._replace(attempts=attempts), kept)
        elif word == "running" and order.get("alone"):
            self._give(host, order)
        elif word != "refused":
            self._grants.pop(key, None)

    def _give(self, host: SimHost, order: Mapping[str, Any]) -> None:
        given, now, key = order["alone"], self._world.t, (host.name, order["instance"])
        before = self._grants.get(key)
        attempts = tuple(one for one in before[0].attempts if one.number > given["used"]) if before else ()
        budget = Budget(given["limit"], given["window"], given["stable"], tuple(given["waits"]), given["row"],
                        tuple(now - age for age in given["ages"]))  # fmt: skip
        self._tokens += 1
        grant = Grant(order["instance"], str(self._tokens), str(self._session(host)), order["epoch"], given["until"],
                      now, budget, given["bus"], given["strategies"], tuple(order["programs"]), given["repair"],
                      given["used"], attempts)  # fmt: skip
        self._grants[key] = (grant, {k: v for k, v in order.items() if k not in ("alone", "only", "do", "epoch")})

    def _session(self, host: SimHost) -> int:
        return self._world.leases.session(host) if self._world.leases is not None else 0

    def _stands(self, host: SimHost, grant: Grant) -> bool:
        return grant.session == str(self._session(host)) != "0"

    def _look(self, host: SimHost) -> None:
        world = self._world
        world.after(LOOK, lambda: self._look(host))
        if not (host.on and host.manager) or host.frozen or world.t - self._asked[host.name] < AFTER:
            return
        seen = host.seen()["instances"]
        for (where, name), (grant, order) in list(self._grants.items()):
            if where != host.name or not self._stands(host, grant) or name in host.locks:
                continue
            deed = host_alone.decide(grant, seen.get(name) or {}, world.t)
            if not deed.do:
                continue
            first = self._noticed.setdefault((where, name, deed.number), world.t)
            if deed.do == host_alone.CONTINUE or world.t >= first + deed.wait:
                self._do(host, grant, order, deed)

    def _do(self, host: SimHost, grant: Grant, order: Mapping[str, Any], deed: Deed) -> None:
        self.count += deed.do != host_alone.CONTINUE
        attempt = Attempt(deed.number, deed.do, self._world.t, deed.reason, row=deed.row, clock=self._world.wall)
        entry = dict(
            order, do=deed.do, epoch=deed.number if deed.do == host_alone.RESTART else grant.epoch,
            only=list(deed.programs) if deed.do == host_alone.REPAIR else list(host.deferred(grant.instance)),
            granted={"token": grant.token, "attempt": attempt},
        )  # fmt: skip
        request = {"instances": [entry], "deadline": 12.0, "expires": self._world.wall + 12.0,
                   "start_service_manager": False}  # fmt: skip
        self._world.tell("%s helps itself: %s %s: %s" % (host.name, deed.do, grant.instance, deed.reason))
        answer: Callable[[dict[str, Any]], None] = lambda _answer: None  # noqa: E731
        acts.send(self._world, host, request, "*%s-%d" % (host.name, self.count), answer)
