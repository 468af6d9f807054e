# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world of the simulation: a clock, hosts that fail, the ledger, and the rules that must hold in it.

`World` gives the ledger; here hosts take time to do what they are sent, lose power, freeze and are cut off. The rules
are checked against what lives on the hosts, whatever the ledger says of it. `now` is seconds since 1970, `t` seconds
of the simulation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from monitor.core.model.records import Claim
from monitor.core.model.site import Site
from monitor.core.model.words import MONITOR
from tests.unit.plan.fleet_in_memory import World
from tests.unit.simulation.alone import SimAlone
from tests.unit.simulation.hosts import BUS, Broken, Clock, Locked, SimCopy, SimHost
from tests.unit.simulation.leases import SimLeases

EPOCH = 1_700_000_000.0


class SimWorld(World):
    """Truth. `tell(what)` takes a line for the log of a replay."""

    hosts: dict[str, SimHost]  # type: ignore[assignment]

    def __init__(self, site: Site, rng: random.Random, tell: Callable[[str], None]) -> None:
        super().__init__(site)
        self.clock, self.rng, self.tell = Clock(), rng, tell
        self.now = EPOCH
        self.hosts = {host.name: SimHost(host.name) for host in site.hosts}
        self.committed: set[tuple[str, str, int]] = set()  # starts that the ledger allowed: instance, host, epoch
        self.working: dict[str, dict[str, tuple[str, float]]] = {}  # instance -> run -> host, until
        self.doubles: dict[str, str] = {}  # instance -> two hosts that were both alive, excused
        self.excused = 0
        self.start_times: list[tuple[float, str, str, str]] = []  # t, instance, host, run
        self.reconciles: list[float] = []  # when each began that the monitor asked for
        self.looks = 0  # over the lines
        self.trouble: dict[str, int] = {}  # instance -> what may be charged since a person cleared it
        self.windows_over: dict[str, tuple[float, str]] = {}  # HCI -> since when it must not come back by itself, why
        self.shown_on: dict[str, str] = {}  # HCI -> the console where a person last asked for it
        self.taken_over: dict[str, float] = {}  # HCI -> when a person took it over without seeing its console
        self.heirs: list[Callable[[str, str, str], None]] = []  # told of programs that end: host, instance, program
        self.listening: set[str] = set()  # hosts whose service manager stops the members of a dead bus
        self.ledger_locked = False
        self.leases: SimLeases | None = None  # where hosts need them
        self.helps: SimAlone | None = None  # and then help themselves
        self.broken: dict[str, str] = {}  # instance -> "fails" | "dies" | "hangs"

    # --- time

    @property
    def t(self) -> float:
        return self.clock.now

    def after(self, delay: float, do: Callable[[], None]) -> None:
        self.clock.after(delay, do)

    def run(self, seconds: float) -> None:
        self.clock.run(self.t + seconds)
        self.now = EPOCH + self.t

    @property
    def wall(self) -> float:
        self.now = EPOCH + self.clock.now
        return self.now

    def next_number(self) -> str:
        self.asked += 1
        return str(self.asked)

    def demand(self, holds: bool, rule: str, what: str) -> None:
        if not holds:
            raise Broken("%s at %.2f: %s" % (rule, self.t, what))

    # --- what happens to hosts

    def lose(self, host: SimHost) -> None:
        if not host.lost:
            host.lost_at = self.t
            if self.leases is not None:
                self.after(0.0, lambda: self.leases.lost(host) if self.leases is not None else None)

    def regain(self, host: SimHost) -> None:
        if not host.lost:
            host.back_at = self.t
            waiting, host.waiting = host.waiting, []
            for step in waiting:
                step()
            if self.leases is not None:
                self.leases.back(host)

    def power(self, name: str, on: bool, manager: bool = True) -> None:
        host = self.hosts[name]
        self.tell("%s is switched %s" % (name, "on" if on else "off"))
        if on:
            host.on, host.frozen, host.manager = True, "", manager
            host.powered += 1
            host.boots += 1
            host.waiting.clear()
            host.locks.clear()
            self.regain(host)
        else:
            self.lose(host)
            self._all_die(host, "its console was switched off")
            for copy in list(host.copies):
                self.ends(host, copy, BUS, told=False)
            host.die()
            host.on = False

    def kill_manager(self, name: str) -> None:
        host = self.hosts[name]
        if host.on and host.manager:
            self.tell("the service manager of %s is killed" % name)
            self._all_die(host, "the service manager of its console died")
            lived = list(host.copies)
            host.die()
            host.manager = False
            for copy in lived:
                self.ends(host, copy, BUS, told=False)

    def all_end(self, host: SimHost, why: str) -> None:
        """All instances of a host end; its service manager goes on."""
        self._all_die(host, why)
        lived = list(host.copies)
        host.die()
        for copy in lived:
            self.ends(host, copy, BUS, told=False)

    def start_manager(self, host: SimHost) -> None:
        host.manager, host.boots, host.managed_at = True, host.boots + 1, self.t

    def isolate(self, name: str, cut: bool) -> None:
        host = self.hosts[name]
        self.tell("%s is %s the network" % (name, "cut off from" if cut else "back in"))
        if cut:
            self.lose(host)
        host.reachable = not cut
        if not cut:
            self.regain(host)

    def freeze(self, name: str, how: str) -> None:
        host = self.hosts[name]
        self.tell("%s %s" % (name, "freezes (%s)" % how if how else "is thawed"))
        if how:
            self.lose(host)
        host.frozen = how
        if not how:
            self.regain(host)

    def ends(self, host: SimHost, name: str, program: str, told: bool = True) -> None:
        """Tell those that hold a connection, and the service manager's listener."""
        for heir in list(self.heirs):
            heir(host.name, name, program if told else "")

    def crash_bus(self, host: SimHost, name: str) -> None:
        """The bus of an instance ends by itself; where there is a listener, the members end with it."""
        copy = host.copies.get(name)
        if copy is None or not host.on or host.frozen or BUS not in copy.programs:
            return
        self.tell("the bus of %s crashes on %s" % (name, host.name))
        self.bad(name)
        if name not in host.locks:  # else it never was whole: its start fails
            self._window_over(name, "its bus crashed")
        copy.programs.remove(BUS)
        if host.name in self.listening and name not in host.locks and host.claims.get(name) == copy.epoch:
            del host.copies[name]
            host.ended[name] = copy.epoch
        self.ends(host, name, BUS)

    def kill_program(self, host: SimHost, name: str, program: str) -> None:
        copy = host.copies.get(name)
        if copy is not None and program in copy.programs and not host.lost:
            self.tell("%s of %s dies on %s" % (program, name, host.name))
            self.bad(name)
            copy.programs.remove(program)
            if not copy.programs:
                del host.copies[name]
                self._window_over(name, "its last program died")
            self.ends(host, name, program, told=name not in host.locks)

    def closed(self, host: SimHost, name: str, why: str) -> None:
        """All of an instance ends without a request."""
        self.bad(name)
        self._window_over(name, why)
        del host.copies[name]
        self.ends(host, name, BUS, told=False)

    def bus(self, where: str, name: str) -> str:
        """How the bus of an instance, or of a host service, shows itself from the controller."""
        host = self.hosts[where]
        if not host.on or not host.reachable or host.frozen == "silent":
            return "unreachable"
        if host.frozen:
            return "hangs"
        if name == "common_data_bus":
            return "answers" if host.common_bus else "dead"
        copy = host.copies.get(name)
        if copy is None or BUS not in copy.programs:
            return "dead"
        if copy.hung:  # type: ignore[attr-defined]
            return "hangs"
        late = copy.slow and self.rng.random() < copy.slow  # type: ignore[attr-defined]
        return "late" if late else "answers"

    def bad(self, name: str) -> None:
        self.trouble[name] = self.trouble.get(name, 0) + 1

    def _all_die(self, host: SimHost, why: str) -> None:
        for name in host.copies:
            self.bad(name)  # a run that knows only of the buses charges it
            if self.shown_on.get(name, host.name) == host.name:
                self._window_over(name, why)

    def _window_over(self, name: str, why: str) -> None:
        if name.startswith("scen2_hci"):
            self.windows_over[name] = (self.t, why)

    # --- what acts do, see `acts`

    def session(self, host: SimHost) -> int:
        """The lease that a host holds; 0 without one, and where none is needed."""
        return self.leases.session(host) if self.leases is not None else 0

    def gone(self, host: SimHost, name: str) -> None:
        if host.copies.pop(name, None) is not None:
            self.ends(host, name, BUS, told=False)
        host.claims.pop(name, None)
        host.ended.pop(name, None)

    def alone(self, name: str, host: SimHost, run: str, until: float) -> None:
        """At most one run at a time is at work on an instance, where anybody can see it."""
        others = self.working.setdefault(name, {})
        for other, (where, over) in list(others.items()):
            in_sight = all(
                not there.lost and there.back_at < self.t - 60 and there.down_at < self.t - 60
                for there in (host, self.hosts[where])
            )
            if other != run and over > self.t and in_sight:
                raise Broken("one run at %.2f: %s acts on %s on %s while run %s does on %s" % (
                    self.t, run, name, host.name, other, where))  # fmt: skip
        others[run] = (host.name, until)

    # --- the rules about a start

    def spawn(self, host: SimHost, name: str, entry: Mapping[str, Any], run: str, was_there: bool) -> None:
        epoch = entry["epoch"]
        self.tell("%s: run %s starts %s under epoch %d" % (host.name, run, name, epoch))
        what = "%s starts on %s under epoch %d, which the ledger never said" % (name, host.name, epoch)
        self.demand((name, host.name, epoch) in self.committed, "commit first", what)
        before = self.started.get(name, 0)
        self.demand(epoch > before or self._believed_down(name, host), "I4",
                    "%s starts under epoch %d after %d" % (name, epoch, before))  # fmt: skip
        self.started[name] = max(epoch, before)
        over, why = self.windows_over.get(name, (-1.0, ""))
        if over >= 0 and not was_there:
            asked = self.asked_for(name, run)
            self.demand(asked >= over, "I8", "%s came back on %s by itself: %s at %.2f" % (name, host.name, why, over))
        for other in self.hosts.values():
            if other is not host and name in other.copies:
                self._second(name, host, other)
        host.copies[name] = SimCopy(epoch, [BUS], entry["digest"], at=self.t)
        host.ended.pop(name, None)
        self.start_times.append((self.t, name, host.name, run))

    def asked_for(self, name: str, run: str) -> float:
        """When a person last asked to see an HCI; infinity while the run is that request."""
        return -1.0

    def _second(self, name: str, one: SimHost, other: SimHost) -> None:
        """A second copy: only where one of both hosts was out of sight and believed down, or a person took over."""
        for host in (one, other):
            if self._believed_down(name, host) and self._excuses(name, host):
                self.excused += 1
                self.doubles[name] = "%s and %s" % (one.name, other.name)
                self.tell("duplicate under partition: %s on %s and %s" % (name, one.name, other.name))
                return
        raise Broken("I1 at %.2f: %s starts on %s while it lives on %s" % (self.t, name, one.name, other.name))

    def _excuses(self, name: str, host: SimHost) -> bool:
        """With leases only a person makes a second copy: who took over what may still be shown, or confirmed a host
        down that is not."""
        confirmed = (self.state["hosts"].get(host.name) or {}).get("by", MONITOR) != MONITOR
        return self.leases is None or confirmed or self.taken_over.get(name, -1e9) >= host.lost_at

    def _believed_down(self, name: str, host: SimHost) -> bool:
        """Whether it is, or was a moment ago, out of sight, and what it held was given away meanwhile."""
        away = host.lost or host.back_at > self.t - 60
        since = host.copies[name].at if name in host.copies else host.lost_at  # type: ignore[attr-defined]
        return away and (host.down_at >= since or self.taken_over.get(name, -1e9) >= host.lost_at)

    # --- ledger

    def commit(self, revision: int, changes: dict[str, Any]) -> bool:
        if self.ledger_locked:
            raise Locked("the ledger is locked")
        if not super().commit(revision, changes):
            return False
        for name, record in (changes.get("claims") or {}).items():
            claim = Claim.from_json(record) if record else Claim()
            if claim.phase == "starting" and claim.host:
                self.committed.add((name, claim.host, claim.epoch))
            if claim.ahead is not None and claim.host:
                self.committed |= {(name, claim.host, epoch) for epoch in range(claim.epoch + 1, claim.ahead.until + 1)}
        for name, record in (changes.get("hosts") or {}).items():
            if record and record["state"] == "down":
                self.hosts[name].down_at = self.t
        return True
