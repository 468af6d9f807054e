# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host decides by itself, beside what the monitor would: the same budget, the same pauses, and less."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.decide import failures
from monitor.core.host.alone.decide import (
    CONTINUE,
    CONTINUE_AFTER,
    REFUSED,
    REPAIR,
    RESTART,
    Attempt,
    Budget,
    Grant,
    charges,
    decide,
)
from monitor.core.model.records import Claim, Failure
from monitor.core.model.site import Settings

NOW = 10_000.0
PROGRAMS = tuple({"name": name, "start_sequence": rank, "wait_exit": name == "gate"}
                 for rank, name in enumerate(("bus", "gate", "core", "view"), 1))  # fmt: skip
STRATEGIES = {"bus": "restart_application", "gate": "continue", "core": "restart_process", "view": "continue"}
BUDGET = Budget(5, 600.0, 10.0, failures.WAITS, 0, ())  # type: ignore[arg-type]
GRANT = Grant("app_01", "t", "s-1", 7, 17, NOW - 1000, BUDGET, "bus", STRATEGIES, PROGRAMS)


def seen(*programs: str, **more: Any) -> dict[str, Any]:
    return {"epochs": [7] if programs else [], "programs": {name: {"pid": 1} for name in programs}, **more}


def attempt(number: int, at: float, **more: Any) -> Attempt:
    return Attempt(number, RESTART, at, "it ended", **{"result": "running", "back": at + 1, "row": 1, **more})


@pytest.mark.parametrize(
    ("what", "shown", "does", "says"),
    [
        ("all runs", seen("bus", "core", "view"), "", ""),
        ("its bus ended", seen(ended={"program": "bus"}), RESTART, "bus of app_01 ended"),
        ("all of it is gone", {}, RESTART, "app_01 ended by itself"),
        ("a program ended", seen("bus", "view"), REPAIR, "core of app_01 ended"),
        ("one that may", seen("bus", "core"), "", "continue"),
        ("a program and the bus", seen("core"), RESTART, "bus, view of app_01 ended"),
        ("its lease ended", seen(ended={"program": "*lease"}), "", "with the lease"),
        ("by hand", seen(endings={"bus": "stopped", "core": "stopped"}), "", "somebody stopped it"),
        ("some of it by hand", seen(endings={"bus": "stopped", "core": "exited 3"}), RESTART, "ended by itself"),
        ("another epoch runs", dict(seen("bus"), epochs=[8]), "", "another epoch"),
        ("what waits in a gate", seen("bus", "core", deferred=["gate", "view"]), CONTINUE, "tried again"),
        ("what failed and may", seen("bus", "core", failed={"view": "exited 1"}), "", ""),
    ],
)
def test_what_is_done(what: str, shown: dict[str, Any], does: str, says: str) -> None:
    deed = decide(GRANT, shown, NOW)
    assert (deed.do, says in deed.reason) == (does, True), (what, deed)


@pytest.mark.parametrize("strategy", ["stop_application", "continue"])
def test_a_bus_whose_end_is_to_stop_all_or_nothing_is_left_to_the_monitor(strategy: str) -> None:
    grant = GRANT._replace(strategies={**STRATEGIES, "bus": strategy})
    deed = decide(grant, seen(ended={"program": "bus"}), NOW)
    assert not deed.do and strategy in deed.reason


def test_what_is_only_reported_is_left_alone_unless_its_bus_ended() -> None:
    grant = GRANT._replace(repair="report")
    assert "only reported" in decide(grant, {}, NOW).reason and not decide(grant, {}, NOW).do
    assert decide(grant, seen(ended={"program": "bus"}), NOW).do == RESTART


def test_numbers_are_used_once_also_those_of_repairs_and_those_that_were_counted() -> None:
    for grant, number in (
        (GRANT, 8),
        (GRANT._replace(used=11), 12),
        (GRANT._replace(attempts=(attempt(9, NOW - 500),)), 10),
        (GRANT._replace(epoch=12), 13),
    ):
        assert decide(grant, {}, NOW).number == number
    none_left = decide(GRANT._replace(attempts=(attempt(17, NOW - 500),)), {}, NOW)
    assert not none_left.do and "granted no more" in none_left.reason


def test_a_gate_is_tried_again_only_now_and_then() -> None:
    shown = seen("bus", "core", deferred=["gate", "view"])
    tried = GRANT._replace(attempts=(Attempt(7, CONTINUE, NOW - 1, "", "running", NOW),))
    assert not decide(tried, shown, NOW).do
    assert decide(tried, shown, NOW + CONTINUE_AFTER).do == CONTINUE


def test_what_was_refused_waits_and_costs_nothing() -> None:
    refused = GRANT._replace(attempts=(attempt(8, NOW - 1, result=REFUSED, back=NOW),))
    assert not decide(refused, {}, NOW + 1).do
    later = decide(refused, {}, NOW + 6)
    assert (later.do, later.number, later.row, charges(refused, NOW + 6)) == (RESTART, 9, 1, [])


def test_crashes_in_a_row_wait_longer_and_longer_until_the_budget_ends_them() -> None:
    grant, waits, now = GRANT._replace(since=NOW), [], NOW
    while True:
        deed = decide(grant, {}, now)
        if not deed.do:
            break
        waits.append(deed.wait)
        now += deed.wait + 1
        grant = grant._replace(attempts=(*grant.attempts, attempt(deed.number, now - 1, row=deed.row, back=now)))
    assert waits == [0.0, 0.0, 2.0, 5.0, 15.0]
    assert "budget is spent" in deed.reason


@settings(max_examples=300, deadline=None)
@given(
    ages=st.lists(st.floats(0, 900), max_size=7), ran=st.floats(0, 900), limit=st.integers(1, 6),
    stable=st.floats(0.0, 200.0), window=st.floats(1.0, 900.0), failed=st.booleans(),
)  # fmt: skip
def test_the_budget_counts_as_the_monitor_counts_it(
    ages: list[float], ran: float, limit: int, stable: float, window: float, failed: bool
) -> None:
    """Its own attempts, oldest first, the last of which ended `ran` seconds ago."""
    times = sorted(NOW - ran - age for age in ages)
    made = tuple(attempt(8 + at, when, back=NOW - ran) for at, when in enumerate(times))
    if made and failed:
        made = (*made[:-1], made[-1]._replace(result="failed"))
    grant = GRANT._replace(since=NOW - ran, attempts=made, until=10**6,
                           budget=BUDGET._replace(limit=limit, window=window, stable=stable))  # fmt: skip
    claim = Claim(phase="failed" if made and failed else "running", since=NOW - ran,
                  failures=tuple(Failure(at, "one", "") for at in times))  # fmt: skip
    site = Settings(failure_budget=limit, failure_window=window, stable_after=stable)
    theirs = [failure.at for failure in failures.charges(claim, NOW, site)]
    if made and failed:  # the monitor's never age while it does not run; a host has nobody who clears them
        theirs = [at for at in theirs if at > NOW - window]
    assert charges(grant, NOW) == theirs
