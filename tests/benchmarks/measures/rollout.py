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
ROLLED, AT_ONCE = "in %d batches" % BATCHES, "all at once"
BESIDE, CARRIED = ROLLED + " beside a monitor", ROLLED + ", the deploy killed in the first"
WITHIN = 600.0  # s for a rollout that the monitor carries


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
        seen: dict[str, list[Seen]] = {ROLLED: [], AT_ONCE: [], BESIDE: [], CARRIED: []}
        with laboratory(_site("0", rules), items, consoles=0) as lab:
            lab.play("deploy")
            for run in range(options.count(2, 1)):
                seen[ROLLED].append(_deploy(lab, _site("r%d" % run, rules)))
                seen[AT_ONCE].append(_deploy(lab, _site("a%d" % run, {"canary": 0, "max_parallel": "100%"})))
            lab.play("monitor")
            for run in range(options.count(2, 1)):
                lab.wait_until_ready()
                seen[BESIDE].append(_deploy(lab, _site("b%d" % run, rules)))
                lab.wait_until_ready()
                seen[CARRIED].append(_deploy(lab, _site("c%d" % run, rules), killed=True))
        for how, found in seen.items():
            _report(report, f"{items} items, {how}", found, items if how == AT_ONCE else parallel)


def _report(report: Report, what: str, found: list[Seen], parallel: int) -> None:
    most = max(one.down for one in found)
    note = f"at most {most} items down at once, {len(found[0].between) + 1} batches"
    report.add(Figure(what, [one.seconds for one in found], note=note))
    if most > parallel:
        report.fail(f"{what}: {most} items were down at once, {parallel} may be")
    between = [gap - HOLD_FOR for one in found for gap in one.between]
    if between:
        note = f"median {statistics.median(between):.2f} s"
        report.add(Figure(f"{what}, from a batch that has held to the next", between, aim=AIM_BETWEEN, note=note))


def _site(word: str, rules: dict[str, Any]) -> dict[str, Any]:
    site = dummies()
    site["muster_rollout"] = rules
    del site["muster_applications"]["scen2_hci"]  # there are no consoles
    site["muster_applications"]["scen2_srv"]["programs"]["config_manager"] = {
        "start_sequence": 3, "required": True, "command": ["dummy/idle"], "environment": {"WORD": word}}  # fmt: skip
    return site


def _deploy(lab: Lab, site: dict[str, Any], killed: bool = False) -> Seen:
    """:param killed: in its first batch, so that the monitor goes on."""
    lab.site = site
    lab.set_items(len(lab.items))
    watcher = machine.Watcher(lab.identify)
    services = [f"scen2_srv_{item}" for item in lab.items]
    play = lab.begin("deploy")
    begin = time.perf_counter()
    most, since, between = 0, 0.0, []
    while play.poll() is None or (killed and _goes_on(lab, begin)):
        watcher.look()
        running = watcher.instances()
        down = sum(not running.get(name, set()) >= DUMMY_SERVICES for name in services)
        now = time.perf_counter()
        if down and since:
            between.append(now - since)
            since = 0.0
        elif not down and most and not since:
            since = now
            if killed and play.poll() is None:
                play.kill()
                play.communicate()
        most = max(most, down)
        time.sleep(LOOKS_APART)
    seconds = time.perf_counter() - begin if killed else lab.end(play, begin).seconds
    return Seen(seconds, most, between)


def _goes_on(lab: Lab, begin: float) -> bool:
    """Whether a rollout is under way, as the monitor knows it."""
    return "rollout" in lab.watch() and time.perf_counter() - begin < WITHIN
