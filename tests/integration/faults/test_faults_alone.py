# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single faults on a real site with its monitor, each twice; an audit from outside after each (Req 15, 16, 25, 26).

Pairs of them, and those that take longer, are in `test_faults_pairs.py`. Neither is part of `make test`, where tests of
requirements show most of them once.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.faults.suffering_site import Site, suffering

pytestmark = pytest.mark.long

KINDS = (
    "bus killed", "bus hangs", "all buses killed", "manager killed", "server cut", "two servers cut", "console cut",
    "monitor killed", "run killed", "ledger locked", "watch list removed", "disk full",
)  # fmt: skip
MOMENTS = (("restart", 1), ("stop", 1), ("failover", 1), ("failover", 2))
SHORT = 2.0  # s until a cure, so that there is time for all of them


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with suffering(66, longest=SHORT) as deployed:
        yield deployed


@pytest.fixture(autouse=True)
def _in_order(site: Site) -> None:
    site.put_in_order()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_overcome_and_again(site: Site, kind: str) -> None:
    if kind == "disk full" and not site.world.small_disk:
        pytest.skip("only root may mount a small disk")
    for number in (1, 2):
        site.suffers(number, kind)


@pytest.mark.parametrize(("during", "number"), MOMENTS)
def test_a_monitor_killed_at_any_moment_loses_nothing(site: Site, during: str, number: int) -> None:
    site.loses_its_monitor(during, number)
