# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The long files first, so that no test process is left alone with one at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.controller.data_hosts import Room

LONG_FIRST = (
    "test_faults_pairs", "test_faults_alone", "test_req_buses", "test_req_hosts", "test_req_items", "test_demo",
    "test_api", "test_req_hci", "test_runs_site", "test_no_runs", "test_faults_site", "test_mosquitto_site",
    "test_monitor_faults", "test_schedule_role", "test_discovery",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG_FIRST.index(item.path.stem) if item.path.stem in LONG_FIRST else len(LONG_FIRST))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)
