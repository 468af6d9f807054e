# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a batch without placing it agrees with its placement, and is said where it matters."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.site import STARTING_STRATEGIES
from monitor.core.place.loads import Fleet, HostLoad
from monitor.core.place.pending import Pending
from monitor.core.place.place import place
from monitor.core.place.room import Room

NAMES = tuple("abcdefg")


def fleet(*free: int) -> list[HostLoad]:
    return [HostLoad(name, name, n, 100, 100 - room, 100 - room) for n, (name, room) in enumerate(zip(NAMES, free))]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from("xyz123")), min_size=1, max_size=7),
    st.lists(st.tuples(st.integers(0, 40), st.sets(st.sampled_from(NAMES), min_size=1)), min_size=1, max_size=8),
    st.sets(st.sampled_from(NAMES), max_size=2),
    st.sampled_from(sorted(STARTING_STRATEGIES)),
)
def test_it_never_says_what_the_placement_contradicts(
    rooms: list[tuple[int, str]], wanted: list[tuple[int, set[str]]], gone: set[str], strategy: str
) -> None:
    """Hosts share nodes, instances may run on some of them, and what is gone takes its machine along."""
    loads = [HostLoad(name, node, n, 100, 100 - room, 100 - room)
             for n, (name, (room, node)) in enumerate(zip(NAMES, rooms))]  # fmt: skip
    there = {load.host: load.node for load in loads}
    away = {there[host] for host in gone if host in there}
    batch: dict[tuple[str, ...], list[float]] = {}
    pending = []
    for n, (load, hosts) in enumerate(wanted):
        allowed = tuple(sorted(hosts & set(there)))
        left = tuple(host for host in allowed if there[host] not in away)
        batch.setdefault(allowed, []).append(load)
        pending.append(Pending(f"p{n}", load, left, strategy, 1, n))
    room, placed = Room(Fleet(loads)), place(pending, loads)
    if room.surely(batch, gone):
        assert None not in placed.values()
    if room.surely_none(batch, gone):
        assert set(placed.values()) == {None}


def test_with_as_many_hosts_with_room_as_instances_all_find_room() -> None:
    room = Room(Fleet(fleet(20, 20, 20, 5)))
    assert room.surely({NAMES[:4]: [20, 20, 20]})
    assert not room.surely({NAMES[:4]: [20, 20, 20]}, gone=["a"])


def test_with_much_room_on_few_hosts_all_find_room() -> None:
    assert Room(Fleet(fleet(100, 100))).surely({NAMES[:2]: [20] * 9})


def test_where_no_host_has_room_none_finds_any() -> None:
    room = Room(Fleet(fleet(19, 60)))
    assert not room.surely_none({NAMES[:2]: [20]})
    assert room.surely_none({NAMES[:2]: [20, 30]}, gone=["b"])
    assert room.surely_none({(): [20]})
