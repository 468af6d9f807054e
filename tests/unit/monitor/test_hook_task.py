# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often alarms are judged."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from monitor import hook_task
from monitor.core.controller import calls


def test_a_look_that_waits_for_a_processor_does_not_delay_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.5)
        return {"error": "there is no ledger"}

    monkeypatch.setattr(calls, "handle", handle)
    used = hook_task._look(cast(Any, (None, None)), cast(Any, None), "/nowhere", {}, {})["used"]
    assert 0.0 <= used < 0.25
