# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of items, instances, and what people should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import Metric

from ...core.model.words import VERDICTS
from .families import gauge
from .monitor import Facts


def families(facts: Facts) -> Iterator[Metric]:
    status = facts.status
    yield from _items(status)
    yield from _instances(status)
    yield from _attention(status)
    yield from _rollout(status)
    yield from _readiness(status["readiness"])


def _items(status: Mapping[str, Any]) -> Iterator[Metric]:
    verdicts = {**dict.fromkeys(VERDICTS, 0), **status["counts"]}
    yield gauge("muster_items", "Items by verdict.", [({"verdict": v}, n) for v, n in verdicts.items()])
    yield gauge(
        "muster_item_verdict",
        "1 for the verdict that the item has now.",
        [({"item": item["item"], "verdict": item["verdict"]}, 1) for item in status["items"]],
    )


def _instances(status: Mapping[str, Any]) -> Iterator[Metric]:
    named = status["instances"].items()
    states = Counter((i["application"], i.get("state") or i["phase"]) for _unused, i in named)
    yield gauge(
        "muster_instances",
        "Instances by application and state.",
        [({"application": a, "state": s}, n) for (a, s), n in sorted(states.items())],
    )
    pending = Counter(i["application"] for _unused, i in named if i.get("pending"))
    yield gauge(
        "muster_instances_pending",
        "Instances that run with another configuration than the site describes.",
        [({"application": a}, n) for a, n in sorted(pending.items())],
    )
    yield gauge(
        "muster_failures",
        "Failures that count against an instance's budget.",
        [({"instance": n}, i["failures"]) for n, i in named if i.get("failures")],
    )
    yield gauge(
        "muster_quarantined_hosts",
        "Hosts where an instance failed, which it avoids.",
        [({"instance": n}, len(i["failed"])) for n, i in named if i.get("failed")],
    )
    yield gauge(
        "muster_programs_missing",
        "Programs of an instance that should run and do not.",
        [({"instance": n}, len(i["missing"])) for n, i in named if i.get("missing")],
    )


def _attention(status: Mapping[str, Any]) -> Iterator[Metric]:
    stopped = bool(status.get("stopped"))
    yield gauge("muster_site_stopped", "A person has stopped the whole site.", [({}, stopped)])
    conflicts = sum(1 for conflict in status.get("conflicts") or () if conflict["open"])
    yield gauge("muster_conflicts", "Instances that run in more than one place.", [({}, conflicts)])
    for name, key, doc in (
        ("muster_booked_moves", "moves", "Moves that people asked for and that are still to be done."),
        ("muster_drift", "drift", "Differences between the ledger and the hosts that nothing explains."),
        ("muster_pauses", "pauses", "Items and the like whose supervision a person has paused."),
    ):
        yield gauge(name, doc, [({}, len(status.get(key) or ()))])
    exclusion = status.get("exclusion") or {}
    excluded = exclusion.get("kind", "none") != "none"
    yield gauge("muster_exclusion", "Leases with witnesses exclude second copies under a cut.", [({}, excluded)])


def _rollout(status: Mapping[str, Any]) -> Iterator[Metric]:
    rollout = status.get("rollout") or {}
    counts = {word: len(rollout.get(word) or ()) for word in ("reached", "waiting", "failed", "returned")}
    yield gauge(
        "muster_rollout_instances",
        "Instances of the rollout that is under way or has stopped.",
        [({"state": word}, number) for word, number in counts.items()] if rollout else [],
    )
    stopped = rollout.get("state") == "stopped"
    yield gauge("muster_rollout_stopped", "The rollout stopped because something failed.", [({}, stopped)])


def _readiness(readiness: Mapping[str, Any]) -> Iterator[Metric]:
    doc = "Any one host can be lost without an instance that finds no host."
    yield gauge("muster_survives_loss", doc, [({}, readiness["ready"])])
    hosts = readiness["hosts"].items()
    yield gauge(
        "muster_host_loss_moves",
        "Instances that would move if the host were lost.",
        [({"host": name}, loss["moves"]) for name, loss in hosts],
    )
    yield gauge(
        "muster_host_loss_unplaced",
        "Instances that would find no host if the host were lost.",
        [({"host": name}, len(loss["without_place"])) for name, loss in hosts],
    )
