# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus scrapes, in its text format. Pure.

Names end in their unit; a host, instance or service is a label. Counters begin anew when the monitor does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Labels = Mapping[str, str]
VERDICTS = ("operational", "degraded", "not operational", "waiting", "stopped", "unknown")


class Page:
    """Metrics one after another, each with its head once."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, doc: str, samples: Iterable[tuple[Labels, float | None]]) -> None:
        told = [(labels, value) for labels, value in samples if value is not None]
        if not told:
            return
        self._lines += ["# HELP %s %s" % (name, doc), "# TYPE %s %s" % (name, kind)]
        for labels, value in told:
            inside = ",".join('%s="%s"' % (key, _escaped(text)) for key, text in labels.items())
            self._lines.append("%s%s %s" % (name, "{%s}" % inside if inside else "", _number(value)))

    def gauge(self, name: str, doc: str, samples: Iterable[tuple[Labels, float | None]]) -> None:
        self.add(name, "gauge", doc, samples)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def page(
    status: Mapping[str, Any],
    snapshot: Mapping[str, Any],
    counts: Mapping[tuple[str, str], int],
    *,
    now: float,
    turned: float | None,
    streams: int,
) -> str:
    """
    :param snapshot: what the monitor knows, as in ``run/monitor.json``.
    :param counts: lines of its journal by (event, cause).
    :param turned: seconds since its loop turned last.
    """
    found = Page()
    found.gauge("muster_up", "The monitor answers.", [({}, 1)])
    found.gauge("muster_loop_age_seconds", "Since the monitor's loop turned last.", [({}, turned)])
    found.gauge("muster_start_time_seconds", "When the monitor was started.", [({}, snapshot.get("since"))])
    failing = bool(snapshot.get("failing"))
    found.gauge("muster_loop_failing", "The last turn of the monitor's loop failed; see its log.", [({}, failing)])
    found.gauge("muster_ledger_revision", "Of the ledger.", [({}, status["revision"])])
    found.gauge("muster_watch_list_revision", "That the monitor follows.", [({}, snapshot.get("revision"))])
    _items(found, status)
    _hosts(found, status, now)
    _buses(found, status, snapshot)
    intents = list(snapshot.get("intents") or [])
    found.gauge("muster_intents", "What the monitor has to have done and is not done yet.", [({}, len(intents))])
    found.gauge(
        "muster_runs", "Playbook runs under way, a parked one included.", [({}, len(snapshot.get("runs") or []))]
    )
    found.gauge("muster_standby_parked", "A run is ready to take intents.", [({}, snapshot.get("standby") == "parked")])
    cannot = bool(snapshot.get("no_runs"))
    found.gauge("muster_runs_impossible", "No playbook can be run, so nothing is restarted.", [({}, cannot)])
    found.gauge("muster_event_streams", "Clients that follow the events.", [({}, streams)])
    _counters(found, counts)
    return found.text()


def _items(found: Page, status: Mapping[str, Any]) -> None:
    verdicts = dict.fromkeys(VERDICTS, 0)
    verdicts.update(status["counts"])
    found.gauge("muster_items", "Items by verdict.", [({"verdict": v}, n) for v, n in verdicts.items()])
    phases: dict[tuple[str, str], int] = {}
    for instance in status["instances"].values():
        key = (instance["application"], instance.get("state") or instance["phase"])
        phases[key] = phases.get(key, 0) + 1
    found.gauge(
        "muster_instances",
        "Instances by application and state.",
        [({"application": a, "state": s}, n) for (a, s), n in sorted(phases.items())],
    )
    found.gauge(
        "muster_failures",
        "Failures that count against an instance's budget.",
        [({"instance": n}, i["failures"]) for n, i in status["instances"].items() if i.get("failures")],
    )


def _hosts(found: Page, status: Mapping[str, Any], now: float) -> None:
    hosts = status["hosts"]
    named = [({"host": host["host"]}, host) for host in hosts]
    found.gauge(
        "muster_host_state",
        "1 for the state that is believed: up, suspect, down or drained.",
        [({"host": h["host"], "state": h["state"]}, 1) for h in hosts],
    )
    found.gauge(
        "muster_host_answers", "It answered when it was looked at last.", [(n, h["answer"] == "seen") for n, h in named]
    )
    found.gauge(
        "muster_host_observation_age_seconds",
        "Since it was looked at last.",
        [(n, max(0.0, now - h["at"]) if h["at"] else None) for n, h in named],
    )
    for key in ("cpu", "memory"):
        doc = "Measured, in percent of the host."
        found.gauge("muster_host_%s_percent" % key, doc, [(n, h["load"].get(key)) for n, h in named])
    found.gauge("muster_host_reserved_percent", "Reserved by instances.", [(n, h["reserved"]) for n, h in named])
    found.gauge("muster_host_limit_percent", "Of what may be reserved.", [(n, h["limit"]) for n, h in named])
    found.gauge("muster_host_instances", "Instances it holds.", [(n, len(h["instances"])) for n, h in named])


def _buses(found: Page, status: Mapping[str, Any], snapshot: Mapping[str, Any]) -> None:
    healthy, latency = [], []
    for name, bus in (snapshot.get("buses") or {}).items():
        instance = status["instances"].get(name) or {}
        labels = {"instance": name, "host": instance.get("host") or ""}
        healthy.append((labels, _healthy(bus)))
        latency.append((labels, bus["latency_ms"] / 1000 if bus.get("state") == "healthy" else None))
    found.gauge("muster_bus_healthy", "1 healthy, 0 not; absent while it is not known.", healthy)
    found.gauge("muster_bus_latency_seconds", "Of the last round trip.", latency)
    services = []
    for name, hosts in (snapshot.get("services") or {}).items():
        services += [({"service": name, "host": host}, _healthy(entry)) for host, entry in hosts.items()]
    found.gauge("muster_service_healthy", "Host services: 1 healthy, 0 not; absent while it is not known.", services)


def _counters(found: Page, counts: Mapping[tuple[str, str], int]) -> None:
    causes = {cause: number for (event, cause), number in counts.items() if event == "intent"}
    causes = {"bus crash": 0, "bus hang": 0, **causes}
    found.add(
        "muster_interventions_total",
        "counter",
        "Times the monitor had something restarted, stopped, moved or continued, by cause.",
        [({"cause": cause}, number) for cause, number in sorted(causes.items())],
    )
    for name, event, doc in (
        ("muster_runs_over_total", "run over", "Runs that ended."),
        ("muster_runs_failed_total", "run failed", "Runs that could not be started, or ended badly."),
        ("muster_requests_total", "asked", "Requests of people and programs."),
        ("muster_errors_total", "error", "Defects of the monitor itself; see its log."),
    ):
        number = sum(number for (known, _unused), number in counts.items() if known == event)
        found.add(name, "counter", doc, [({}, number)])


def _healthy(bus: Mapping[str, Any]) -> float | None:
    return {"healthy": 1.0, "unhealthy": 0.0}.get(str(bus.get("state")))


def _number(value: float) -> str:
    return "%d" % value if float(value).is_integer() else repr(round(float(value), 6))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
