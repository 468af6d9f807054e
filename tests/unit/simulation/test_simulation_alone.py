# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chosen histories of hosts that help themselves; `test_simulation_leases` has random ones."""

from __future__ import annotations

import pytest

from monitor.core.model.records import Claim
from tests.unit.simulation.alone import SimAlone
from tests.unit.simulation.hosts import BUS, Broken, SimHost
from tests.unit.simulation.story import Simulation

SEEDS = range(30)


def site(seed: int) -> Simulation | None:
    """A site in operation whose hosts have lines; None where that seed gives another one."""
    simulation = Simulation(seed, leases=True)
    if simulation.world.helps is None or len(simulation.servers) < 3:
        return None
    simulation.begin()
    return simulation


def holder(simulation: Simulation, name: str) -> SimHost:
    [host] = simulation.alive(name)
    return host


def without_a_monitor(simulation: Simulation) -> None:
    assert simulation.monitor is not None
    simulation.monitor.kill()
    simulation.monitor = None


def claim(simulation: Simulation, name: str) -> Claim:
    return Claim.from_json(simulation.world.state["claims"][name])


@pytest.mark.parametrize("listens", [True, False])
def test_a_crashed_service_is_whole_again_without_a_monitor_and_counted_once(listens: bool) -> None:
    tried = 0
    for seed in SEEDS:
        simulation = site(seed)
        if simulation is None:
            continue
        world, name = simulation.world, simulation.services[0]
        host, before = holder(simulation, name), claim(simulation, name)
        world.listening = set(world.hosts) if listens else set()
        without_a_monitor(simulation)
        world.crash_bus(host, name)
        world.run(8.0)
        assert holder(simulation, name) is host and host.copies[name].epoch == before.epoch + 1
        assert BUS in host.copies[name].programs
        assert claim(simulation, name) == before, "nobody has told the ledger yet"
        simulation.new_monitor()
        world.run(30.0)
        after = claim(simulation, name)
        assert (after.epoch, after.host, len(after.crashes)) == (before.epoch + 1, host.name, len(before.crashes) + 1)
        assert world.helps is not None and world.helps.count == 1
        tried += 1
    assert tried > 5


def comes_back_with_another_lease(seed: int) -> bool:
    """A host is cut off and its services run elsewhere; the monitor dies, and the witnesses forget the fence.

    :return: whether that seed gives such a site.
    """
    simulation = site(seed)
    if simulation is None:
        return False
    world, name = simulation.world, simulation.services[0]
    host = holder(simulation, name)
    world.isolate(host.name, True)
    for _unused in range(60):
        world.run(0.5)
        if simulation.alive(name):
            break
    if not simulation.alive(name):
        return False  # no room elsewhere
    without_a_monitor(simulation)
    for run in list(simulation.runs.under_way):
        run.kill("kill -9")
    world.isolate(host.name, False)
    assert world.leases is not None
    world.leases._fences.clear()
    world.leases._end(host)
    world.leases.back(host)
    assert world.leases.session(host) > 1
    if not host.manager:
        world.start_manager(host)
    world.run(20.0)
    assert name not in host.copies
    return True


def test_what_was_granted_under_an_earlier_lease_is_never_used() -> None:
    assert sum(comes_back_with_another_lease(seed) for seed in SEEDS) > 3


def test_if_it_outlasted_the_lease_two_copies_would_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimAlone, "_stands", lambda self, host, _grant: self._session(host) > 0)
    with pytest.raises((Broken, AssertionError)):
        for seed in SEEDS:
            comes_back_with_another_lease(seed)
