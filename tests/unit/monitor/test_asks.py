# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person gets to know of a request."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.judge.asks import answer


@pytest.mark.parametrize(
    ("actions", "came", "ok"),
    [
        ([("start", "a")], "running", True), ([("start", "a")], "failed", False), ([("start", "a")], "refused", False),
        ([("grant", "a")], "refused", True),  # a pause is over, and the instance has crashed meanwhile
        ([("grant", "b"), ("restart", "a")], "refused", False),
    ],
)  # fmt: skip
def test_it_is_done_when_what_was_asked_is(actions: list[tuple[str, str]], came: str, ok: bool) -> None:
    plan: dict[str, Any] = {"run": "7", "actions": [
        {"action": kind, "instance": name, "reason": ""} for kind, name in actions
    ]}  # fmt: skip
    result = {"plan": plan, "results": {"a": {"result": came}}}
    assert answer(result, "")["ok"] is ok
    assert answer(result, "it ended with 2")["ok"] is False
