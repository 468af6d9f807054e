# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of the monitor itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import Metric

from ...core.model.words import BUS_CAUSES
from .families import counter, gauge, histogram


@dataclass(frozen=True)
class Facts:
    """The input of the metrics."""

    status: Mapping[str, Any]  # the status document
    snapshot: Mapping[str, Any]  # what the monitor knows, as in ``run/monitor.json``
    counts: Mapping[tuple[str, str], int]  # lines of the monitor's journal by (event, cause)
    now: float  # s since 1970
    turned: float | None  # s since the monitor's loop turned last; None: it has not
    streams: int  # clients that follow the events
    connections: int  # of the API that are open
    refused: int  # connections that were turned away since its process began


def families(facts: Facts) -> Iterator[Metric]:
    yield from _state(facts)
    yield from _lead(facts.snapshot.get("lead"))
    yield from _work(facts.snapshot)
    yield from _counters(facts)


def _state(facts: Facts) -> Iterator[Metric]:
    snapshot, status = facts.snapshot, facts.status
    yield gauge("muster_up", "The monitor answers.", [({}, 1)])
    yield gauge("muster_loop_age_seconds", "Since the monitor's loop turned last.", [({}, facts.turned)])
    yield gauge("muster_start_time_seconds", "When the monitor was started.", [({}, snapshot.get("since"))])
    failing = bool(snapshot.get("failing"))
    yield gauge("muster_loop_failing", "The last turn of the monitor's loop failed; see its log.", [({}, failing)])
    yield gauge("muster_ledger_revision", "Of the ledger.", [({}, status["revision"])])
    yield gauge("muster_watch_list_revision", "Of the watch list in use.", [({}, snapshot.get("revision"))])
    holding = bool(snapshot.get("storm"))
    yield gauge("muster_hold", "So much was lost at once that the monitor holds back, and says why.", [({}, holding)])
    yield gauge("muster_event_streams", "Clients that follow the events.", [({}, facts.streams)])
    yield gauge("muster_api_connections", "Open connections to the API.", [({}, facts.connections)])


def _lead(lead: Mapping[str, Any] | None) -> Iterator[Metric]:
    """:param lead: as `monitor.judge.leading` tells it; None with one controller, which leads alone."""
    known = lead or {"leads": True, "leader": "", "beside": []}
    names = {name for name in (known.get("leader"), *(known.get("beside") or ())) if name}
    yield gauge("muster_leads", "This monitor may act: it leads, or is the only one.", [({}, bool(known["leads"]))])
    leader = [({"controller": str(known["leader"])}, 1)] if known.get("leader") else []
    doc = "Which of several controllers leads; without a sample: none, or it is not known."
    yield gauge("muster_leader", doc, leader)
    count = len(names) if lead else 1
    yield gauge("muster_controllers", "Monitors that lead or stand by, as far as this one knows.", [({}, count)])


def _work(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    intents, runs = snapshot.get("intents") or [], snapshot.get("runs") or []
    yield gauge("muster_intents", "Intents of the monitor that no run has satisfied yet.", [({}, len(intents))])
    yield gauge("muster_runs", "Playbook runs under way, a parked one included.", [({}, len(runs))])
    parked = snapshot.get("standby") == "parked"
    yield gauge("muster_standby_parked", "A run is ready to take intents.", [({}, parked)])
    cannot = bool(snapshot.get("no_runs"))
    yield gauge("muster_runs_impossible", "No playbook can be run, so nothing is restarted.", [({}, cannot)])
    took = sorted((snapshot.get("took") or {}).items())
    yield histogram(
        "muster_run_duration_seconds", "Of playbook runs, from the beginning of their work.", "playbook", took
    )
    answers = snapshot.get("answers")
    doc = "From a question to a bus or host service until its answer; what is not answered is not in it."
    yield histogram("muster_probe_duration_seconds", doc, "", [("", answers)] if answers else [])


def _counters(facts: Facts) -> Iterator[Metric]:
    causes = {cause: number for (event, cause), number in facts.counts.items() if event == "intent"}
    causes = {**dict.fromkeys(BUS_CAUSES, 0), **causes}
    yield counter(
        "muster_interventions",
        "Times the monitor had something restarted, stopped, moved or continued, by cause.",
        [({"cause": cause}, number) for cause, number in sorted(causes.items())],
    )
    yield counter("muster_api_refused", "Connections to the API beyond a limit.", [({}, facts.refused)])
    for name, event, doc in (
        ("muster_runs_over", "run over", "Runs that ended."),
        ("muster_runs_failed", "run failed", "Runs that could not be started, or ended badly."),
        ("muster_requests", "asked", "Requests of people and programs."),
        ("muster_errors", "error", "Defects of the monitor itself; see its log."),
    ):
        number = sum(number for (known, _unused), number in facts.counts.items() if known == event)
        yield counter(name, doc, [({}, number)])
