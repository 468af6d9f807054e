# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures muster on the lab: six hosts with systemd and sshd, reached over ssh, run by each service manager in turn.

Deploy; what a host costs at idle; a bus killed until all of its instance runs again, and from the intent to code on the
host; a server without power until all it held runs elsewhere; a pulled cable, and for how long an instance ran on both
sides of it (exclusion under partition is not promised). Supvisors on the same machine, with the same dummy programs,
beside it where it can run. What runs is read from /proc, not asked of muster.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path

from tests.benchmarks import machine, peer
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import BUS, DUMMY_SERVICES, ROOT, dummies, item_ids, scen2
from tests.benchmarks.measures.host_loss import AIM, PLAIN, SILENT
from tests.benchmarks.options import Options
from tests.lab import measured
from tests.lab.hosts import Lab, lab
from tests.lab.names import CONTROLLER, LabError, missing
from tests.lab.site import LabSite

CRASH = 0.23  # s: what an earlier measurement of Supvisors showed
PLAY_WITHIN = 900.0  # s
SMALL = 10  # items up to which the whole reference application can run here


class Beside:
    """The values of Supvisors in the same run; empty where it does not run here."""

    def __init__(self) -> None:
        self.start: list[float] = []
        self.crash: list[float] = []
        self.silent: list[float] = []
        self.idle: dict[str, list[measured.Cost]] = {}  # server | console -> one per host


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.measure", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--times", type=int, default=3, help="power cuts")
    parser.add_argument("--crashes", type=int, default=100, help="buses killed")
    parser.add_argument("--window", type=float, default=60.0, help="seconds of idling that are looked at")
    parser.add_argument("--service-manager", default="both", choices=["both", "supervisor", "systemd"])
    parser.add_argument("--programs", default="dummies", choices=["dummies", "scen2"],
                        help="what runs; 100 items of scen2 are too much for one machine")
    parser.add_argument("--no-peer", action="store_true", help="leave Supvisors out")
    parser.add_argument("--no-cables", action="store_true", help="leave pulled cables out")
    output = ROOT / ".cache" / "bench" / time.strftime("lab-%Y%m%d-%H%M%S.json")
    parser.add_argument("--output", type=Path, default=output)
    options = parser.parse_args()
    if options.programs == "scen2" and options.items > SMALL:
        parser.error(f"more than {SMALL} items of scen2 are too much for one machine: --items {SMALL}")
    return options


def main() -> int:
    options = _arguments()
    report = Report(options.output)
    why = missing()
    if why:
        report.skip(why)
        return 0
    patient = options.crashes > SMALL
    beside = Beside()
    with_peer = not options.no_peer and options.programs == "dummies"
    if Options(with_peer=with_peer).peer_runs_here(report):
        report.begin(f"lab-peer: Supvisors with {options.items} items, what the figures below stand beside", patient)
        try:
            _peer(options, beside, report)
        except (OSError, xmlrpc.client.Error) as error:
            report.fail(f"Supvisors: {error}")
    managers = ["systemd", "supervisor"] if options.service_manager == "both" else [options.service_manager]
    for manager in managers:
        what = f"{options.items} items ({options.programs}), six hosts with {manager}, over ssh"
        report.begin(f"lab-{manager}: {what}", patient)
        try:
            with lab() as made:
                _measure(made, manager, options, beside, report)
        except (LabError, AssertionError, OSError, subprocess.SubprocessError) as error:
            report.fail(f"{manager}: {str(error)[-1500:]}")
    return report.end()


def _peer(options: argparse.Namespace, beside: Beside, report: Report) -> None:
    """Start, idle, some crashes, one silent server, in this order: it is not the same afterwards."""
    with peer.supvisors(options.items, statistics=True) as other:
        watcher = machine.Watcher(other.identify)
        wanted = {f"scen2_srv_{item}": DUMMY_SERVICES for item in other.items}
        began = other.start()
        beside.start.append(watcher.wait_for(wanted, 600, 0.1) - began)
        other.wait_until_running(600)
        everyone = {kind: [f"{kind}_{n}" for n in (1, 2, 3)] for kind in ("server", "console")}
        costs = measured.idle({name: lambda name=name: other.overhead(name)
                               for names in everyone.values() for name in names}, options.window)
        beside.idle = {kind: [costs[name] for name in names] for kind, names in everyone.items()}
        for number in range(min(options.crashes, 10)):
            time.sleep(measured.any_phase(5.0))  # of its ticks
            name = f"scen2_srv_{other.items[number % len(other.items)]}"
            beside.crash.append(machine.crash(watcher, name, BUS, comes_back=True).running or 0.0)
            other.wait_until_running()
        master = other.master_host()
        host = next(name for name in ("h3", "h2") if name != master)
        time.sleep(measured.any_phase(5.0))
        at = time.time()
        watcher.ignore(other.freeze(host))
        beside.silent.append(watcher.wait_for(wanted, 120, 0.02) - at)
    report.say(f"   start {beside.start[0]:.1f} s, {len(beside.crash)} crashes, silent server {beside.silent[0]:.1f} s")


def _measure(made: Lab, manager: str, options: argparse.Namespace, beside: Beside, report: Report) -> None:
    hosts = {host: lambda host=host: measured.overhead(site, host) for host in made.names.hosts}
    document = dummies() if options.programs == "dummies" else scen2()
    site = LabSite(made, manager, **{**document, "muster_items": item_ids(options.items)})
    site.within = PLAY_WITHIN
    # The watcher of the tests is not started: it would look at every process ten times a second.
    bare = measured.idle(hosts, options.window / 2)
    tracker = measured.Tracker(site)
    began = time.time()
    site.good("deploy")
    deployed = time.time() - began
    wanted = {f"scen2_srv_{item}": DUMMY_SERVICES for item in item_ids(options.items)}
    tracker.watcher().wait_for(wanted, 60, 0.1)
    report.add(Figure(f"deploy of {options.items} items on bare hosts, until all run", [deployed], peer=beside.start,
                      note="Supvisors: configured before, from its start on"))
    again = []
    for _run in range(min(options.times, 3)):
        began = time.time()
        site.good("deploy")
        again.append(time.time() - began)
    report.add(Figure("deploy again, nothing to do", again))
    site.start_monitor()
    measured.settle(site)
    _idle(hosts, bare, options.window, beside, report)
    _crashes(site, tracker, options.crashes, beside, report)
    _power_cuts(site, tracker, options.times, beside, report)
    if not options.no_cables:
        _cables(site, report)


def _idle(
    hosts: measured.Looks, bare: dict[str, measured.Cost], window: float, beside: Beside, report: Report
) -> None:
    """The cost of each kind of host without programs and buses, minus its cost before muster was installed."""
    costs = measured.idle(hosts, window)
    for kind in ("server", "console", CONTROLLER):
        names = [host for host in costs if host.startswith(kind)]
        if not names:
            continue
        theirs = beside.idle.get(kind, [])
        before = sum(bare[host].cpu for host in names) / len(names)
        report.add(Figure(f"idle processor of a {kind}", [costs[host].cpu - bare[host].cpu for host in names], "%",
                          peer=[cost.cpu for cost in theirs], note=f"on top of a bare host's {before:.2f} %"))
        before = sum(bare[host].pss for host in names) / len(names)
        report.add(Figure(f"idle memory of a {kind} (PSS)", [costs[host].pss - bare[host].pss for host in names], "MiB",
                          peer=[cost.pss for cost in theirs], note=f"on top of a bare host's {before:.0f} MiB"))


def _crashes(site: LabSite, tracker: measured.Tracker, count: int, beside: Beside, report: Report) -> None:
    crashes = [measured.crash(site, tracker, number) for number in range(count)]
    report.add(Figure("bus killed -> running again", [running for running, _code in crashes], peer=beside.crash,
                      cited=CRASH))
    code = [seconds for _running, seconds in crashes if seconds is not None]
    if code:
        report.add(Figure("intent -> code on the host", code, note="run parked, over ssh"))
    if len(code) < count:
        report.fail(f"of {count} intents only {len(code)} can be followed in journal and artefacts")


def _power_cuts(site: LabSite, tracker: measured.Tracker, times: int, beside: Beside, report: Report) -> None:
    cuts = [measured.power_cut(site, tracker) for _run in range(times)]
    if not cuts:
        return
    held = ", ".join(str(cut.held) for cut in cuts)
    report.add(Figure("server without power -> all its items running elsewhere", [cut.running for cut in cuts], aim=AIM,
                      peer=beside.silent, cited=SILENT, note=f"items held: {held}; Supvisors: a silent server"))
    down = [cut.detected for cut in cuts if cut.detected is not None]
    if down:
        report.add(Figure("   stage: until it is believed down", down))
        recovery = [cut.running - cut.detected for cut in cuts if cut.detected is not None]
        report.add(Figure("   stage: recovery", recovery, note=f"all of Supvisors' plain server: {PLAIN} s (cited)"))


def _cables(site: LabSite, report: Report) -> None:
    for way in ("both", "in", "out"):
        measured.settle(site)
        moved, twice = measured.overlap(site, site.claims()[measured.instances(site)[0]]["host"], way)
        report.add(Figure(f"cable pulled ({way}) -> it runs elsewhere", [moved]))
        report.add(Figure(f"cable pulled ({way}), healed 5 s later: so long it ran twice", [twice]))


if __name__ == "__main__":
    sys.exit(main())
