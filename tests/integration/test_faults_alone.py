# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single faults on a real site with its monitor, each twice; an audit from outside after each (Req 15, 16, 25, 26).

`make test` runs those of which no test of a requirement shows the same; `make faults` runs all of them, and the pairs
and longer ones of `test_faults_pairs.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from faultkit import Site, suffering

KINDS = ("monitor killed", "ledger locked", "watch list removed", "disk full")
SHOWN_ELSEWHERE = ("bus killed", "bus hangs", "server cut", "two servers cut", "console cut", "run killed")
MOMENTS = (("restart", 1), ("failover", 1))
MORE_MOMENTS = (("stop", 1), ("failover", 2))
SHORT = 2.0  # s until a cure, so that there is time for all of them


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with suffering(66, longest=SHORT) as deployed:
        yield deployed


@pytest.fixture(autouse=True)
def _in_order(site: Site) -> None:
    site.put_in_order()


def long(*values: Any) -> list[Any]:
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*row, marks=pytest.mark.long) for row in rows]


@pytest.mark.parametrize("kind", [*KINDS, *long(*SHOWN_ELSEWHERE)])
def test_a_fault_is_overcome_and_again(site: Site, kind: str) -> None:
    if kind == "disk full" and not site.world.small_disk:
        pytest.skip("only root may mount a small disk")
    for number in (1, 2):
        site.suffers(number, kind)


@pytest.mark.parametrize(("during", "number"), [*MOMENTS, *long(*MORE_MOMENTS)])
def test_a_monitor_killed_at_any_moment_loses_nothing(site: Site, during: str, number: int) -> None:
    site.loses_its_monitor(during, number)
