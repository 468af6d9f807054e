# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults and pairs of them at once on a real site with its monitor; an audit from outside after each (Req 2, 16, 25).

Single ones are in `test_faults_alone.py`; the choice is fixed. `make soak` goes through all of them at random, for as
long as one likes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.integration.faults.suffering_site import Site, suffering
from tests.integration.local_site import wait_for
from tests.soak.audit import settled
from tests.soak.faults import FAULTS
from tests.soak.story import RECOVERS
from tests.soak.world import PROGRAMS, SERVICES

ONE_OF = 3  # of the ways in which a fault may come
ALONE = (
    "windows bus killed", "windows bus hangs", "server freezes", "parked run killed", "program killed",
    "titled program killed", "consoles off", "idle connections", "forged variables", "host answers nonsense",
)  # fmt: skip
TOGETHER = (
    ("all buses killed", "ledger locked"),
    ("server cut", "monitor killed"),
    ("server freezes", "run killed"),
    ("watch list removed", "monitor killed"),
    ("disk full", "bus killed"),
    ("console cut", "parked run killed"),
)
MOMENTS = [(during, number) for during in ("restart", "stop", "failover") for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with suffering(61, run_timeout=15) as deployed:
        yield deployed


@pytest.fixture(autouse=True)
def _in_order(site: Site) -> None:
    site.put_in_order()


@pytest.mark.parametrize("kind", ALONE)
def test_a_fault_is_overcome(site: Site, kind: str) -> None:
    site.suffers(ONE_OF, kind)


@pytest.mark.parametrize("kinds", TOGETHER, ids=" and ".join)
def test_two_faults_at_once_are_overcome(site: Site, kinds: tuple[str, str]) -> None:
    site.suffers(ONE_OF, *kinds)


@pytest.mark.parametrize(("during", "number"), MOMENTS, ids=["%s-%d" % moment for moment in MOMENTS])
def test_a_monitor_killed_at_any_moment_loses_nothing(site: Site, during: str, number: int) -> None:
    site.loses_its_monitor(during, number)


def test_faults_while_no_run_is_parked_go_into_one_run_as_soon_as_one_is_parked(site: Site) -> None:
    world, before = site.world, len(site.log())
    for pid in world.runs():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "standby failed" in [line["event"] for line in site.log()[before:]], "its end is noticed")
    FAULTS["all buses killed"](world, random.Random(ONE_OF))
    assert settled(world, RECOVERS) == []
    sent = [line["about"] for line in site.log()[before:] if line["event"] == "run" and "about" in line]
    assert sent[0] == list(SERVICES), "each instance once, all in the first run"


def test_a_frozen_server_holds_up_no_restart_on_another(site: Site) -> None:
    world = site.world
    home = world.ledger("claims")["scen2_srv_01"]["host"]
    other = next((name for name in SERVICES if world.ledger("claims")[name]["host"] != home), "")
    if not other:
        assert world.lab.muster("drain", home).rc == 0, "so that they are not all on one server"
        assert world.lab.muster("undrain", home).rc == 0
        other, home = "scen2_srv_01", "server_1" if home != "server_1" else "server_2"
    epoch = int(world.ledger("claims")[other]["epoch"])
    world.frozen.add(home)
    world.lab.machine("freeze", home)
    try:
        (bus,) = [p for p in world.see().of(other) if p.program == "internal_data_bus"]
        os.kill(bus.pid, signal.SIGKILL)
        wait_for(
            lambda: {p.epoch > epoch for p in world.see().of(other)} == {True}
            and {p.program for p in world.see().of(other)} == PROGRAMS,
            "%s restarted while %s is frozen" % (other, home), world.lab.monitor_log,
        )  # fmt: skip
    finally:
        world.thawed.add(home)
        world.lab.machine("thaw", home)
        world.frozen.discard(home)
    assert settled(world, RECOVERS) == []


def test_a_watch_list_that_is_removed_is_missed_and_published_again(site: Site) -> None:
    world = site.world
    epochs = {name: claim["epoch"] for name, claim in world.ledger("claims").items()}
    said = world.lab.monitor_log().count("the watch list is gone")
    (world.lab.state / "watch.json").unlink()
    wait_for((world.lab.state / "watch.json").exists, "it is there again", world.lab.monitor_log)
    wait_for(lambda: world.lab.monitor_log().count("the watch list is gone") > said, "a clear word")
    assert settled(world, RECOVERS) == []
    assert {name: claim["epoch"] for name, claim in world.ledger("claims").items()} == epochs


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_named_and_costs_nothing_but_time(site: Site) -> None:
    world = site.world
    if not world.small_disk:
        pytest.skip("mounting is not allowed here")
    before = len(site.log())
    hit = FAULTS["disk full"](world, random.Random(ONE_OF))
    try:
        FAULTS["bus killed"](world, random.Random(ONE_OF))
        wait_for(lambda: "No space left" in json.dumps(site.log()[before:]), "a clear word", world.lab.monitor_log)
    finally:
        assert hit.heal is not None
        hit.heal()
    assert settled(world, RECOVERS) == []
