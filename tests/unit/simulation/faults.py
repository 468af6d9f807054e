# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the simulation, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.unit.simulation.hosts import BUS, SimHost

if TYPE_CHECKING:
    from tests.unit.simulation.story import Simulation

BURST_WITHOUT = 12.0  # s
MORE = 4  # s between two faults that come together


class Faults:
    """`begin` begins a random one; each ends after a while, at the latest in `heal`."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim, self._world, self._rng = simulation, simulation.world, simulation.rng
        self.count = 0
        self.controller_cut_at: float | None = None
        self._cures: list[Callable[[], None]] = []
        self._stays_lost = ""

    def begin(self) -> None:
        self.count += 1
        kinds: list[tuple[int, Callable[[], None]]] = [
            (4, self._bus_crashes),
            (2, self._bus_hangs),
            (1, self._bus_is_slow),
            (2, self._program_dies),
            (1, self._stopped_by_hand),
            (3, self._power_cut),
            (2, self._reboot),
            (2, self._cut_off),
            (2, self._freeze),
            (2, self._manager_dies),
            (1, self._controller_cut_off),
            (1, self._common_bus),
            (2, self._broken),
            (1, self._stubborn),
            (3, self._monitor_dies),
            (3, self._run_dies),
            (1, self._ledger_locked),
            (1, self._nothing_published),
            (1, self._no_standby),
            *([(5, self._without_a_monitor)] if self._world.helps is not None else []),
        ]
        self._rng.choices([do for _weight, do in kinds], [weight for weight, _do in kinds])[0]()

    def heal(self) -> None:
        """The end of all faults; one host may stay lost for good."""
        cures, self._cures = self._cures, []
        for cure in cures:
            cure()
        if self._sim.monitor is None:
            self._sim.new_monitor()

    def _later(self, cure: Callable[[], None], longest: float = 15.0) -> None:
        """Heal once: after a while, or when all faults end."""
        done: list[bool] = []

        def once() -> None:
            if not done:
                done.append(True)
                cure()

        self._world.after(self._rng.choice([0.3, 1.0, 2.5, 4.0, 7.0, longest]), once)
        self._cures.append(once)

    def _host(self) -> SimHost:
        return self._rng.choice(list(self._world.hosts.values()))

    def _living(self) -> tuple[SimHost, str] | None:
        living = [(host, name) for host in self._world.hosts.values() for name in host.copies if not host.lost]
        return self._rng.choice(living) if living else None

    # --- buses and programs

    def _bus_crashes(self) -> None:
        found = self._living()
        if found:
            self._world.crash_bus(*found)

    def _bus_hangs(self) -> None:
        found = self._living()
        if found:
            host, name = found
            copy = host.copies[name]
            self._world.tell("the bus of %s hangs on %s" % (name, host.name))
            self._world.trouble[name] = self._world.trouble.get(name, 0) + 1
            copy.hung = True  # type: ignore[attr-defined]
            if self._rng.random() < 0.3:
                self._later(lambda: setattr(copy, "hung", False), 6.0)

    def _bus_is_slow(self) -> None:
        found = self._living()
        if found:
            host, name = found
            copy = host.copies[name]
            self._world.tell("the bus of %s answers late on %s" % (name, host.name))
            self._world.trouble[name] = self._world.trouble.get(name, 0) + 1
            copy.slow = self._rng.choice([0.3, 0.9])  # type: ignore[attr-defined]
            self._later(lambda: setattr(copy, "slow", 0.0))

    def _program_dies(self) -> None:
        found = self._living()
        if found:
            host, name = found
            programs = [p for p in host.copies[name].programs if p != BUS]
            if programs:
                self._world.kill_program(host, name, self._rng.choice(programs))

    def _stopped_by_hand(self) -> None:
        """A person stops all of an instance outside muster."""
        found = self._living()
        if found and found[1] not in found[0].locks:
            host, name = found
            self._world.tell("%s is stopped by hand on %s" % (name, host.name))
            self._world.closed(host, name, "a person closed it outside muster")

    def _broken(self) -> None:
        """An instance cannot start any more, for a while or for the rest of the story; if it runs, it crashes first."""
        name = self._rng.choice(self._sim.services)
        how = self._rng.choice(["fails", "dies", "hangs"])
        if any(host.lost for host in self._world.hosts.values() if name in host.copies):
            return
        self._world.tell("%s is broken: it %s" % (name, how))
        self._world.broken[name] = how
        for host in self._world.hosts.values():
            if name in host.copies:
                self._world.crash_bus(host, name)
        if self._rng.random() < 0.6:
            self._later(lambda: self._mend(name))

    def _mend(self, name: str) -> None:
        self._world.tell("%s can start again" % name)
        self._world.broken.pop(name, None)

    def _stubborn(self) -> None:
        name = self._rng.choice(list(self._sim.names))
        self._world.tell("%s cannot be stopped" % name)
        self._world.stubborn.add(name)
        self._later(lambda: self._world.stubborn.discard(name))

    # --- hosts

    def _power_cut(self) -> None:
        host = self._host()
        if host.on:
            self._world.power(host.name, False)
            if not self._may_stay_lost(host):
                self._later(lambda: self._switch_on(host))

    def _may_stay_lost(self, host: SimHost) -> bool:
        if not self._stays_lost and self._rng.random() < 0.25:
            self._stays_lost = host.name
        return self._stays_lost == host.name

    def _switch_on(self, host: SimHost) -> None:
        if not host.on:
            self._world.power(host.name, True, manager=self._rng.random() < 0.7)

    def _reboot(self) -> None:
        host = self._host()
        if host.on:
            self._world.power(host.name, False)
            self._world.after(self._rng.choice([0.1, 1.5, 3.0]), lambda: self._switch_on(host))
            self._cures.append(lambda: self._switch_on(host))

    def _cut_off(self) -> None:
        host = self._host()
        if host.reachable:
            self._world.isolate(host.name, True)
            if not self._may_stay_lost(host):
                self._later(lambda: self._connect(host))

    def _connect(self, host: SimHost) -> None:
        if not host.reachable:
            self._world.isolate(host.name, False)

    def _freeze(self) -> None:
        host = self._host()
        if host.on and not host.frozen:
            self._world.freeze(host.name, self._rng.choice(["takes connections", "silent"]))
            self._later(lambda: self._thaw(host))

    def _thaw(self, host: SimHost) -> None:
        if host.frozen:
            self._world.freeze(host.name, "")

    def _manager_dies(self) -> None:
        self._world.kill_manager(self._host().name)

    def _controller_cut_off(self) -> None:
        """All hosts vanish at once: it is the controller that is away."""
        hosts = [host for host in self._world.hosts.values() if host.reachable]
        if len([host for host in hosts if not host.lost]) * 2 <= len(self._world.hosts):
            return
        believed = {name for name, record in self._world.state["hosts"].items() if record["state"] == "up"}
        if all(host.manager and not host.lost and host.name in believed for host in self._world.hosts.values()):
            self.controller_cut_at = self._world.t  # else others are in doubt at the same time, and it may be mistaken
        for host in hosts:
            self._world.isolate(host.name, True)

        def back() -> None:
            self.controller_cut_at = None
            for host in hosts:
                self._connect(host)

        self._later(back)

    def _common_bus(self) -> None:
        host = self._rng.choice(self._sim.servers)
        self._world.tell("the common bus of %s is gone" % host.name)
        host.common_bus = False
        if self._rng.random() < 0.7:
            self._later(lambda: setattr(host, "common_bus", True))

    # --- what acts

    def _monitor_dies(self) -> None:
        monitor = self._sim.monitor
        if monitor is not None:
            self._sim.monitor = None
            monitor.kill()
            self._later(self._monitor_begins)

    def _monitor_begins(self) -> None:
        if self._sim.monitor is None:
            self._sim.new_monitor()

    def _without_a_monitor(self) -> None:
        """It is away for long enough that hosts help themselves, while this and that fails."""
        if self._sim.monitor is not None:
            self._monitor_dies()
        for _unused in range(self._rng.choice([1, 2, 4])):
            fault = self._rng.choice([self._bus_crashes, self._bus_crashes, self._program_dies, self._cut_off,
                                      self._freeze, self._reboot, self._manager_dies, self._broken])  # fmt: skip
            self._world.after(self._rng.uniform(0, BURST_WITHOUT), fault)

    def _run_dies(self) -> None:
        """The next run that is under way is killed a moment later, wherever it is by then."""
        if not self._sim.runs.under_way:
            self._world.after(0.05, self._run_dies if self._world.t % 40 < 20 else lambda: None)
            return
        run = self._rng.choice(self._sim.runs.under_way)
        self._world.after(self._rng.choice([0.0, 0.02, 0.1, 0.6]), lambda: run.kill("kill -9"))

    def _ledger_locked(self) -> None:
        self._world.tell("the ledger is locked")
        self._world.ledger_locked = True
        self._later(lambda: setattr(self._world, "ledger_locked", False), 6.0)

    def _nothing_published(self) -> None:
        self._world.tell("the watch list cannot be written")
        self._sim.publishes = False
        self._later(lambda: setattr(self._sim, "publishes", True), 6.0)

    def _no_standby(self) -> None:
        monitor = self._sim.monitor
        if monitor is not None:
            self._world.tell("no standby run can be started")
            monitor.no_standby = True
            self._later(lambda: setattr(monitor, "no_standby", False), 10.0)
