# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fewest moves to an even load, against exhaustive search on small random fleets."""

from __future__ import annotations

import itertools
import random

import pytest

from monitor.core.arrange.spread import Node, Piece, fewest, spread_of
from monitor.core.place.loads import Fleet, HostLoad
from monitor.core.place.ties import Ties


def fleet(seed: int) -> tuple[list[Piece], dict[str, Node], dict[str, str]]:
    rng = random.Random(seed)
    hosts = ["server_%d" % number for number in range(1, rng.randint(2, 4) + 1)]
    pieces = []
    for number in range(rng.randint(1, 5)):
        load = float(rng.choice((10, 22, 40)))
        allowed = tuple(host for host in hosts if rng.random() < 0.8)
        pieces.append(Piece("srv_%d" % number, rng.choice(hosts), load, load, allowed))
    nodes = {}
    for host in hosts:
        used = sum(piece.used for piece in pieces if piece.host == host)
        nodes[host] = Node(used + rng.choice((0, 0, 20)), max(0.0, rng.choice((100, 60)) - used))
    return pieces, nodes, {host: host for host in hosts}


def after(
    pieces: list[Piece], nodes: dict[str, Node], moves: list[tuple[str, str]]
) -> tuple[dict[str, float], dict[str, float]]:
    used, free = ({name: node[part] for name, node in nodes.items()} for part in (0, 1))
    known = {piece.name: piece for piece in pieces}
    for name, to in moves:
        used[known[name].host] -= known[name].used
        used[to] += known[name].used
        free[to] -= known[name].load
    return used, free


def least(pieces: list[Piece], nodes: dict[str, Node], spread: float) -> int | None:
    """How many moves any solution needs, by trying all places of all pieces; None when there is no solution."""
    best = None
    for places in itertools.product(*[sorted({piece.host, *piece.hosts}) for piece in pieces]):
        moves = [(piece.name, to) for piece, to in zip(pieces, places, strict=True) if to != piece.host]
        used, free = after(pieces, nodes, moves)
        if min(free.values()) >= 0 and spread_of(used) <= spread and (best is None or len(moves) < best):
            best = len(moves)
    return best


@pytest.mark.parametrize("block", range(4))
def test_no_other_solution_has_fewer_moves(block: int) -> None:
    solved = 0
    for seed in range(block * 100, block * 100 + 100):
        pieces, nodes, node_of = fleet(seed)
        spread = (10.0, 25.0, 50.0)[seed % 3]
        moves = fewest(pieces, nodes, node_of, spread)
        used, free = after(pieces, nodes, moves)
        assert min(free.values()) >= 0, seed
        assert len({name for name, _to in moves}) == len(moves), seed
        known = {piece.name: piece for piece in pieces}
        assert all(to in known[name].hosts for name, to in moves), seed
        wanted = least(pieces, nodes, spread)
        if wanted is None:
            assert spread_of(used) <= spread_of({name: node.used for name, node in nodes.items()}), seed
        else:
            assert spread_of(used) <= spread and len(moves) == wanted, seed
            solved += wanted > 0
    assert solved > 20


def test_a_large_fleet_is_evened_out_too() -> None:
    hosts = ["server_%d" % number for number in range(50)]
    pieces = [Piece("srv_%d" % n, hosts[n % 5], 2.0, 2.0, tuple(hosts)) for n in range(500)]
    nodes = {host: Node(200.0 if host in hosts[:5] else 0.0, 300.0) for host in hosts}
    moves = fewest(pieces, nodes, {host: host for host in hosts}, 20.0)
    used, _free = after(pieces, nodes, moves)
    assert spread_of(used) <= 20.0
    assert len(moves) <= 500


def test_what_is_even_enough_is_left_alone() -> None:
    pieces = [Piece("srv", "a", 20.0, 20.0, ("a", "b"))]
    assert fewest(pieces, {"a": Node(20.0, 80.0), "b": Node(0.0, 100.0)}, {"a": "a", "b": "b"}, 20.0) == []


def test_a_group_that_is_together_moves_as_one_where_that_evens_out() -> None:
    three = Piece("a", "x", 60.0, 60.0, ("x", "y"), others=("b", "c"))
    one = Piece("d", "x", 50.0, 50.0, ("x", "y"))
    nodes = {"x": Node(110.0, 0.0), "y": Node(0.0, 100.0)}
    node_of = {"x": "x", "y": "y"}
    assert fewest([three, one], nodes, node_of, 20.0) == [("d", "y")]  # one instance rather than three
    assert fewest([three, one._replace(hosts=("x",))], nodes, node_of, 20.0) == [("a", "y")]


def test_several_that_move_as_one_need_what_all_of_them_need() -> None:
    needs = tuple(Ties("i%d" % number, needs=(("gpu", 1),)) for number in range(2))
    piece = Piece("a", "x", 40.0, 40.0, ("x", "y"), needs, ("b",))
    nodes = {"x": Node(40.0, 60.0), "y": Node(0.0, 100.0)}
    for gpus, moves in ((1, []), (2, [("a", "y")])):
        fleet = Fleet([HostLoad(name, name, at, rooms=((name, "gpu", gpus),)) for at, name in enumerate(nodes)])
        assert fewest([piece], {**nodes, "x": Node(61.0, 39.0)}, {"x": "x", "y": "y"}, 30.0, fleet) == moves
