# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rounds of a run that waits for a rollout: no plan before its batch has held, and the look at the hosts before."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.plugin_utils import _rounds

NOW = 1_700_000_000.0


def answer(heard: float, **more: Any) -> dict[str, Any]:
    """Of a host that took 0.5 s, whose instance ran after 0.2 s."""
    result = {"result": "running", "timeline": [["a", 0.1], ["b", 0.2]]}
    said: dict[str, Any] = {"heard": heard, "took": 0.5, "results": {"i": result}, **more}
    _rounds.note_since(said)
    return said


@pytest.mark.parametrize(
    ("answers", "after"),
    [
        ([], 10.0),
        ([answer(NOW - 0.4), answer(NOW - 0.1)], 9.6),
        ([answer(NOW - 20.0)], -10.3),
        ([answer(NOW, results={"i": {"result": "running", "timeline": []}})], 10.0),
        ([answer(NOW, results={"i": {"result": "failed", "timeline": [["a", 0.1]]}})], 10.0),
        ([answer(NOW + 7)], 10.0),
    ],
)
def test_a_batch_holds_from_the_last_instance_on_that_runs(answers: list[dict[str, Any]], after: float) -> None:
    assert _rounds.due(NOW, 10.0, answers) == pytest.approx(NOW + after)


def test_a_round_begins_before_its_plan_is_due_by_what_the_one_before_took() -> None:
    lead = _rounds.lead(NOW - 1.0, NOW)
    assert 1.0 < lead < 2.0
    assert _rounds.until(NOW + 10, NOW, lead) == pytest.approx(10 - lead)
    assert _rounds.until(NOW + 10, NOW + 9) == pytest.approx(1.0), "and its plan waits for the rest"


def test_nothing_waits_where_no_plan_is_due_or_it_is_late() -> None:
    assert _rounds.until(None, NOW) == _rounds.until(NOW - 1, NOW) == _rounds.until(NOW + 1, NOW, 3.0) == 0.0


def test_a_look_is_never_made_long_before_its_plan() -> None:
    assert _rounds.lead(NOW - 60, NOW) == _rounds.MOST_EARLY
    assert _rounds.lead(None, NOW) == 0.0


def test_a_run_of_the_monitor_waits_for_a_batch_unless_that_takes_long() -> None:
    assert _rounds.carries("deploy", {}) and _rounds.carries("reconcile", {"muster_carries": True})
    assert not _rounds.carries("reconcile", {})
    assert _rounds.monitor_waits(_rounds.MONITOR_WAITS, NOW, NOW, 120.0)
    assert not _rounds.monitor_waits(_rounds.MONITOR_WAITS + 1, NOW, NOW, 120.0)
    assert not _rounds.monitor_waits(1.0, NOW - 60, NOW, 120.0), "the monitor would end it"
