# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of a large batch on a large fleet: processor time, and how it grows."""

from __future__ import annotations

import math
import random
import time

from monitor.core.place import loads as place_loads
from monitor.core.place import place
from monitor.core.place.pending import Pending
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.options import Options

SIZES = (1250, 2500, 5000, 10000)
PER_HOST = 20
AIM = 1.0  # s
AIM_GROWTH = 2.0  # times n log n


def batch(items: int) -> tuple[list[Pending], list[place_loads.HostLoad]]:
    """Items of unequal loads, and hosts of which some are busy: about half of the capacity gets used."""
    hosts = [place_loads.HostLoad(f"server_{n}", f"server_{n}", n, used=n % 7, reserved=n % 7, foreign=10.0 * (n % 4))
             for n in range(items // PER_HOST)]
    names = tuple(host.host for host in hosts)
    pending = [Pending(f"scen2_srv_{n}", 1 + n % 4, names, "less_loaded", 1, n) for n in range(items)]
    return pending, hosts


def gap(items: int, hosts: int, seed: int) -> float:
    """Percent by which the highest peak of random loads on equal hosts lies above a bound that none can be below."""
    rolled = random.Random(seed)
    loads = [rolled.randint(5, 45) for _item in range(items)]
    fleet = [place_loads.HostLoad(f"server_{n}", f"server_{n}", n, limit=100 * items) for n in range(hosts)]
    names = tuple(host.host for host in fleet)
    pending = [Pending(f"scen2_srv_{n}", load, names, "less_loaded", 1, n) for n, load in enumerate(loads)]
    wanted = {one.name: one.load for one in pending}
    peaks = dict.fromkeys(names, 0)
    for name, host in place.place(pending, fleet).items():
        peaks[str(host)] += wanted[name]
    return 100 * (max(peaks.values()) / max(sum(loads) / hosts, *loads) - 1)


def measure(options: Options, report: Report) -> None:
    """Placement of 10,000 items on 500 hosts, and how near the best it is"""
    times = {}
    for items in options.sizes(SIZES, (250, 500)):
        pending, hosts = batch(items)
        values = []
        for _run in range(options.count(5, 2)):
            begin = time.process_time()
            placed = place.place(pending, hosts)
            values.append(time.process_time() - begin)
        if any(host is None for host in placed.values()):
            report.fail(f"placement left some of {items} items without a host, although there is room for all")
        times[items] = min(values)
        report.add(Figure(f"place {items} items on {len(hosts)} hosts (processor time)", values,
                          aim=AIM if items == SIZES[-1] else None))
    few, many = min(times), max(times)
    expected = many * math.log(many) / (few * math.log(few))
    growth = times[many] / times[few] / expected
    report.add(Figure(f"growth from {few} to {many} items, beside n log n", [growth], "times",
                      aim=AIM_GROWTH if many == SIZES[-1] else None, note=f"n log n is {expected:.1f} times as long"))
    for items, hosts in ((12, 4), (60, 8), (1000, 50)):
        gaps = [gap(items, hosts, seed) for seed in range(options.count(20, 3))]
        report.add(Figure(f"highest peak above a lower bound, {items} items on {hosts} hosts", gaps, "%",
                          note="the best there is, by search" if items == 12 else ""))
