# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when an item has its verdict."""

from __future__ import annotations

from typing import Any

from monitor.web.since import Since


def document(at: float, verdict: str, since: float = 0.0, **more: Any) -> dict[str, Any]:
    instance = {"since": since, "phase": "running", "wanted": None, "bus": None, **more}
    item = {"item": "01", "verdict": verdict, "services": {"instance": "srv_01"}, "hci": {}}
    return {"at": at, "items": [item], "instances": {"srv_01": instance}}


def marked(follow: Since, *arguments: Any, **more: Any) -> float | None:
    shown = document(*arguments, **more)
    follow.mark(shown)
    since: float | None = shown["items"][0]["since"]
    return since


def test_the_first_look_takes_what_the_claim_remembers():
    assert marked(Since(), 100.0, "operational", 40.0) == 40.0


def test_an_unknown_time_is_not_invented():
    assert marked(Since(), 100.0, "stopped") is None


def test_a_verdict_that_stays_keeps_its_time_also_when_the_claim_changes():
    follow = Since()
    marked(follow, 100.0, "operational", 40.0)
    assert marked(follow, 110.0, "operational", 105.0) == 40.0


def test_a_change_is_as_old_as_the_bus_that_caused_it():
    follow = Since()
    marked(follow, 100.0, "operational", 40.0)
    bus = {"health": "unhealthy", "why": "", "since": 103.0}
    assert marked(follow, 110.0, "not operational", 40.0, bus=bus) == 103.0


def test_a_change_without_a_cause_that_is_newer_than_the_last_look_is_new():
    follow = Since()
    marked(follow, 100.0, "operational", 40.0)
    assert marked(follow, 110.0, "degraded", 40.0) == 110.0


def test_a_stopped_item_is_stopped_since_the_request():
    wanted = {"state": "stopped", "at": 70.0}
    assert marked(Since(), 100.0, "stopped", 40.0, phase="free", wanted=wanted) == 70.0


def test_an_item_that_left_is_forgotten():
    follow = Since()
    marked(follow, 100.0, "operational", 40.0)
    follow.mark({"at": 105.0, "items": [], "instances": {}})
    assert marked(follow, 110.0, "operational", 108.0) == 108.0
