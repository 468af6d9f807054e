# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An item that may displace others, on a site that is full: deployed, moved by a lost server, and taken out again.

kubernetes/enhancements#6344: while what was displaced still stops, its room counts as taken, and one more is displaced.
"""

from __future__ import annotations

import dataclasses

from monitor.core.model.site import Item, Site, Terms
from tests.small_site import SERVERS, small_site
from tests.unit.plan.fleet_in_memory import World

NORTH = "scen2_srv_north"
SIX = ["scen2_srv_%02d" % number for number in range(1, 7)]


def site(north: bool, displace: bool = True) -> Site:
    """Three servers with room for two services each."""
    plain = small_site(items=len(SIX))
    hosts = tuple(dataclasses.replace(host, load_limit=50) for host in plain.hosts)
    items = [*plain.items, *([Item("north", 40, {}, Terms(priority=10, displace=displace))] if north else [])]
    return dataclasses.replace(plain, hosts=hosts, items=tuple(items))


class Full(World):
    def __init__(self) -> None:
        super().__init__(site(north=False))
        self.runs_until_quiet("deploy")

    def change(self, to: Site, **more: object) -> None:
        self.site = to
        self.runs_until_quiet("deploy", **more)

    def runs_until_quiet(self, kind: str, **more: object) -> None:
        self.digests = dict.fromkeys(self.site.by_name(), "d")
        self.finish(self.begin(kind, **more))
        for _unused in range(8):
            self.now += 60.0
            self.finish(self.begin("reconcile"))

    @property
    def running(self) -> set[str]:
        return {name for host in self.hosts.values() for name in host.copies}

    def where(self, name: str) -> list[str]:
        return [host.name for host in self.hosts.values() if name in host.copies]


def test_one_that_may_not_displace_waits() -> None:
    world = Full()
    assert world.running == set(SIX)
    world.change(site(north=True, displace=False))
    assert world.running == set(SIX)


def test_one_stops_for_it_and_nothing_else_is_touched_then_or_later() -> None:
    world = Full()
    begun = len(world.starts)
    world.change(site(north=True))
    assert NORTH in world.running and len(world.running) == len(SIX)
    assert world.starts[begun:] == [(NORTH, world.where(NORTH)[0])]
    world.runs_until_quiet("reconcile")
    assert len(world.starts) == begun + 1
    world.change(site(north=False), accept=True)
    assert world.running == set(SIX) and len(world.starts) == begun + 2


def test_it_finds_room_again_when_its_server_is_lost_and_all_do_when_that_is_back() -> None:
    world = Full()
    world.change(site(north=True))
    lost = world.hosts[world.where(NORTH)[0]]
    lost.on = False
    lost.die()
    world.state["hosts"][lost.name] = {"state": "down", "since": world.now, "evidence": "two signals", "by": "monitor"}
    begun = len(world.starts)
    world.runs_until_quiet("reconcile")
    (host,) = world.where(NORTH)
    assert host != lost.name and len(world.running) == 2 * (len(SERVERS) - 1)
    assert [name for name, _host in world.starts[begun:]] == [NORTH]
    lost.on, lost.powered, lost.boots = True, lost.powered + 1, lost.boots + 1
    world.runs_until_quiet("reconcile")
    assert world.where(NORTH) == [host] and len(world.running) == len(SIX)
