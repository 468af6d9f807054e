# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor sees, as a document: the content of ``run/monitor.json``, and the base of its API."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base.files import replace_text
from ..base.histogram import Histogram
from ..core.alarms.picture import BACK
from ..judge.brain import Brain
from ..judge.health import Health
from ..judge.hosts import NOT_HELD
from ..judge.wishes import BusKey
from ..watch.prober import Prober

SCHEMA = 1


def document(
    prober: Prober,
    brain: Brain,
    *,
    now: float,
    since: float,
    revision: int,
    standby: str,
    no_runs: Mapping[str, Any] | None,
    notes: Sequence[str],
    runs: Iterable[str],
    took: Mapping[str, Histogram],
    failing: str,
    lead: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The document. Ages of what is watched (``since``) are seconds before ``at``.

    :param now: seconds of the monotonic clock that healths are noted with.
    :param since: seconds since 1970 at which the monitor began.
    :param revision: of the watch list.
    :param no_runs: since when and why no run can be made: {since, why}; None when one can.
    :param notes: on the settings of the runs, one sentence each.
    :param took: playbook -> how long its runs worked.
    :param failing: why its last turn failed; empty when it did not.
    :param lead: who leads, where there are several controllers.
    """
    services: dict[str, dict[str, Any]] = {}
    for (name, host), health in prober.services.items():
        ended = brain.service_ends.to_json(name, host)
        services.setdefault(name, {})[host] = {**health.to_json(now), **({"ended": ended} if ended else {})}
    lines = brain.hosts.lines()
    return {
        "schema": SCHEMA,
        "state": "running",
        "pid": os.getpid(),
        "since": since,
        "at": round(time.time(), 3),
        "revision": revision,
        "standby": standby,
        "no_runs": no_runs,
        "settings": list(notes),
        "buses": {bus[0]: _bus(prober, bus, health, now) for bus, health in prober.buses.items()},
        "services": services,
        "hosts": {
            name: {
                "state": verdict.state,
                "why": verdict.why,
                "since": round(now - verdict.since, 1),
                "line": lines[name].signal.value if name in lines else "none",
                "no_line": lines[name].why if name in lines and lines[name].signal in NOT_HELD else "",
                **_away(brain.hosts.absence(name), now),
            }
            for name, verdict in brain.verdicts.items()
        },
        "windows": brain.windows.to_json(brain.watch),
        "storm": brain.hosts.storm,
        "intents": [{**i.to_json(), "run": i.run, "attempts": i.attempts} for i in brain.intents],
        "shadow": brain.shadows.to_json(),
        "runs": sorted(runs),
        "took": {playbook: took[playbook].to_json() for playbook in sorted(took)},
        "answers": prober.answers.to_json(),
        "failing": failing,
        **({"lead": lead} if lead else {}),
    }


def _bus(prober: Prober, bus: BusKey, health: Health, now: float) -> dict[str, Any]:
    found = {"epoch": bus[1], **health.to_json(now)}
    link = prober.links.get((*bus, "link"))
    if link is not None:
        found["link"] = link.to_json(now)
    return found


def save(path: Path, document: Mapping[str, Any]) -> str:
    """:return: why it was not written, a sentence; "" when it was."""
    try:
        replace_text(path, json.dumps(document, separators=(",", ":")))
    except OSError as error:
        return "%s cannot be written: %s" % (path, error)
    return ""


def _away(absence: tuple[float, float] | None, now: float) -> dict[str, Any]:
    """How long ago a host fell silent and came back, for as long as that matters to alarms."""
    if absence is None or now - absence[1] > BACK:
        return {}
    return {"away": [round(now - moment, 3) for moment in absence]}
