# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks about alarms with real commands: in order, only what they want, and on where they were after a restart."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from monitor.core.controller.past import Past
from monitor.core.model.site import Hook
from monitor.tell.alarm_hooks import AlarmHooks
from tests.integration.monitor.test_hooks import Place, place  # noqa: F401 - a fixture
from tests.integration.probes.real_buses import until


def change(subject: str, after: str, before: str = "", priority: str = "high", ago: float = 0.0) -> dict[str, Any]:
    return {"at": time.time() - ago, "what": "alarm", "subject": subject, "before": before, "after": after,
            "why": "news", "lasted": 0.0, "kind": "item", "priority": priority, "items": ["01"]}  # fmt: skip


def happened(where: Place, *changes: dict[str, Any]) -> int:
    """:return: the id of the last entry before these."""
    with Past(str(where.folder), write=True) as store:
        last = store.last()
        store.remember({}, changes)
    return last


def heard(where: Place) -> list[tuple[str, str]]:
    return [(document["alarm"], document["event"]) for document in where.told()]


def test_a_hook_hears_of_alarms_in_order_and_the_next_monitor_goes_on(place: Place) -> None:
    happened(place, change("item:old", "unacknowledged"))
    hook = Hook((place.tell(),), ("raised", "cleared", "over"), 0.0, 10.0, "alarms", ("high",))
    verdicts = Hook((place.tell(),), ("all",), 0.0, 10.0)

    async def first() -> None:
        hooks = AlarmHooks(place.folder, place.journal)
        hooks.follow("scenario_2", [hook, verdicts])
        assert hooks.wanted
        last = happened(
            place, change("item:01", "unacknowledged"), change("item:02", "unacknowledged", priority="low"),
            change("item:01", "acknowledged", "unacknowledged"), change("item:01", "over", "acknowledged"),
            change("item:03", "came and went"), change("item:04", "suppressed"),
        )  # fmt: skip
        hooks.changed(last, time.time())
        await until(lambda: len(heard(place)) == 3, "it hears of what it wants")
        await hooks.close()

    asyncio.run(first())
    assert heard(place) == [("item:01", "raised"), ("item:01", "over"), ("item:03", "raised")]

    happened(place, change("item:05", "unacknowledged"), change("item:06", "unacknowledged", ago=7200.0))

    async def second() -> None:
        hooks = AlarmHooks(place.folder, place.journal)
        hooks.follow("scenario_2", [hook])
        last = happened(place, change("item:07", "came and went", "unacknowledged"))
        hooks.changed(last, time.time())
        await until(lambda: len(heard(place)) == 5, "it goes on")
        await hooks.close()

    asyncio.run(second())
    assert heard(place)[3:] == [("item:05", "raised"), ("item:07", "cleared")], "what is hours old is left out"


def test_a_command_that_hangs_is_killed_and_the_next_entry_is_told(place: Place) -> None:
    hook = Hook((place.script('read line; case "$line" in *item:01*) sleep 60;; esac; echo "$line" >> "%s/told"\n'
                              % place.folder),), ("all",), 0.0, 0.5, "alarms")  # fmt: skip

    async def scenario() -> None:
        hooks = AlarmHooks(place.folder, place.journal)
        hooks.follow("scenario_2", [hook])
        hooks.changed(happened(place, change("item:01", "unacknowledged"), change("item:02", "unacknowledged")),
                      time.time())  # fmt: skip
        await until(lambda: heard(place) == [("item:02", "raised")], "it hears of the second one")
        await hooks.close()

    asyncio.run(scenario())
    assert "deadline" in place.said("hook failed")[0]["why"]
