# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deploy that changes one template of all items: in batches, and all at once; seen in /proc."""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

from tests.benchmarks import machine
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import DUMMY_SERVICES, Lab, dummies, laboratory
from tests.benchmarks.options import Options

SIZES = (100,)
HOLD_FOR = 1.0  # s
AIM_BETWEEN = 0.5  # s from a batch that has held to the first stop of the next one
LOOKS_APART = 0.02  # s
BATCHES = 5


class Seen(NamedTuple):
    """Of one deploy."""

    seconds: float
    down: int  # instances at once, at most
    between: list[float]  # s for which all ran between two batches


def measure(options: Options, report: Report) -> None:
    """A deploy that changes one template: in batches, and all at once"""
    for items in options.sizes(SIZES, (9,)):
        parallel = -(-items // BATCHES)
        rules = {"canary": 0, "max_parallel": parallel, "hold_for": HOLD_FOR}
        rolled, at_once = [], []
        with laboratory(_site("0", rules), items, consoles=0) as lab:
            lab.play("deploy")
            for run in range(options.count(2, 1)):
                rolled.append(_deploy(lab, _site("r%d" % run, rules)))
                at_once.append(_deploy(lab, _site("a%d" % run, {"canary": 0, "max_parallel": "100%"})))
        for how, seen in (("in %d batches" % BATCHES, rolled), ("all at once", at_once)):
            most = max(one.down for one in seen)
            note = f"at most {most} of {items} items down at once"
            report.add(Figure(f"{items} items, {how}", [one.seconds for one in seen], note=note))
            if how != "all at once" and most > parallel:
                report.fail(f"{most} items were down at once, {parallel} may be")
        between = [gap - HOLD_FOR for one in rolled for gap in one.between]
        if between:
            report.add(Figure(f"{items} items, from a batch that has held to the next", between, aim=AIM_BETWEEN,
                              note=f"median {statistics.median(between):.2f} s"))


def _site(word: str, rules: dict[str, Any]) -> dict[str, Any]:
    site = dummies()
    site["muster_rollout"] = rules
    del site["muster_applications"]["scen2_hci"]  # there are no consoles
    site["muster_applications"]["scen2_srv"]["programs"]["config_manager"] = {
        "start_sequence": 3, "required": True, "command": ["dummy/idle"], "environment": {"WORD": word}}  # fmt: skip
    return site


def _deploy(lab: Lab, site: dict[str, Any]) -> Seen:
    lab.site = site
    lab.set_items(len(lab.items))
    watcher = machine.Watcher(lab.identify)
    services = [f"scen2_srv_{item}" for item in lab.items]
    play = lab.begin("deploy")
    begin = time.perf_counter()
    most, since, between = 0, 0.0, []
    while play.poll() is None:
        watcher.look()
        running = watcher.instances()
        down = sum(not running.get(name, set()) >= DUMMY_SERVICES for name in services)
        now = time.perf_counter()
        if down and since:
            between.append(now - since)
            since = 0.0
        elif not down and most and not since:
            since = now
        most = max(most, down)
        time.sleep(LOOKS_APART)
    return Seen(lab.end(play, begin).seconds, most, between)
