# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden scenarios of the monitor: signals over some seconds go in, what the brain wants done comes out.

The files are in tests/scenarios/monitor; `pytest --update-scenarios` writes `then`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import scenario_form
from tests.unit.monitor.brain_over_time import BrainOverTime

FILES = scenario_form.files("monitor")


@pytest.mark.parametrize("path", FILES, ids=scenario_form.name_of)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    lines = BrainOverTime(scenario_form.load(path)["given"]).play()
    scenario_form.compare(path, lines, request.config.getoption("--update-scenarios"))


def test_there_are_scenarios_of_the_monitor() -> None:
    assert len(FILES) >= 14
