# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delays that grow: the type of all ladders, and the rows of them that reconciles are tried by."""

from __future__ import annotations

import pytest

from monitor.core.decide import failures
from monitor.core.model.moments import Ladder
from monitor.judge import intents, retries, schedule
from monitor.judge.retries import Again
from monitor.runs import pool
from monitor.watch import lines_ssh

LADDERS = {
    "crashes": failures.WAITS,
    "intents": intents.DELAYS,
    "reconciles that did not help": retries.DELAYS,
    "wanted and not running": schedule.RETRIES,
    "standby": pool.DELAYS,
    "short lines": lines_ssh.SHORT_LINES,
}


def test_the_last_step_of_a_ladder_goes_on() -> None:
    ladder = Ladder((0.0, 1.0, 3.0))
    assert [ladder.wait(tries) for tries in range(5)] == [0.0, 1.0, 3.0, 3.0, 3.0]


@pytest.mark.parametrize("ladder", LADDERS.values(), ids=list(LADDERS))
def test_no_ladder_goes_down(ladder: Ladder) -> None:
    assert list(ladder) == sorted(ladder) and ladder[0] >= 0.0


def test_a_row_grows_with_each_try_up_to_its_bound() -> None:
    rows: Again[str] = Again()
    rows.longest = 20.0
    rows.note("server_1", "no answer", 0.0)
    rows.note("server_1", "another reason", 1.0)
    tried = []
    for second in range(60):
        if rows.due(float(second)):
            assert rows.due(float(second)) == {"server_1": "no answer"}
            tried.append(second)
            rows.tried(float(second))
    assert tried == [2, 7, 22, 42]


def test_a_row_that_was_forgotten_starts_with_its_first_delay() -> None:
    rows: Again[str] = Again()
    rows.note("server_1", "no answer", 0.0)
    rows.tried(2.0)
    rows.forget(["server_1"])
    assert rows.due(100.0) == {}
    rows.note("server_1", "no answer", 100.0)
    assert rows.due(102.0) == {"server_1": "no answer"}


def test_a_key_that_is_followed_is_due_at_once_and_goes_with_its_reason() -> None:
    rows: Again[str] = Again()
    rows.follow({"scen2_srv_01": "stuck"}, 0.0)
    assert rows.due(0.0) == {"scen2_srv_01": "stuck"}
    rows.tried(0.0)
    rows.follow({"scen2_srv_01": "stuck"}, 1.0)
    assert rows.due(1.0) == {} and rows.due(2.0) == {"scen2_srv_01": "stuck"}
    rows.follow({}, 3.0)
    assert rows.due(100.0) == {}
