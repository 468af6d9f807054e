# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of many items: number of tasks, first run, and a second run with nothing to do."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import laboratory, scen2
from tests.benchmarks.options import Options

FEW, MANY = 10, 1000
AIM_FIRST = 5.0  # s, the whole command, 1,000 items on one host
AIM_TIMES = 8.3  # times an empty playbook, for the same: 5 s where that takes 0.6 s
AIM_AGAIN = 2.0  # times the run with 10 items


def _configured_only(consoles: bool) -> dict[str, Any]:
    """The real scen2, whose services are configured but not started: a thousand would not run on one machine."""
    site = scen2()
    site["muster_applications"]["scen2_srv"]["start_sequence"] = 0
    if not consoles:
        del site["muster_applications"]["scen2_hci"]
    return site


def measure(options: Options, report: Report) -> None:
    """Configuration of 10 to 1,000 items"""
    few, many = options.sizes((FEW, MANY), (3, 30))
    _one_host(options, report, many)
    _six_hosts(options, report, few, many)


def _one_host(options: Options, report: Report, many: int) -> None:
    fresh, added, times = [], [], []
    for _run in range(options.count(3, 1)):
        with laboratory(_configured_only(consoles=False), many, servers=1, consoles=0) as lab:
            bare = lab.bare()
            fresh.append(lab.play("deploy").seconds)
            times.append(2 * fresh[-1] / (bare + lab.bare()))  # the machine may be slower by now
        with laboratory(_configured_only(consoles=False), 1, servers=1, consoles=0) as lab:
            lab.play("deploy")
            lab.set_items(many)
            added.append(lab.play("deploy").seconds)
            files = sum(path.is_file() for path in (lab.folder / "hosts" / "server_1" / "etc" / "available").rglob("*"))
    report.add(Figure(f"first configuration of {many} items, one bare host", fresh,
                      aim=AIM_FIRST if many == MANY else None, note="agent, programs and service manager included"))
    report.add(Figure("the same as a multiple of an empty playbook", times, "times",
                      aim=AIM_TIMES if many == MANY else None))
    report.add(Figure(f"first configuration of {many} items, one host prepared before", added,
                      aim=AIM_FIRST if many == MANY else None, note=f"{files} files"))


def _six_hosts(options: Options, report: Report, few: int, many: int) -> None:
    tasks, again = {}, {}
    for items in (few, many):
        with laboratory(_configured_only(consoles=True), items) as lab:
            first = lab.play("deploy")
            runs = [lab.play("deploy") for _run in range(options.count(5, 2))]
        tasks[items] = first.tasks
        again[items] = [run.seconds for run in runs]
        report.add(Figure(f"deploy of {items} items on six bare hosts", [first.seconds], note=f"{first.tasks} tasks"))
        report.add(Figure(f"second run, {items} items on six hosts, nothing to do", again[items]))
        if any(run.changed for run in runs):
            report.fail(f"the second run with {items} items reported changes")
    ratios = [one / other for one, other in zip(sorted(again[many]), sorted(again[few]), strict=True)]
    report.add(Figure(f"second run, {many} items beside {few} items", ratios, "times", AIM_AGAIN))
    if tasks[few] != tasks[many]:
        report.fail(f"the number of tasks grew with the items: {tasks[few]} for {few}, {tasks[many]} for {many}")
    else:
        report.say(f"   tasks: {tasks[few]} with {few} items and with {many}")
