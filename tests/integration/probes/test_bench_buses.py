# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks' many buses answer the monitor's probe, die, hang and return like NATS servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from monitor.judge.health import Kind
from tests.benchmarks.buses import Buses, buses, files_for
from tests.integration.probes.probing import Seen, probing, run
from tests.integration.probes.real_buses import ADDRESS, free_port, until


@pytest.fixture
def many() -> Iterator[Buses]:
    with buses() as made:
        yield made


def test_a_round_trip_comes_back(many: Buses) -> None:
    places = [(ADDRESS, free_port()) for _unused in range(2)]
    for place in places:
        many.order("open", place)

    async def scenario(seen: Seen) -> None:
        with probing(places[0][1], seen), probing(places[1][1], seen):
            await until(lambda: seen.count(Kind.ANSWERED) >= 6, "answers of both")

    assert {result.kind for result in run(scenario).results} == {Kind.ANSWERED}


@pytest.mark.parametrize(("fault", "kind"), [("kill", Kind.GONE), ("hang", Kind.MISSED)])
def test_one_that_is_killed_or_hangs_is_seen_so_and_answers_again(many: Buses, fault: str, kind: Kind) -> None:
    place, other = (ADDRESS, free_port()), (ADDRESS, free_port())
    many.order("open", place)
    many.order("open", other)

    async def scenario(seen: Seen) -> None:
        beside = Seen()
        with probing(place[1], seen), probing(other[1], beside):
            await until(lambda: seen.count(Kind.ANSWERED) >= 2, "answers")
            many.order(fault, place)
            await until(lambda: seen.count(kind), kind.value)
            good = seen.count(Kind.ANSWERED)
            many.order("open", place)
            await until(lambda: seen.count(Kind.ANSWERED) > good + 1, "answers again")
        assert {result.kind for result in beside.results} == {Kind.ANSWERED}, "another server at the same time"

    seen = run(scenario)
    assert next(result.kind for result in seen.results if result.kind is not Kind.ANSWERED) is kind


def test_how_many_there_can_be_depends_on_open_files() -> None:
    assert files_for(10) == ""
    assert "may have" in files_for(10**9)
