# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status document of a large site: processor time, of it N-1, and its size."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from monitor.core.model.site import Host, Site
from monitor.core.report import readiness, status
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.options import Options
from tests.small_site import quiet_host, running, small_site, small_state

SIZES = (1000, 10000)
PER_HOST = 10
AIM = 1.0  # s, each
NOW = 1_700_000_000.0
WANTED = {"state": "started", "host": None, "by": "muster", "why": "first seen", "at": 0.0}


def large_site(items: int) -> tuple[Site, dict[str, Any], dict[str, Any]]:
    """A service per item, spread evenly over hosts with room for a fourth more: (site, ledger, observations)."""
    names = tuple(f"server_{number}" for number in range(items // PER_HOST))
    site = small_site(items=items)
    need = sum(application.loading for application in site.applications if not application.on_request)
    hosts = tuple(Host(name, n, name, f"10.{n // 250}.{n % 250}.1", "/nowhere/hosts/" + name, ("servers",),
                       load_limit=need * PER_HOST * 5 // 4) for n, name in enumerate(names))
    applications = tuple(replace(a, identifiers=() if a.on_request else names) for a in site.applications)
    site = replace(site, hosts=hosts, applications=applications)
    claims, seen = {}, {name: quiet_host(name) for name in names}
    for name, instance in site.by_name().items():
        if instance.application.on_request:
            continue
        host = names[instance.item.slot % len(names)]
        claims[name] = running(host)
        programs: dict[str, Any] = {p.name: {} for p in instance.application.programs if p.start_sequence}
        seen[host]["instances"][name] = {
            "epochs": [1], "claim": 1, "last_epoch": 1, "digest": "d", "programs": programs, "cpu": 1.0,
        }  # fmt: skip
    records = {name: {"state": "up", "incarnation": "boot/1"} for name in names}
    return site, small_state(claims=claims, wanted=dict.fromkeys(claims, WANTED), hosts=records), seen


def _seconds(work: Callable[[], Any], count: int) -> list[float]:
    values = []
    for _run in range(count):
        begin = time.process_time()
        work()
        values.append(time.process_time() - begin)
    return values


def measure(options: Options, report: Report) -> None:
    """The status document and N-1 of 10,000 items on 1,000 hosts"""
    for items in options.sizes(SIZES, (200, 400)):
        site, state, seen = large_site(items)
        if not readiness.readiness(site, state, seen, NOW)["ready"]:
            report.fail(f"the loss of one of {len(site.hosts)} hosts could not be made up for, although there is room")
        aim = AIM if items == SIZES[-1] else None
        count = options.count(5, 2)
        about = f"{items} items on {len(site.hosts)} hosts (processor time)"
        report.add(Figure(f"N-1, {about}", _seconds(lambda: readiness.readiness(site, state, seen, NOW), count),  # noqa: B023
                          aim=aim))
        made = lambda: status.status_document(site, state, 1, seen, {}, NOW)  # noqa: B023, E731
        report.add(Figure(f"status document, {about}", _seconds(made, count), aim=aim,
                          note=f"{len(json.dumps(made(), separators=(',', ':'))) / 1e6:.1f} MB"))
