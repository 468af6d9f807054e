# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An hour in which nothing happens but a fault that no run can repair: the monitor does not start run after run.

The same simulation as in `test_simulation`, with the default regular look.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from monitor.core.model.words import DOWN
from monitor.judge.retries import Again
from tests.unit.simulation.story import Simulation

HOUR = 3600.0
LOOK = 60.0  # s between two regular looks
# Each regular look; and for the trouble itself one look in two of these, after a few quick ones.
BOUND = HOUR / LOOK * 1.5 + 10
SEEDS = range(2)


def out_of_reach(sim: Simulation) -> None:
    """Ansible gets no connection, while lines and buses answer as before."""
    sim.servers[0].sshd = False


def dead(sim: Simulation) -> None:
    sim.world.power(sim.servers[0].name, False)


def dead_while_it_opens(sim: Simulation) -> None:
    """A console that dies keeps its claim, half-done, whose run is over."""
    name, console = sim.windows[-1], sim.consoles[-1]
    sim.people.playbook("open", instances=[name], host=console.name)
    for _unused in range(2000):
        sim.world.run(0.01)
        if (sim.world.state["claims"].get(name) or {}).get("phase") == "starting":
            break
    sim.world.power(console.name, False)


def half_done_and_out_of_reach(sim: Simulation) -> None:
    """The same on a console that is there, but not for Ansible."""
    name, console = sim.windows[-1], sim.consoles[-1]
    sim.people.playbook("open", instances=[name], host=console.name)
    for _unused in range(2000):
        sim.world.run(0.01)
        if (sim.world.state["claims"].get(name) or {}).get("phase") == "starting":
            break
    console.sshd = False
    for run in list(sim.runs.under_way):
        run.kill("kill -9")


TROUBLES = [out_of_reach, dead, dead_while_it_opens, half_done_and_out_of_reach]


def reconciles(seed: int, lines: bool, trouble: Callable[[Simulation], None]) -> tuple[int, Simulation]:
    """How many the monitor asked for in the hour."""
    sim = Simulation(seed, observe_interval=LOOK)
    sim.lines = lines
    sim.begin()
    trouble(sim)
    sim.world.run(60.0)
    before = len(sim.world.reconciles)
    sim.world.looks = 0
    sim.world.run(HOUR)
    return len(sim.world.reconciles) - before, sim


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "no lines"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_fault_that_no_run_can_repair_does_not_lead_to_endless_runs(
    trouble: Callable[[Simulation], None], lines: bool
) -> None:
    for seed in SEEDS:
        count, sim = reconciles(seed, lines, trouble)
        assert count <= BOUND, "seed %d: %d reconciles in a quiet hour" % (seed, count)
        assert count + sim.world.looks >= HOUR / LOOK * 0.5, "seed %d: it no longer looks" % seed
        assert count >= HOUR / sim.world.site.settings.reconcile_interval - 1, "seed %d: only over the lines" % seed


def test_where_all_lines_answer_a_quiet_hour_costs_few_reconciles() -> None:
    count, sim = reconciles(0, True, lambda _sim: None)
    assert count <= HOUR / sim.world.site.settings.reconcile_interval + 1
    assert sim.world.looks >= HOUR / LOOK * 0.5


@pytest.mark.parametrize("trouble", [out_of_reach, half_done_and_out_of_reach])
def test_delays_that_do_not_grow_are_noticed(
    trouble: Callable[[Simulation], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Again, "_delay", lambda *_unused: 2.0)
    assert reconciles(0, True, trouble)[0] > BOUND


def test_a_host_without_a_line_that_was_believed_down_is_found_again() -> None:
    for seed in SEEDS:
        _count, sim = reconciles(seed, False, dead)
        name = sim.servers[0].name
        assert sim.world.state["hosts"][name]["state"] == DOWN
        assert sim.monitor is not None and sim.monitor.brain.left_out() == [name]
        sim.world.power(name, True)
        sim.world.run(2.5 * LOOK)
        assert sim.world.state["hosts"][name]["state"] == "up"
