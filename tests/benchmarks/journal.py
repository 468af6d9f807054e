# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the monitor's journal and the artefacts of its runs.

The same on this machine as on the lab, whose disks can be read from here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROUNDED = 0.002  # s: the lines' own times are


def is_ready(state: Path) -> bool:
    """Whether the monitor of this state folder knows what was published last, all buses are healthy, nothing is to be
    done, and a run is parked."""
    try:
        said = json.loads((state / "run" / "monitor.json").read_text(encoding="utf-8"))
        watch = json.loads((state / "watch.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    busy = said["intents"] or said["revision"] != watch["revision"]
    return said["standby"] == "parked" and not busy and all(bus["state"] == "healthy" for bus in said["buses"].values())


def lines(text: str, since: float) -> Iterator[dict[str, Any]]:
    """The events of a log since then (seconds since 1970)."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("at", 0) >= since - ROUNDED:
                yield entry


def first(found: Iterable[dict[str, Any]], event: str, **facts: Any) -> dict[str, Any] | None:
    """The first line of an event that has these facts."""
    for line in found:
        if line["event"] == event and all(line.get(key) == value for key, value in facts.items()):
            return line
    return None


def agent_began(artifacts: Path, run: str, instance: str) -> float | None:
    """When the code of a run began on the instance's host (Unix time), from the run's artefacts."""
    for path in (artifacts / run / "job_events").glob("*.json") if run else ():
        event = json.loads(path.read_text(encoding="utf-8")).get("event_data", {})
        if event.get("task_action") == "control_room.muster.act" and "res" in event:
            answer = event["res"].get("answer", {})
            if instance in answer.get("results", {}):
                return float(answer["began"])
    return None


def intent_to_code(found: Iterable[dict[str, Any]], artifacts: Path, instance: str) -> float | None:
    """Seconds from the first intent about an instance until the code of its run began on the host.

    None when there was no intent, or no artefact of its run. Both moments are of one clock, here and on the lab.
    """
    said = list(found)
    intent = first(said, "intent", instance=instance)
    if intent is None:
        return None
    run = first((line for line in said if line["at"] >= intent["at"] and "about" in line), "run")
    began = agent_began(artifacts, str(run["run"]) if run else "", instance)
    return None if began is None else began - float(intent["at"])
