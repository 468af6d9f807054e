# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls that only look: status, trail, and questions. `calls` has the call that each gets."""

from __future__ import annotations

import time
from typing import Any, Dict

from ..decide.draft import WHOLE
from ..model.unheard import unheard
from ..report import status, status_text
from . import alarm_calls, last_seen, publish, shared
from .places import MONITOR_FILE

Json = Dict[str, Any]


def for_request(state_dir: str, kind: str) -> Json:
    """What a request has to know of the controller beside the ledger: standing alarms, and buses that do not answer."""
    if kind not in WHOLE:
        return alarm_calls.for_request(state_dir, kind)
    monitor = publish.read_published(state_dir, MONITOR_FILE)
    if monitor.get("state") != "running" or time.time() - float(monitor.get("at") or 0.0) > status.SILENCE:
        return {}
    buses = status.bus_health(monitor).items()
    return {"sick": {name: bus["epoch"] for name, bus in buses if bus["health"] == "unhealthy"}}


def show_status(call: Any) -> Json:
    now = time.time()
    fresh = {}
    with shared.to_look_at(call.ledger, call.state_dir) as ledger:
        state, revision = ledger.read()
        if call.request.get("observations"):
            now_so = last_seen.current(call.site, ledger, state, revision, call.request)
            fresh = {name: dict(entry, at=now) for name, entry in now_so.items() if last_seen.asked(entry)}
        observations = dict(last_seen.last_seen(call.site, ledger, state), **fresh)
    if fresh and not call.check:
        last_seen.keep(call.site, fresh, revision, now)
    monitor = call.request.get("monitor") or publish.read_published(call.state_dir, MONITOR_FILE)
    document = status.status_document(call.site, state, revision, observations, monitor, now)
    return {"status": document, "table": status_text.render_table(document)}


def show_trail(call: Any) -> Json:
    after, limit = call.request.get("after"), int(call.request.get("limit") or 100)
    instance = call.request.get("instance")
    with call.ledger as ledger:
        trail = ledger.trail(after, limit, instance)
        never = unheard(call.site, {"instance": instance}) if instance and not trail else ""
        if never and not (after and ledger.trail(None, 1, instance)):
            return {"error": never, "unknown": True}
    return {"trail": trail}


def question(call: Any) -> Json:
    from ..report import questions  # not in the way of runs

    with call.ledger as ledger:
        state, revision = ledger.read()
        observations = last_seen.last_seen(call.site, ledger, state)
        return questions.answer(
            call.request, call.site, state, revision, observations, ledger.trail, time.time(), call.digests
        )
