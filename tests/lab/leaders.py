# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the leading one of three booted controllers away, again and again, and a data bus at the same moment.

Each time: seconds until the next one leads, and until the item whose bus was killed runs in full. The audit of the site
looks for instances that live twice meanwhile. Aims: 3 s until the next one acts, 4 s until the item is whole.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.controller import etcd_cluster
from tests.integration.local_site import wait_for
from tests.integration.roles.installed_controller import fetch
from tests.lab.names import missing
from tests.lab.three_controllers import Three, three_controllers

NAME = "scen2_srv_01"
FAULTS = ("power", "cable", "process")


def take_away(site: Three, leader: str, fault: str) -> None:
    if fault == "power":
        site.lab.power_cut(leader)
    elif fault == "cable":
        site.lab.switch.pull(leader)
    else:
        site.on(leader, "systemctl", "kill", "--signal=KILL", "muster-monitor")


def followed(site: Three, term: int) -> list[str]:
    """Who leads in a later term. A monitor that was killed is started again, and may be the next one itself."""
    return [name for name in site.leaders() if site.monitor(name)["lead"]["term"] > term]


def once(site: Three, fault: str) -> tuple[float, float]:
    """:return: s until another one leads, s until the item runs in full."""
    leader, epoch, bus = site.leader(), site.claims()[NAME]["epoch"], site.bus(NAME)
    term = site.monitor(leader)["lead"]["term"]
    began = time.monotonic()
    take_away(site, leader, fault)
    os.kill(bus, signal.SIGKILL)
    wait_for(lambda: followed(site, term), "the next one leads", site.logs)
    led = time.monotonic() - began
    (site.here,) = followed(site, term)
    wait_for(lambda: site.whole(NAME, after=epoch), "the item runs in full", site.logs)
    whole = time.monotonic() - began
    site.lab.switch.heal(leader)
    site.lab.boot(leader)
    site.settled()
    forgotten = site.asked_at(site.here, "reset", NAME)  # or its budget of restarts would be used up
    assert forgotten.rc == 0, forgotten.output
    return led, whole


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.leaders", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="how often, one kind of fault after the other")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="only this kind; again: this one, too")
    options = parser.parse_args()
    why = missing() or ("" if etcd_cluster.ETCD else "etcd is not installed") or fetch()
    if why:
        print(why, file=sys.stderr)
        return 2
    values: dict[str, list[tuple[float, float]]] = {fault: [] for fault in options.fault or FAULTS}
    with tempfile.TemporaryDirectory() as folder, three_controllers(Path(folder)) as site:
        site.settled()
        for number in range(options.times):
            fault = list(values)[number % len(values)]
            led, whole = once(site, fault)
            values[fault].append((led, whole))
            print(f"{fault:8} leads after {led:.2f} s, whole after {whole:.2f} s,"
                  f" load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        print(f"the audit saw {len(site.watch.violations)} samples of {site.watch.samples} with an instance twice")
        twice = bool(site.watch.violations)
    for fault, pairs in values.items():
        for what, seconds in zip(("until the next one leads", "until the item is whole"), zip(*pairs)):
            print(f"{fault:8} {what}: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s,"
                  f" {len(seconds)} times")  # fmt: skip
    return int(twice)


if __name__ == "__main__":
    sys.exit(main())
