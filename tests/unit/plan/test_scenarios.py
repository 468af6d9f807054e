# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden scenarios: a state goes in, and what `muster plan` prints about it comes out.

Each file below tests/scenarios holds `given`, in the form of tests/scenario_form.py, and `then`, the lines that the
product's formatter makes of the plan. `pytest --update-scenarios` writes `then`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.capture import zone
from monitor.core.report import scenario
from tests import scenario_form

TOPICS = (
    "alone", "changes", "conflict", "deploy", "drain", "hosts", "intents", "move", "open", "pause", "programs",
    "rebalance", "reconcile", "reset", "restart", "rollout", "start", "stop", "whole_site",
)  # fmt: skip


@pytest.fixture(autouse=True)
def local_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def answer(given: dict[str, Any]) -> list[str]:
    """The lines of a scenario, in its time zone."""
    full = scenario_form.full(given)
    os.environ["TZ"] = zone(full)  # put back by the fixture
    time.tzset()
    return scenario.answer(full)


@pytest.mark.parametrize("path", scenario_form.files(*TOPICS), ids=scenario_form.name_of)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    lines = answer(scenario_form.load(path)["given"])
    scenario_form.compare(path, lines, request.config.getoption("--update-scenarios"))


def test_every_scenario_is_in_a_folder_of_its_topic() -> None:
    assert {path.parent.name for path in scenario_form.files()} >= set(TOPICS)
    assert [path.name for path in scenario_form.FOLDER.glob("*.yml")] == ["bases.yml"]
    assert len(scenario_form.files(*TOPICS)) > 140


def test_no_golden_text_shows_how_python_writes_a_value() -> None:
    for path in scenario_form.files():
        then = str(scenario_form.load(path).get("then"))
        for sign in ("['", "{'", "('", "None", "True", "False"):
            assert sign not in then, "%s shows %s" % (path, sign)
