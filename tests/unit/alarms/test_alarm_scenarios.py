# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden scenarios of alarms: what ledger, hosts and monitor show over time goes in, what a person hears comes out.

The files are in tests/scenarios/alarms; `pytest --update-scenarios` writes `then`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import scenario_form
from tests.unit.alarms.alarms_over_time import AlarmsOverTime

FILES = scenario_form.files("alarms")


@pytest.mark.parametrize("path", FILES, ids=scenario_form.name_of)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    shown = AlarmsOverTime(scenario_form.load(path)["given"]).play()
    scenario_form.compare(path, shown, request.config.getoption("--update-scenarios"))


def test_there_are_scenarios_of_alarms() -> None:
    assert len(FILES) >= 8


def test_what_counts_in_a_moment_is_looked_at_although_nothing_changes() -> None:
    [path] = [path for path in FILES if path.stem == "windows_closed"]
    played = AlarmsOverTime(scenario_form.load(path)["given"])
    waits = []
    for step, now in ((0, 1.0), (1, 2.0), (None, 4.0), (None, 5.0)):
        if step is not None:
            played.take(played.steps[step], now)
        played.look(now)
        waits.append((played.known["waits"], len(played.shown)))
    assert [waits[0], waits[1], waits[-1]] == [(False, 0), (True, 0), (False, 1)]
