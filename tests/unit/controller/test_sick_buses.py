# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan knows of buses: what a monitor that runs says of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import looking
from monitor.core.controller.places import MONITOR_FILE

BUSES = {"a_01": {"state": "unhealthy", "epoch": 3}, "a_02": {"state": "healthy", "epoch": 4},
         "a_03": {"state": "unknown", "epoch": 5}}  # fmt: skip


def said(folder: Path, **more: Any) -> None:
    (folder / MONITOR_FILE).parent.mkdir(exist_ok=True)
    (folder / MONITOR_FILE).write_text(json.dumps({"state": "running", "at": time.time(), "buses": BUSES, **more}))


@pytest.mark.parametrize("kind", ["deploy", "reconcile"])
def test_a_bus_that_does_not_answer_is_known_to_a_plan(tmp_path: Path, kind: str) -> None:
    said(tmp_path)
    assert looking.for_request(str(tmp_path), kind) == {"sick": {"a_01": 3}}


@pytest.mark.parametrize("more", [{"state": "stopped"}, {"at": time.time() - 600}])
def test_what_a_monitor_said_once_does_not_count(tmp_path: Path, more: dict[str, Any]) -> None:
    said(tmp_path, **more)
    assert looking.for_request(str(tmp_path), "reconcile") == {}
    assert looking.for_request(str(tmp_path / "none"), "reconcile") == {}
