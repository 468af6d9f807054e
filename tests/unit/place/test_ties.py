# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of items that are apart, together, preferred or of a priority, against an exhaustive search."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.place.greedy import place_greedily
from monitor.core.place.loads import Fleet, HostLoad
from monitor.core.place.pending import Pending
from monitor.core.place.place import explain, in_order, place
from monitor.core.place.ties import Ties

Assignment = tuple[str | None, ...]


def allowed(order: list[Pending], assignment: Assignment, loads: list[HostLoad]) -> bool:
    """Written from what is promised, without the code of placement."""
    nodes = {load.host: load.node for load in loads}
    held = [(load.node, ties) for load in loads for ties in load.ties]
    held += [(nodes[host], p.ties) for p, host in zip(order, assignment) if host is not None]
    for node in set(nodes.values()):
        on_node = [load for load in loads if load.node == node]
        new = sum(p.load for p, host in zip(order, assignment) if host is not None and nodes[host] == node)
        if new and sum(load.reserved for load in on_node) + new > min(load.limit for load in on_node):
            return False
    shared = {(where, name): most for load in loads for where, name, most in load.rooms}
    taken: Counter[tuple[str, str]] = Counter()
    for node, ties in held:
        for name, amount in ties.needs:
            taken["" if ("", name) in shared else node, name] += amount
    if any(much > shared.get(key, 0) for key, much in taken.items()):
        return False
    for (node, one), (other_node, other) in itertools.combinations(held, 2):
        if one.item != other.item and node == other_node and set(one.apart) & set(other.apart):
            return False
        if one.item != other.item and node != other_node and set(one.together) & set(other.together):
            return False
    return True


def value(order: list[Pending], assignment: Assignment, loads: list[HostLoad]):
    """What is best first: who has a place, who has one that it prefers, then the highest loads."""
    added = Counter()
    for p, host in zip(order, assignment):
        if host is not None:
            added[host] += p.load
    hosts = {host for p in order for host in p.hosts}
    peak = sorted((load.foreign + load.used + added[load.host] for load in loads if load.host in hosts), reverse=True)
    return (
        tuple(host is None for host in assignment),
        tuple(bool(p.prefer) and host not in p.prefer for p, host in zip(order, assignment)),
        peak,
    )


@st.composite
def tied_fleets(draw, most_pending: int = 5, most_hosts: int = 3):
    count = draw(st.integers(1, most_hosts))
    nodes = [draw(st.integers(0, i)) for i in range(count)]
    # what runs already must be as promised itself: at most one item of each group
    old = st.builds(Ties, st.just("old"), st.sampled_from([(), ("g1",)]), st.sampled_from([(), ("t1",)]))
    there = (draw(old),)
    where = draw(st.integers(0, count - 1))
    licences, gpus = draw(st.integers(0, 3)), draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    loads = [
        HostLoad(f"h{i}", f"n{nodes[i]}", i, 100, reserved, reserved, 0, there if i == where else (),
                 (("", "licence", licences), (f"n{nodes[i]}", "gpu", gpus[nodes[i]])))
        for i, reserved in enumerate(draw(st.lists(st.integers(0, 50), min_size=count, max_size=count)))
    ]
    needs = st.sampled_from([(), (), (("gpu", 1),), (("licence", 1),), (("gpu", 2), ("licence", 1))])
    names = [load.host for load in loads]
    some = st.lists(st.sampled_from(names), unique=True, max_size=2).map(lambda found: tuple(sorted(found)))
    pending = []
    for i in range(draw(st.integers(1, most_pending))):
        hosts = tuple(sorted(draw(st.lists(st.sampled_from(names), min_size=1, unique=True))))
        groups = st.lists(st.sampled_from(["g1", "g2"]), unique=True, max_size=1).map(tuple)
        ties = Ties(f"i{i}", draw(groups), draw(st.sampled_from([(), (), ("t1",), ("t2",)])),
                    draw(needs))  # fmt: skip
        liked = tuple(h for h in draw(some) if h in hosts)
        pending.append(Pending(f"p{i}", draw(st.integers(10, 60)), hosts, "less_loaded", draw(st.integers(1, 2)), i,
                               draw(st.sampled_from([0, 0, 5])), liked, ties))
    return pending, loads


def best_of_all(order: list[Pending], loads: list[HostLoad]):
    choices = [(*p.hosts, None) for p in order]
    return min(value(order, a, loads) for a in itertools.product(*choices) if allowed(order, a, loads))


@settings(max_examples=80, deadline=None)
@given(tied_fleets())
def test_small_tied_batches_are_placed_as_an_exhaustive_search_would(fleet) -> None:
    pending, loads = fleet
    order = in_order(pending)
    placed = place(pending, loads)
    assignment = tuple(placed[p.name] for p in order)
    assert allowed(order, assignment, loads)
    assert value(order, assignment, loads) == best_of_all(order, loads)


@settings(max_examples=40, deadline=None)
@given(tied_fleets(), st.sampled_from(["config", "most_loaded", "less_loaded_node"]))
def test_whatever_the_strategies_the_same_ones_find_a_place(fleet, strategy) -> None:
    pending, loads = fleet
    mixed = [Pending(p.name, p.load, p.hosts, strategy if i % 2 else p.strategy, p.sequence, p.order, p.priority,
                     p.prefer, p.ties) for i, p in enumerate(pending)]  # fmt: skip
    order = in_order(mixed)
    placed = place(mixed, loads)
    assignment = tuple(placed[p.name] for p in order)
    assert allowed(order, assignment, loads)
    assert value(order, assignment, loads)[:2] == best_of_all(order, loads)[:2]


@settings(max_examples=40, deadline=None)
@given(tied_fleets(most_pending=14, most_hosts=6))
def test_large_tied_batches_break_nothing_and_leave_out_only_what_fits_nowhere(fleet) -> None:
    pending, loads = fleet
    order = in_order(pending)
    left = Fleet(loads)
    placed = place_greedily(order, left)
    assert allowed(order, tuple(placed[p.name] for p in order), loads)
    for p in order:
        if placed[p.name] is None:
            assert not any(left.fits(host, p) for host in p.hosts)


@settings(max_examples=25, deadline=None)
@given(tied_fleets(), st.randoms(use_true_random=False))
def test_the_order_in_which_they_are_given_does_not_matter(fleet, random) -> None:
    pending, loads = fleet
    shuffled, mixed = list(pending), list(loads)
    random.shuffle(shuffled)
    random.shuffle(mixed)
    assert place(shuffled, mixed) == place(pending, loads)


def hosts(*reserved: int) -> list[HostLoad]:
    return [HostLoad(f"h{i}", f"h{i}", i, 100, r, r) for i, r in enumerate(reserved)]


def test_a_group_that_is_together_goes_where_all_of_it_has_room() -> None:
    fleet = hosts(60, 10, 30, 90, 90)
    names = tuple(load.host for load in fleet)
    group = [Pending(f"p{i}", 20, names, "less_loaded", 1, i, ties=Ties(f"i{i}", (), ("t",))) for i in range(4)]
    other = [Pending(f"o{i}", 10, names, "less_loaded", 1, 10 + i) for i in range(10)]
    placed = place(group + other, fleet)
    assert {placed[p.name] for p in group} == {"h1"}


def test_a_candidate_says_what_keeps_an_instance_away() -> None:
    fleet = Fleet([HostLoad("h0", "n0", 0, ties=(Ties("02", ("01|02",)),)), HostLoad("h1", "n1", 1)])
    rows = explain(10, ["h0", "h1"], fleet, {}, Ties("01", ("01|02",)))
    assert [(row.fits, row.why) for row in rows] == [
        (False, "h0 has item 02, and item 01 must be apart from it"),
        (True, "h1 has room: 0 of 100 reserved, it needs 10"),
    ]
    fleet = Fleet([HostLoad("h0", "n0", 0, ties=(Ties("02", (), ("srv:x",)),)), HostLoad("h1", "n1", 1)])
    rows = explain(10, ["h0", "h1"], fleet, {}, Ties("01", (), ("srv:x",)))
    assert [(row.fits, row.why[:60]) for row in rows] == [
        (True, "h0 has room: 0 of 100 reserved, it needs 10"),
        (False, "h1 has not got item 02, and item 01 must be together with it"),
    ]


def large(count: int = 10000, nodes: int = 500) -> tuple[list[Pending], list[HostLoad]]:
    """Every item has a neighbour that it is apart from or together with; some prefer a host, some have a priority."""
    fleet = [dataclasses.replace(load, rooms=((load.node, "gpu", 4 * (load.order % 10 == 0)),))
             for load in hosts(*[0] * nodes)]  # fmt: skip
    names = tuple(load.host for load in fleet)
    pending = []
    for i in range(count):
        pair = f"{i // 2}"
        apart, together = ((pair,), ()) if i % 4 < 2 else ((), (pair,))
        if i % 1000 < 10 and apart:
            apart += (f"label {i // 1000}",)
        prefer = (names[i % nodes],) if i % 5 == 0 else ()
        pending.append(Pending(f"p{i}", (2, 3, 5)[i % 3], names, "less_loaded", 1, i, i % 7 == 0, prefer,
                               Ties(f"i{i}", apart, together, (("gpu", 1),) if i % 100 == 0 else ())))
    return pending, fleet


def test_ten_thousand_tied_items_on_five_hundred_hosts_all_find_a_place() -> None:
    pending, fleet = large()
    placed = place(pending, fleet)
    assert None not in placed.values()
    groups: dict[tuple[str, str], list[str]] = {}
    for p in pending:
        for kind, names in (("apart", p.ties.apart), ("together", p.ties.together)):
            for group in names:
                groups.setdefault((kind, group), []).append(str(placed[p.name]))
    assert all(len(set(where)) == (1 if kind == "together" else len(where)) for (kind, _name), where in groups.items())
    liked = [placed[p.name] in p.prefer for p in pending if p.prefer]
    assert sum(liked) > 0.7 * len(liked)
