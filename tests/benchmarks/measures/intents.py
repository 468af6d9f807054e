# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon a run is at work on the host: from the monitor's intent to the first line of our code there."""

from __future__ import annotations

import os
import random
import signal
import time

from tests.benchmarks import journal, machine
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import BUS, DUMMY_SERVICES, Lab, dummies, laboratory
from tests.benchmarks.options import Options

ITEMS = 3  # in turn, so that none exhausts its budget
COUNT = 100


def measure(options: Options, report: Report) -> None:
    """From the monitor's intent to code on the host, with a run parked"""
    values = []
    count = options.count(COUNT, 5)
    with laboratory(dummies(), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        watcher = machine.Watcher(lab.identify)
        for number in range(count):
            seconds = _once(lab, watcher, f"scen2_srv_{lab.items[number % ITEMS]}")
            if seconds is not None:
                values.append(seconds)
    if len(values) < count:
        report.fail(f"of {count} intents only {len(values)} can be followed in journal and artefacts")
    if values:
        report.add(Figure("intent -> code on the host", values, note="bus killed, run parked; hosts on this machine"))


def _once(lab: Lab, watcher: machine.Watcher, instance: str) -> float | None:
    """A bus is killed, at any phase of the probes; seconds from the intent about it to the code on its host."""
    watcher.wait_for({instance: DUMMY_SERVICES}, 60)
    lab.forget_crashes(instance)
    lab.wait_until_ready()
    time.sleep(random.uniform(0, 0.5))
    watcher.look()
    pid = watcher.of(instance)[BUS].pid
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    watcher.wait_for_another(instance, BUS, pid, 60)
    lab.wait_until_ready()
    return journal.intent_to_code(lab.journal(at), lab.state / "artifacts", instance)
