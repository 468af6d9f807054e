# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of hosts, buses and host services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import Metric

from .families import counter, gauge
from .monitor import Facts

MIB = 2.0**20


def families(facts: Facts) -> Iterator[Metric]:
    yield from _seen(facts)
    yield from _figures(facts)
    yield from _lines(facts.snapshot)
    yield from _buses(facts)


def _seen(facts: Facts) -> Iterator[Metric]:
    named = [({"host": host["host"]}, host) for host in facts.status["hosts"]]
    yield gauge(
        "muster_host_state",
        "1 for the state that is believed: up, suspect, down or drained.",
        [({**n, "state": h["state"]}, 1) for n, h in named],
    )
    answers = [(n, h["answer"] == "seen") for n, h in named]
    yield gauge("muster_host_answers", "It answered the last observation.", answers)
    yield gauge(
        "muster_host_observation_age_seconds",
        "Since it was observed last.",
        [(n, max(0.0, facts.now - h["at"]) if h["at"] else None) for n, h in named],
    )
    yield gauge("muster_host_instances", "Instances it holds.", [(n, len(h["instances"])) for n, h in named])
    yield gauge(
        "muster_host_left_behind", "Instances that may live on, on a host that is believed down.",
        [(n, len(h["left_behind"])) for n, h in named if h["left_behind"]],
    )  # fmt: skip
    yield gauge(
        "muster_host_foreign", "What a host runs of muster and this site does not know.",
        [(n, len(h["foreign"])) for n, h in named if h["foreign"]],
    )  # fmt: skip


def _figures(facts: Facts) -> Iterator[Metric]:
    """Of a host that answers: what was measured before it fell silent is not a figure of now."""
    named = [({"host": host["host"]}, host) for host in facts.status["hosts"]]
    loads = [(n, h["load"]) for n, h in named if h["answer"] == "seen"]
    for name, key, factor, doc in (
        ("cpu_ratio", "cpu", 0.01, "Of its processors that is used; 1 is all of them."),
        ("memory_ratio", "memory", 0.01, "Of its memory that is used."),
        ("memory_free_bytes", "free_memory", MIB, "Memory that may be used."),
        ("disk_free_bytes", "free_disk", MIB, "Free, where the instances keep their files."),
        ("cpu_waiting_ratio", "pressure_cpu", 0.01, "Of the last minute in which a program waited for a processor."),
        ("memory_waiting_ratio", "pressure_memory", 0.01, "Of the last minute in which a program waited for memory."),
        ("io_waiting_ratio", "pressure_io", 0.01, "Of the last minute in which a program waited for a disk."),
        ("uptime_seconds", "uptime", 1.0, "Since it was booted."),
        ("processors", "cpus", 1.0, "Processors that its instances may use."),
    ):
        samples = [(n, load[key] * factor if load.get(key) is not None else None) for n, load in loads]
        yield gauge("muster_host_%s" % name, doc, samples)
    for name, key in (("received", "received_total"), ("sent", "sent_total")):
        counts = [(n, load.get(key)) for n, load in loads]
        yield counter("muster_host_network_%s_bytes" % name, "By all its interfaces but the loopback.", counts)
    yield gauge(
        "muster_host_load1",
        "Load average of the last minute.",
        [(n, load["load_average"][0] if load.get("load_average") else None) for n, load in loads],
    )
    yield gauge("muster_host_reserved_ratio", "Reserved by instances.", [(n, h["reserved"] * 0.01) for n, h in named])
    yield gauge("muster_host_limit_ratio", "Of what may be reserved.", [(n, h["limit"] * 0.01) for n, h in named])


def _lines(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    lines = [({"host": name}, host) for name, host in (snapshot.get("hosts") or {}).items()]
    yield gauge(
        "muster_host_line",
        "1 for the state of the line that the monitor holds to the host.",
        [({**n, "state": str(host.get("line") or "none")}, 1) for n, host in lines],
    )


def _buses(facts: Facts) -> Iterator[Metric]:
    healthy, latency = [], []
    for name, bus in (facts.snapshot.get("buses") or {}).items():
        instance = facts.status["instances"].get(name) or {}
        labels = {"instance": name, "host": instance.get("host") or ""}
        healthy.append((labels, _healthy(bus)))
        latency.append((labels, bus["latency_ms"] / 1000 if bus.get("state") == "healthy" else None))
    yield gauge("muster_bus_healthy", "1 healthy, 0 not; absent while it is not known.", healthy)
    yield gauge("muster_bus_latency_seconds", "Of the last round trip.", latency)
    services = []
    for name, copies in (facts.snapshot.get("services") or {}).items():
        services += [({"service": name, "host": host}, _healthy(entry)) for host, entry in copies.items()]
    yield gauge("muster_service_healthy", "Host services: 1 healthy, 0 not; absent while it is not known.", services)


def _healthy(bus: Mapping[str, Any]) -> float | None:
    return {"healthy": 1.0, "unhealthy": 0.0}.get(str(bus.get("state")))
