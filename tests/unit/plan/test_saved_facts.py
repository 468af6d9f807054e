# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A saved plan is stale when what it is about has changed, also where no host does anything for it."""

from __future__ import annotations

from typing import Any

from monitor.core.arrange.bound import differences
from monitor.core.plan.plan import make_plan
from tests.unit.report.test_readiness import NOW, fleet, srv


def facts(world: tuple[Any, Any, Any], now: float = NOW, **request: Any) -> dict[str, Any]:
    site, state, seen = world
    plan = make_plan(site, state, 7, seen, {"who": "eve", "facts": True, **request}, now, "5", {})
    assert not plan.refusals
    return dict(plan.facts)


def drained(by: str, why: str) -> dict[str, Any]:
    return {"state": "drained", "by": by, "drain": {"by": by, "why": why, "since": NOW - 9, "at_a_time": 1}}


def test_an_undrain_does_not_fit_a_drain_of_somebody_else() -> None:
    mine = fleet(srv("server_1"), server_2=drained("eve", "new disk"))
    other = fleet(srv("server_1"), server_2=drained("bob", "it smokes"))
    saved = facts(mine, kind="undrain", host="server_2")
    assert not differences(saved, facts(mine, NOW + 60, kind="undrain", host="server_2"))
    assert differences(saved, facts(other, kind="undrain", host="server_2"))


def test_a_drain_of_an_empty_host_does_not_fit_one_that_is_drained_already() -> None:
    saved = facts(fleet(srv("server_1")), kind="drain", host="server_2")
    by_now = fleet(srv("server_1"), server_2=drained("bob", "it smokes"))
    assert differences(saved, facts(by_now, kind="drain", host="server_2"))


def test_a_resume_does_not_fit_a_pause_of_somebody_else() -> None:
    paused = fleet(srv("server_1"))
    paused[1]["pauses"]["site"] = {"by": "eve", "why": "a test", "at": NOW - 9}
    saved = facts(paused, kind="resume", site=True)
    assert not differences(saved, facts(paused, NOW + 60, kind="resume", site=True))
    paused[1]["pauses"]["site"] = {"by": "bob", "why": "hands in the machine", "at": NOW}
    assert differences(saved, facts(paused, kind="resume", site=True))


def test_a_drain_for_later_fits_whatever_is_there_by_now() -> None:
    saved = facts(fleet(srv("server_1", "server_2")), kind="drain", host="server_2", at=NOW + 3600)
    more = fleet(srv("server_2", "server_2"))
    assert not differences(saved, facts(more, kind="drain", host="server_2", at=NOW + 3600))  # it is decided then
