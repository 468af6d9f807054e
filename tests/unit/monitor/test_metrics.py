# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics, read back with the parsers of `prometheus_client` and compared with the document that they come from."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from monitor.base.histogram import Histogram
from monitor.core.model.words import VERDICTS
from monitor.web.metrics.exposition import exposition
from monitor.web.metrics.monitor import Facts
from tests.unit.report.test_status import NOW, document, monitor, seen, two_running

ROOT = Path(__file__).resolve().parents[3]
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# As Prometheus asks.
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
BUSES = {
    "scen2_srv_01": {"epoch": 4, "state": "healthy", "latency_ms": 1.5},
    "scen2_srv_02": {"epoch": 7, "state": "unhealthy", "latency_ms": 9.0},
    "scen2_srv_03": {"epoch": 1, "state": "unknown", "latency_ms": 0.0},
}
SERVICES = {"common_data_bus": {"server_1": {"state": "healthy"}, "server_2": {"state": "unknown"}}}
COUNTS = {
    ("intent", "bus crash"): 3,
    ("intent", "host down"): 1,
    ("run over", ""): 4,
    ("error", ""): 2,
    ("health", "bus crash"): 9,
}
NODE = {"cpu": 5.0, "memory": 7.0, "load_average": [0.1, 0.1, 0.1], "cpus": 2, "free_memory": 9000, "free_disk": 9000,
        "received_total": 900, "sent_total": 90, "uptime": 60, "pressure_cpu": 2.0,
        "pressure_memory": 0.0, "pressure_io": 1.5}  # fmt: skip
PARSERS: dict[str, Callable[[str], Iterable[Metric]]] = {
    "": parser.text_string_to_metric_families,
    PROMETHEUS: openmetrics_parser.text_string_to_metric_families,
}


def histogram(*seconds: float) -> dict[str, Any]:
    found = Histogram((0.001, 0.1, 1.0))
    for value in seconds:
        found.note(value)
    return found.to_json()


def facts(**more: Any) -> Facts:
    snapshot = monitor(
        buses=BUSES, services=SERVICES, intents=[{"id": "a-1"}], runs=["a", "b"], standby="parked", since=NOW - 60,
        took={"reconcile": histogram(0.5, 3.0)}, answers=histogram(0.0005, 0.001, 0.05),
        hosts={"server_1": {"state": "up", "line": "held"}},
    )
    state = two_running()
    state["claims"]["scen2_srv_01"].update(failures=[[NOW - 5.0, "server_1", "bus crash"]], since=NOW - 1)
    status = document(
        state, seen("server_1", ("scen2_srv_01", 4), load=NODE), seen("server_2", ("scen2_srv_02", 7)), monitor=snapshot
    )
    values: dict[str, Any] = {"status": status, "snapshot": snapshot, "counts": COUNTS, "now": NOW, "turned": 0.25,
                              "streams": 2, "connections": 3, "refused": 4, **more}  # fmt: skip
    return Facts(**values)


def samples(body: bytes, accept: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, labels) -> value."""
    found = {}
    for family in PARSERS[accept](body.decode()):
        assert family.documentation and family.type in ("gauge", "counter", "histogram"), family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, "%s is there twice" % (key,)
            found[key] = sample.value
    return found


def of(read: dict[Any, float], name: str, *labels: str) -> dict[Any, float]:
    """The samples of one name by the values of these labels."""
    found = {}
    for (known, pairs), value in read.items():
        if known == name:
            assert {key for key, _unused in pairs} == set(labels)
            key = tuple(dict(pairs)[label] for label in labels)
            found[key[0] if len(key) == 1 else key] = value
    return found


@pytest.mark.parametrize("accept", PARSERS)
def test_parsed_metrics_equal_the_status_document(accept: str) -> None:
    given = facts()
    read = samples(exposition(given, accept)[0], accept)
    status = given.status
    hosts = {host["host"]: host for host in status["hosts"]}
    assert of(read, "muster_items", "verdict") == {v: status["counts"].get(v, 0) for v in VERDICTS}
    assert sum(of(read, "muster_instances", "application", "state").values()) == len(status["instances"])
    assert of(read, "muster_failures", "instance") == {"scen2_srv_01": 1}
    assert of(read, "muster_ledger_revision") == {(): status["revision"]}
    assert of(read, "muster_host_state", "host", "state") == {(n, h["state"]): 1 for n, h in hosts.items()}
    assert of(read, "muster_host_answers", "host") == {n: h["answer"] == "seen" for n, h in hosts.items()}
    for name in ("reserved", "limit"):
        shares = {n: h[name] / 100 for n, h in hosts.items()}
        assert of(read, "muster_host_%s_ratio" % name, "host") == pytest.approx(shares)
    assert of(read, "muster_host_instances", "host") == {n: len(h["instances"]) for n, h in hosts.items()}
    for key in ("cpu", "memory"):
        loads = {name: host["load"][key] / 100 for name, host in hosts.items() if host["load"].get(key) is not None}
        assert loads and of(read, "muster_host_%s_ratio" % key, "host") == pytest.approx(loads)
    free = {name: host["load"]["free_memory"] * 2**20 for name, host in hosts.items() if host["load"]}
    assert of(read, "muster_host_memory_free_bytes", "host") == free
    assert of(read, "muster_item_verdict", "item", "verdict") == {(i["item"], i["verdict"]): 1 for i in status["items"]}
    losses = status["readiness"]["hosts"]
    assert of(read, "muster_host_loss_moves", "host") == {name: loss["moves"] for name, loss in losses.items()}
    assert of(read, "muster_host_loss_unplaced", "host") == dict.fromkeys(losses, 0)
    ages = {name: NOW - host["at"] for name, host in hosts.items() if host["at"]}
    assert of(read, "muster_host_observation_age_seconds", "host") == pytest.approx(ages)


def test_a_conflict_that_is_over_is_none() -> None:
    given = facts()
    for open_, count in ((True, 1), (False, 0)):
        status = {**given.status, "conflicts": [{"id": "conflict:x", "open": open_}]}
        read = samples(exposition(dataclasses.replace(given, status=status), "")[0], "")
        assert of(read, "muster_conflicts") == {(): count}


@pytest.mark.parametrize("accept", PARSERS)
def test_parsed_metrics_equal_the_monitors_data(accept: str) -> None:
    read = samples(exposition(facts(), accept)[0], accept)
    alone = {name: value for (name, labels), value in read.items() if not labels}
    assert alone == {
        "muster_up": 1, "muster_loop_age_seconds": 0.25, "muster_start_time_seconds": NOW - 60,
        "muster_leads": 1, "muster_controllers": 1,
        "muster_loop_failing": 0, "muster_site_stopped": 0, "muster_booked_moves": 0, "muster_runs_impossible": 0,
        "muster_rollout_stopped": 0, "muster_hold": 0, "muster_conflicts": 0, "muster_drift": 0, "muster_pauses": 0,
        "muster_exclusion": 0, "muster_survives_loss": 1, "muster_probe_duration_seconds_count": 3,
        "muster_probe_duration_seconds_sum": 0.0515,
        "muster_ledger_revision": 17, "muster_watch_list_revision": 17, "muster_intents": 1,
        "muster_runs": 2, "muster_standby_parked": 1, "muster_event_streams": 2, "muster_runs_over_total": 4,
        "muster_runs_failed_total": 0, "muster_requests_total": 0, "muster_errors_total": 2,
        "muster_api_connections": 3, "muster_api_refused_total": 4,
    }  # fmt: skip
    assert of(read, "muster_bus_healthy", "instance", "host") == {
        ("scen2_srv_01", "server_1"): 1, ("scen2_srv_02", "server_2"): 0,
    }  # fmt: skip
    assert of(read, "muster_bus_latency_seconds", "instance", "host") == {("scen2_srv_01", "server_1"): 0.0015}
    assert of(read, "muster_service_healthy", "service", "host") == {("common_data_bus", "server_1"): 1}
    assert of(read, "muster_host_line", "host", "state") == {("server_1", "held"): 1}
    buckets = {"0.001": 2, "0.1": 3, "1.0": 3, "+Inf": 3}
    assert of(read, "muster_probe_duration_seconds_bucket", "le") == buckets
    of_runs = of(read, "muster_run_duration_seconds_bucket", "playbook", "le")
    assert of_runs == {("reconcile", le): n for le, n in (("0.001", 0), ("0.1", 0), ("1.0", 1), ("+Inf", 2))}
    causes = {"bus crash": 3, "bus hang": 0, "host down": 1}
    assert of(read, "muster_interventions_total", "cause") == causes


@pytest.mark.parametrize("accept", PARSERS)
@pytest.mark.parametrize(
    ("lead", "leads", "leader", "count"),
    [
        ({"leads": True, "leader": "controller_1", "beside": ["controller_2", "controller_3"]}, 1, "controller_1", 3),
        ({"leads": False, "leader": "controller_1", "beside": ["controller_2"]}, 0, "controller_1", 2),
        ({"leads": False, "leader": "", "beside": []}, 0, "", 0),
    ],
)
def test_who_leads_of_how_many(accept: str, lead: dict[str, Any], leads: int, leader: str, count: int) -> None:
    given = facts()
    given = dataclasses.replace(given, snapshot={**given.snapshot, "lead": lead})
    read = samples(exposition(given, accept)[0], accept)
    assert of(read, "muster_leads") == {(): leads} and of(read, "muster_controllers") == {(): count}
    assert of(read, "muster_leader", "controller") == ({leader: 1} if leader else {})


def test_labels_survive_with_every_character() -> None:
    name = 'a "b" \\ c\nd'
    given = facts()
    given.status["hosts"][0]["host"] = name
    for accept in PARSERS:
        read = samples(exposition(given, accept)[0], accept)
        assert name in of(read, "muster_host_limit_ratio", "host")


def test_unknown_values_are_left_out() -> None:
    given = facts(snapshot={}, turned=None)
    for accept in PARSERS:
        given.status["hosts"][0]["answer"] = "no answer"
        read = samples(exposition(given, accept)[0], accept)
        names = {name for name, _unused in read}
        absent = {"muster_loop_age_seconds", "muster_start_time_seconds", "muster_bus_healthy"}
        assert absent.isdisjoint(names) and {"muster_up", "muster_items"} <= names
        # What was measured before a host fell silent is no figure of now.
        assert set(of(read, "muster_host_cpu_ratio", "host")) == {"server_2"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT), ("*/*", TEXT), ("text/html,application/xhtml+xml", TEXT), ("text/plain;version=0.0.4", TEXT),
        (PROMETHEUS, OPENMETRICS), ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=new", TEXT),
    ],
)  # fmt: skip
def test_the_accept_header_chooses_the_format(accept: str, expected: str) -> None:
    body, content_type = exposition(facts(), accept)
    assert content_type.startswith(expected)
    assert body.endswith(b"# EOF\n") == (expected == OPENMETRICS)


def test_the_monitor_starts_without_the_library() -> None:
    code = "import sys, monitor.__main__, monitor.web.server; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr
