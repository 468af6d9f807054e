# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement against an exhaustive search, and at the size of a large site."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.place.greedy import place_greedily
from monitor.core.place.loads import Fleet, HostLoad, foreign_load
from monitor.core.place.pending import Pending
from monitor.core.place.place import explain, in_order, place


def hosts(*reserved: int, limit: int = 100, foreign: tuple[int, ...] = ()) -> list[HostLoad]:
    """Hosts h0, h1, ... each on a node of its own, with that much reserved and used."""
    others = foreign + (0,) * len(reserved)
    return [HostLoad(f"h{i}", f"h{i}", i, limit, r, r, others[i]) for i, r in enumerate(reserved)]


def batch(loads: list[int], on: list[HostLoad], strategy: str = "less_loaded") -> list[Pending]:
    names = tuple(h.host for h in on)
    return [Pending(f"p{i:02d}", load, names, strategy, 1, i) for i, load in enumerate(loads)]


# --- the reference: every assignment there is


def outcome(order: list[Pending], assignment: tuple[str | None, ...], loads: list[HostLoad]):
    """(placed set, earlier ones first; effective loads, highest first), or None when a limit is passed."""
    fleet = Fleet(loads)
    for p, host in zip(order, assignment):
        if host is not None:
            if fleet.free(host) < p.load:
                return None
            fleet.take(host, p.load)
    used = sorted({host for p in order for host in p.hosts})
    return tuple(host is None for host in assignment), sorted((fleet.effective(h) for h in used), reverse=True)


def best_of_all(pending: list[Pending], loads: list[HostLoad]):
    order = in_order(pending)
    choices = [(*p.hosts, None) for p in order]
    return min(o for a in itertools.product(*choices) if (o := outcome(order, a, loads)) is not None)


def best_of_all_reachable(loads_of: list[int], fleet: list[HostLoad]):
    """The same for hosts that are open to all: every distinct way to load them, too many assignments otherwise."""
    ways, left_out = {tuple(h.reserved for h in fleet)}, []
    for load in loads_of:
        more = {(*way[:i], way[i] + load, *way[i + 1 :])
                for way in ways for i, h in enumerate(fleet) if way[i] + load <= h.limit}  # fmt: skip
        left_out.append(not more)
        ways = more or ways
    return tuple(left_out), min(sorted(way, reverse=True) for way in ways)


def found(pending: list[Pending], loads: list[HostLoad], placed: dict[str, str | None]):
    order = in_order(pending)
    return outcome(order, tuple(placed[p.name] for p in order), loads)


@st.composite
def small_fleets(draw, most_pending: int = 6):
    """Up to `most_pending` on four hosts, some of them sharing a node, with differing candidates."""
    count = draw(st.integers(1, 4))
    nodes = [draw(st.integers(0, i)) for i in range(count)]
    foreign = {node: draw(st.sampled_from([0, 0, 20, 50])) for node in set(nodes)}
    limits = {node: draw(st.sampled_from([100, 100, 80])) for node in set(nodes)}
    loads = []
    for i in range(count):
        reserved = draw(st.integers(0, 70))
        used = reserved + draw(st.sampled_from([0, 0, 15]))
        loads.append(HostLoad(f"h{i}", f"n{nodes[i]}", i, limits[nodes[i]], reserved, used, foreign[nodes[i]]))
    few = draw(st.booleans())
    pending = []
    for i in range(draw(st.integers(1, most_pending))):
        load = draw(st.sampled_from([20, 34]) if few else st.integers(0, 60))
        can = draw(st.lists(st.sampled_from(range(count)), min_size=1, unique=True).map(sorted))
        pending.append(Pending(f"p{i}", load, tuple(f"h{c}" for c in can), "less_loaded", draw(st.integers(1, 2)), i))
    return pending, loads


@settings(max_examples=120, deadline=None)
@given(small_fleets(5))
def test_small_batches_place_the_same_set_with_the_same_peak_as_an_exhaustive_search(fleet):
    pending, loads = fleet
    assert found(pending, loads, place(pending, loads)) == best_of_all(pending, loads)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=9, max_size=12), st.lists(st.integers(0, 60), min_size=3, max_size=4))
def test_twelve_instances_on_four_hosts_are_placed_as_well_as_they_can_be(loads, reserved):
    fleet = hosts(*reserved)
    pending = batch(loads, fleet)
    expected = best_of_all_reachable([p.load for p in in_order(pending)], fleet)
    assert found(pending, fleet, place(pending, fleet)) == expected


@settings(max_examples=150, deadline=None)
@given(small_fleets(most_pending=10), st.sampled_from(["config", "less_loaded", "most_loaded", "most_loaded_node"]))
def test_no_limit_is_passed_whatever_the_strategies(fleet, strategy):
    pending, loads = fleet
    mixed = [Pending(p.name, p.load, p.hosts, strategy if i % 2 else p.strategy, p.sequence, p.order)
             for i, p in enumerate(pending)]  # fmt: skip
    result = found(mixed, loads, place(mixed, loads))
    assert result is not None
    assert result[0] == best_of_all(pending[:6], loads)[0] or len(pending) > 6


@settings(max_examples=100, deadline=None)
@given(small_fleets(), st.randoms(use_true_random=False))
def test_the_same_batch_is_placed_the_same_way_in_whatever_order_it_is_given(fleet, random):
    pending, loads = fleet
    shuffled, mixed = list(pending), list(loads)
    random.shuffle(shuffled)
    random.shuffle(mixed)
    assert place(shuffled, mixed) == place(pending, loads)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=13, max_size=40),
    st.lists(st.integers(0, 60), min_size=5, max_size=8),
    st.sampled_from(["less_loaded", "config", "most_loaded", "less_loaded_node"]),
)
def test_large_batches_pass_no_limit_and_leave_out_only_what_fits_nowhere(loads, reserved, strategy):
    fleet = hosts(*reserved)
    pending = batch(loads, fleet, strategy)
    placed = place(pending, fleet)
    assert found(pending, fleet, placed) is not None
    after = Fleet(fleet)
    for p in pending:
        if placed[p.name]:
            after.take(placed[p.name], p.load)
    for p in pending:
        if placed[p.name] is None:
            assert all(after.free(h.host) < p.load for h in fleet)


# --- requirements 5 and 13


@pytest.mark.parametrize(("items", "servers"), [(7, 3), (12, 4), (13, 5), (30, 3), (100, 7)])
def test_equal_items_on_idle_servers_differ_by_at_most_one(items, servers):
    fleet = hosts(*[0] * servers, limit=1000)
    counts = Counter(place(batch([34] * items, fleet), fleet).values())
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == servers


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=13, max_size=60), st.integers(5, 9))
def test_unequal_loads_spread_within_one_item_of_the_best_possible(loads, servers):
    fleet = hosts(*[0] * servers, limit=10000)
    _, effective = found(batch(loads, fleet), fleet, place(batch(loads, fleet), fleet))
    assert effective[0] <= sum(loads) / servers + max(loads)
    assert effective[0] - effective[-1] <= max(loads)


def test_a_host_that_is_busy_with_other_work_gets_less():
    fleet = hosts(0, 0, 0, limit=1000, foreign=(60, 0, 0))
    counts = Counter(place(batch([20] * 9, fleet), fleet).values())
    assert counts["h0"] < counts["h1"] == counts["h2"]


def test_foreign_load_counts_in_steps_of_ten_above_ten():
    assert [foreign_load(m, 0, 0) for m in (0, 9.9, 10, 10.1, 19.9, 25, 100)] == [0, 0, 0, 10, 10, 20, 100]
    assert foreign_load(50, 45, 0) == 0
    assert foreign_load(0, 0, 40) == 40
    assert foreign_load(10, 30, 0) == 0


def test_the_later_instance_is_left_without_room():
    fleet = hosts(0, 0)
    placed = place(batch([34] * 5, fleet), fleet)
    assert placed["p04"] is None
    assert Counter(placed[f"p{i:02d}"] for i in range(4)) == {"h0": 2, "h1": 2}


def test_an_earlier_rank_goes_before_a_larger_load():
    fleet = hosts(0)
    names = ("h0",)
    pending = [Pending("big", 90, names, "config", 2, 0), Pending("first", 40, names, "config", 1, 1)]
    assert place(pending, fleet) == {"first": "h0", "big": None}


def test_a_pair_that_only_fits_one_way_is_found_by_exact_search():
    fleet = hosts(40, 20)
    pending = [Pending("a", 60, ("h0", "h1"), "config", 1, 0), Pending("b", 80, ("h0", "h1"), "config", 2, 1)]
    assert place(pending, fleet) == {"a": "h0", "b": "h1"}


def test_the_repair_pass_moves_one_aside_for_one_that_found_no_room():
    fleet = hosts(0, 30, 30, 30, 30)
    everywhere = tuple(h.host for h in fleet)
    pending = [Pending(f"a{i}", 60, everywhere, "less_loaded", 1, i) for i in range(4)]
    pending.append(Pending("only", 90, ("h0",), "config", 2, 9))
    placed = place(pending, fleet)
    assert placed["only"] == "h0"
    assert None not in placed.values()


def test_config_takes_the_first_in_the_list_and_most_loaded_fills_up():
    fleet = hosts(0, 30, 10)
    names = ("h2", "h0", "h1")
    assert place([Pending("a", 30, names, "config", 1, 0)], fleet) == {"a": "h2"}
    assert place([Pending("a", 30, names, "most_loaded", 1, 0)], fleet) == {"a": "h1"}
    assert place([Pending("a", 30, names, "less_loaded", 1, 0)], fleet) == {"a": "h0"}


def test_hosts_of_one_node_share_its_capacity_and_node_strategies_rank_by_it():
    loads = [
        HostLoad("a", "n1", 0, 100, 10, 10, 0),
        HostLoad("b", "n1", 1, 100, 50, 50, 0),
        HostLoad("c", "n2", 2, 100, 30, 30, 0),
    ]
    by_host = [Pending("x", 30, ("a", "b", "c"), "less_loaded", 1, 0)]
    by_node = [Pending("x", 30, ("a", "b", "c"), "less_loaded_node", 1, 0)]
    assert place(by_host, loads) == {"x": "a"}
    assert place(by_node, loads) == {"x": "c"}
    assert place([Pending("x", 45, ("a",), "less_loaded", 1, 0)], loads) == {"x": None}


def test_every_candidate_has_a_reason():
    fleet = Fleet(hosts(90, 20))
    rows = [row.to_json() for row in explain(34, ["h0", "h1", "h2"][:2], fleet, {})]
    assert [row["fits"] for row in rows] == [False, True]
    assert rows[0]["why"] == "h0 has no room: 90 of 100 reserved, it needs 34"
    assert explain(34, ["h1"], fleet, {"h1": "h1 is drained"})[0].why == "h1 is drained"


# --- beyond the exact search


def test_the_gap_of_large_batches_to_a_lower_bound_is_small():
    gaps = []
    for seed in range(20):
        loads = [5 + (i * 7919 + seed * 104729) % 41 for i in range(60)]
        fleet = hosts(*[0] * 8, limit=10000)
        pending = batch(loads, fleet)
        _, effective = found(pending, fleet, place_greedily(in_order(pending), Fleet(fleet)))
        gaps.append(effective[0] / max(sum(loads) / 8, max(loads)) - 1)
    assert max(gaps) < 0.05
    assert statistics.median(gaps) < 0.025


def test_ten_thousand_items_on_five_hundred_hosts_all_find_a_place_and_are_spread_evenly():
    fleet = hosts(*[0] * 500, limit=100)
    names = tuple(h.host for h in fleet)
    pending = [Pending(f"p{i}", (2, 3, 5)[i % 3], names, "less_loaded", 1, i) for i in range(10000)]
    placed = place(pending, fleet)
    held = Counter()
    for p in pending:
        held[placed[p.name]] += p.load
    assert set(held) == set(names)
    assert max(held.values()) - min(held.values()) <= 5  # the largest load


def test_a_full_fleet_takes_what_fits_and_reports_the_rest():
    fleet = hosts(*[0] * 500, limit=100)
    pending = batch([(30, 40)[i % 2] for i in range(10000)], fleet)
    placed = place(pending, fleet)
    assert Counter(h is None for h in placed.values())[True] > 8000
