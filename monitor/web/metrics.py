# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics that Prometheus scrapes. No clock, no I/O.

Names end in their unit; a host, instance or service is a label. Counters start at 0 with each start of the monitor. A
family without samples, and a sample whose value is not known, are left out.

Import this where metrics are asked for, not where the monitor starts: `prometheus_client` takes about 0.1 s to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from ..core.model.words import BUS_CAUSES, VERDICTS

Samples = Iterable[tuple[Mapping[str, str], float | None]]  # labels, value


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


def exposition(facts: Facts, accept: str) -> tuple[bytes, str]:
    """The page as it is sent, and its content type.

    :param accept: the request's Accept header: OpenMetrics where it asks for that, else the text format 0.0.4.
    """
    registry = CollectorRegistry()
    registry.register(_Metrics(facts))
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no number
        encode, content_type = choose_encoder("")
    return encode(registry), content_type


class _Metrics(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        facts = self._facts
        status = facts.status
        parts = (_monitor(facts), _items(status), _rollout(status), _hosts(facts), _buses(facts), _counters(facts))
        for family in (family for part in parts for family in part):
            if family.samples:
                yield family


def _gauge(name: str, doc: str, samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, doc)
    for labels, value in samples:
        if value is not None:
            family.add_sample(name, dict(labels), float(value))
    return family


def _counter(name: str, doc: str, samples: Samples) -> Metric:
    """:param name: without the suffix ``_total``, which each sample gets."""
    family = CounterMetricFamily(name, doc)
    for labels, value in samples:
        if value is not None:
            family.add_sample(name + "_total", dict(labels), float(value))
    return family


def _monitor(facts: Facts) -> Iterator[Metric]:
    snapshot = facts.snapshot
    intents, runs = snapshot.get("intents") or [], snapshot.get("runs") or []
    yield _gauge("muster_up", "The monitor answers.", [({}, 1)])
    yield _gauge("muster_loop_age_seconds", "Since the monitor's loop turned last.", [({}, facts.turned)])
    yield _gauge("muster_start_time_seconds", "When the monitor was started.", [({}, snapshot.get("since"))])
    failing = bool(snapshot.get("failing"))
    yield _gauge("muster_loop_failing", "The last turn of the monitor's loop failed; see its log.", [({}, failing)])
    yield _gauge("muster_ledger_revision", "Of the ledger.", [({}, facts.status["revision"])])
    yield _gauge("muster_watch_list_revision", "Of the watch list in use.", [({}, snapshot.get("revision"))])
    yield _gauge("muster_intents", "Intents of the monitor that no run has satisfied yet.", [({}, len(intents))])
    yield _gauge("muster_runs", "Playbook runs under way, a parked one included.", [({}, len(runs))])
    parked = snapshot.get("standby") == "parked"
    yield _gauge("muster_standby_parked", "A run is ready to take intents.", [({}, parked)])
    cannot = bool(snapshot.get("no_runs"))
    yield _gauge("muster_runs_impossible", "No playbook can be run, so nothing is restarted.", [({}, cannot)])
    stopped = bool(facts.status.get("stopped"))
    yield _gauge("muster_site_stopped", "A person has stopped the whole site.", [({}, stopped)])
    moves = len(facts.status.get("moves") or [])
    yield _gauge("muster_booked_moves", "Moves that people asked for and that are still to be done.", [({}, moves)])
    yield _gauge("muster_event_streams", "Clients that follow the events.", [({}, facts.streams)])
    yield _gauge("muster_api_connections", "Open connections to the API.", [({}, facts.connections)])


def _items(status: Mapping[str, Any]) -> Iterator[Metric]:
    verdicts = {**dict.fromkeys(VERDICTS, 0), **status["counts"]}
    yield _gauge("muster_items", "Items by verdict.", [({"verdict": v}, n) for v, n in verdicts.items()])
    phases: dict[tuple[str, str], int] = {}
    for instance in status["instances"].values():
        key = (instance["application"], instance.get("state") or instance["phase"])
        phases[key] = phases.get(key, 0) + 1
    yield _gauge(
        "muster_instances",
        "Instances by application and state.",
        [({"application": a, "state": s}, n) for (a, s), n in sorted(phases.items())],
    )
    pending: dict[str, int] = {}
    for instance in status["instances"].values():
        if instance.get("pending"):
            pending[instance["application"]] = pending.get(instance["application"], 0) + 1
    yield _gauge(
        "muster_instances_pending",
        "Instances that run with another configuration than the site describes.",
        [({"application": a}, n) for a, n in sorted(pending.items())],
    )
    yield _gauge(
        "muster_failures",
        "Failures that count against an instance's budget.",
        [({"instance": n}, i["failures"]) for n, i in status["instances"].items() if i.get("failures")],
    )


def _rollout(status: Mapping[str, Any]) -> Iterator[Metric]:
    rollout = status.get("rollout") or {}
    counts = {word: len(rollout.get(word) or ()) for word in ("reached", "waiting", "failed", "returned")}
    yield _gauge(
        "muster_rollout_instances",
        "Instances of the rollout that is under way or has stopped.",
        [({"state": word}, number) for word, number in counts.items()] if rollout else [],
    )
    stopped = rollout.get("state") == "stopped"
    yield _gauge("muster_rollout_stopped", "The rollout stopped because something failed.", [({}, stopped)])


def _hosts(facts: Facts) -> Iterator[Metric]:
    named = [({"host": host["host"]}, host) for host in facts.status["hosts"]]
    yield _gauge(
        "muster_host_state",
        "1 for the state that is believed: up, suspect, down or drained.",
        [({**n, "state": h["state"]}, 1) for n, h in named],
    )
    yield _gauge(
        "muster_host_answers", "It answered the last observation.", [(n, h["answer"] == "seen") for n, h in named]
    )
    yield _gauge(
        "muster_host_observation_age_seconds",
        "Since it was observed last.",
        [(n, max(0.0, facts.now - h["at"]) if h["at"] else None) for n, h in named],
    )
    for key in ("cpu", "memory"):
        doc = "Measured, in percent of the host."
        yield _gauge("muster_host_%s_percent" % key, doc, [(n, h["load"].get(key)) for n, h in named])
    yield _gauge("muster_host_reserved_percent", "Reserved by instances.", [(n, h["reserved"]) for n, h in named])
    yield _gauge("muster_host_limit_percent", "Of what may be reserved.", [(n, h["limit"]) for n, h in named])
    yield _gauge("muster_host_instances", "Instances it holds.", [(n, len(h["instances"])) for n, h in named])


def _buses(facts: Facts) -> Iterator[Metric]:
    healthy, latency = [], []
    for name, bus in (facts.snapshot.get("buses") or {}).items():
        instance = facts.status["instances"].get(name) or {}
        labels = {"instance": name, "host": instance.get("host") or ""}
        healthy.append((labels, _healthy(bus)))
        latency.append((labels, bus["latency_ms"] / 1000 if bus.get("state") == "healthy" else None))
    yield _gauge("muster_bus_healthy", "1 healthy, 0 not; absent while it is not known.", healthy)
    yield _gauge("muster_bus_latency_seconds", "Of the last round trip.", latency)
    services = []
    for name, copies in (facts.snapshot.get("services") or {}).items():
        services += [({"service": name, "host": host}, _healthy(entry)) for host, entry in copies.items()]
    yield _gauge("muster_service_healthy", "Host services: 1 healthy, 0 not; absent while it is not known.", services)


def _counters(facts: Facts) -> Iterator[Metric]:
    causes = {cause: number for (event, cause), number in facts.counts.items() if event == "intent"}
    causes = {**dict.fromkeys(BUS_CAUSES, 0), **causes}
    yield _counter(
        "muster_interventions",
        "Times the monitor had something restarted, stopped, moved or continued, by cause.",
        [({"cause": cause}, number) for cause, number in sorted(causes.items())],
    )
    yield _counter("muster_api_refused", "Connections to the API beyond a limit.", [({}, facts.refused)])
    for name, event, doc in (
        ("muster_runs_over", "run over", "Runs that ended."),
        ("muster_runs_failed", "run failed", "Runs that could not be started, or ended badly."),
        ("muster_requests", "asked", "Requests of people and programs."),
        ("muster_errors", "error", "Defects of the monitor itself; see its log."),
    ):
        number = sum(number for (known, _unused), number in facts.counts.items() if known == event)
        yield _counter(name, doc, [({}, number)])


def _healthy(bus: Mapping[str, Any]) -> float | None:
    return {"healthy": 1.0, "unhealthy": 0.0}.get(str(bus.get("state")))
