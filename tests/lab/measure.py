# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times on the lab: `python -m tests.lab.measure [--items 3] [--times 3]`, on a machine that has nothing else to do.

A power cut and a bus crash until everything runs again; a pulled cable, and for how long an instance ran on both sides
of it (exclusion under partition is not promised). What runs is sampled from outside, not asked of muster.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import time
from collections.abc import Callable

from tests.integration.site_lab import wait_for
from tests.lab.hosts import lab
from tests.lab.site import LabSite, deployed

PROGRAMS = 5  # of a service instance that runs in full


def instances(site: LabSite) -> list[str]:
    return sorted(name for name in site.claims() if name.startswith("scen2_srv_"))


def everywhere(site: LabSite) -> dict[str, dict[tuple[str, int], set[str]]]:
    """instance -> (host, epoch) -> programs that live there."""
    found: dict[str, dict[tuple[str, int], set[str]]] = {}
    for process in site.processes():
        if process.epoch:
            copies = found.setdefault(process.instance, {})
            copies.setdefault((process.host, process.epoch), set()).add(process.program)
    return found


def whole(site: LabSite, name: str, after: int) -> bool:
    """Whether a copy of a later epoch runs in full."""
    copies = everywhere(site).get(name, {})
    return any(epoch > after and len(programs) == PROGRAMS for (_host, epoch), programs in copies.items())


def settle(site: LabSite) -> None:
    site.lab.switch.heal()
    for host in site.lab.names.managed:
        site.lab.boot(host)
    site.good("reconcile")  # a host that came back is observed anew before it counts again
    wait_for(lambda: len(instances(site)) == len(site.status()["items"]), "every instance is claimed",
             site.monitor_log, 120)  # fmt: skip
    wait_for(lambda: all(claim["phase"] == "running" for claim in site.claims().values()), "all run",
             site.monitor_log, 120)  # fmt: skip
    wait_for(lambda: all(host["state"] == "up" for host in site.status()["hosts"]), "all up", site.monitor_log, 120)
    wait_for(lambda: '"standby": "parked"' in _spaced(site), "a parked run", site.monitor_log, 120)
    time.sleep(2)  # it is the machine, not muster, that needs a rest


def _spaced(site: LabSite) -> str:
    return (site.state / "run" / "monitor.json").read_text().replace('":"', '": "')


def until_again(site: LabSite, names: list[str], fault: Callable[[], None]) -> float:
    """Seconds from a fault until all of these run in full again."""
    before = {name: site.claims()[name]["epoch"] for name in names}
    began = time.monotonic()
    fault()
    wait_for(lambda: all(whole(site, name, before[name]) for name in names), "they run again", site.monitor_log, 120)
    return time.monotonic() - began


def overlap(site: LabSite, home: str, way: str) -> tuple[float, float]:
    """Pull the cable of a host that holds something; seconds until it runs elsewhere, and during which both ran."""
    name = next(name for name in instances(site) if site.claims()[name]["host"] == home)
    epoch = site.claims()[name]["epoch"]
    began = time.monotonic()
    site.lab.switch.pull(home, way)
    moved = twice = healed = 0.0
    last = began
    while time.monotonic() - began < 120:
        copies = everywhere(site).get(name, {})
        now = time.monotonic()
        if len({host for host, _epoch in copies}) > 1:
            twice += now - last
        last = now
        if not moved and any(later > epoch and len(found) == PROGRAMS for (_h, later), found in copies.items()):
            moved = now - began
        if moved and not healed and now - began > moved + 5:  # as if somebody had noticed the plug
            site.lab.switch.heal(home)
            healed = now
        if healed and len({host for host, _epoch in copies}) == 1:
            break
        time.sleep(0.02)
    return moved, twice


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.lab.measure", description=__doc__)
    parser.add_argument("--items", type=int, default=3)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--service-manager", default="supervisor", choices=["supervisor", "systemd"])
    options = parser.parse_args()
    items = ["%02d" % number for number in range(1, options.items + 1)]
    began = time.monotonic()
    with lab() as made:
        print(f"lab up: {time.monotonic() - began:.1f} s", flush=True)
        began = time.monotonic()
        with deployed(made, service_manager=options.service_manager, muster_items=items) as site:
            print(f"deploy of {len(items)} items, from nothing: {time.monotonic() - began:.1f} s", flush=True)
            began = time.monotonic()
            site.good("deploy")
            print(f"deploy, nothing to do: {time.monotonic() - began:.1f} s", flush=True)
            site.start_monitor()
            _faults(site, options.times)
            site.watch.violations.clear()  # the partitions' own, told above


def _faults(site: LabSite, times: int) -> None:
    crashes, cuts = [], []
    for _unused in range(times):
        settle(site)
        name = instances(site)[0]
        crashes.append(until_again(site, [name], lambda: os.kill(site.bus(name), signal.SIGKILL)))  # noqa: B023
    print(f"bus crash until all runs: {statistics.median(crashes):.2f} s {[round(x, 2) for x in crashes]}", flush=True)
    for _unused in range(times):
        settle(site)
        home = site.claims()[instances(site)[0]]["host"]
        names = [name for name in instances(site) if site.claims()[name]["host"] == home]
        cuts.append(until_again(site, names, lambda: site.lab.power_cut(home)))  # noqa: B023
    print(f"power cut until all runs: {statistics.median(cuts):.2f} s {[round(x, 2) for x in cuts]}", flush=True)
    for way in ("both", "in", "out"):
        settle(site)
        moved, twice = overlap(site, site.claims()[instances(site)[0]]["host"], way)
        said = f"runs elsewhere after {moved:.2f} s; healed 5 s later; ran twice for {twice:.2f} s"
        print(f"cable pulled ({way}): {said}", flush=True)


if __name__ == "__main__":
    main()
