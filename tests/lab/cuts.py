# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts the lab at random, again and again, while an audit looks for two copies of an instance every 20 ms.

With `exclusion: witnesses` there must be none, whatever was cut; with `none` there are, and the same run shows for how
long. After each cut everything is made whole again. What has a majority of the witnesses must be whole again before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.local_site import wait_for
from tests.lab import seen
from tests.lab.copies import Audit
from tests.lab.hosts import lab
from tests.lab.names import CONTROLLER, missing
from tests.lab.site import LabSite, deployed

ITEMS = ("01", "02", "03")
SERVICES = tuple("scen2_srv_" + item for item in ITEMS)
SERVERS = ("server_1", "server_2", "server_3")
CONSOLE = "console_1"
WHOLE_WITHIN = 60.0  # s
SLOW = 8.0  # s, beyond which the report has the monitor's log
SETTINGS: dict[str, Any] = {"stable_after": 1}


class Cut:
    """One cut, made before it is done: which hosts are lost to the rest of the site, and since when."""

    def __init__(self, lost: set[str], elsewhere: bool = True) -> None:
        """:param elsewhere: whether what the lost hosts ran must run elsewhere before it is undone."""
        self.lost = lost
        self.elsewhere = elsewhere
        self.began = time.monotonic()


@contextmanager
def pulled(site: LabSite, audit: Audit, chance: random.Random, way: str, host: str) -> Iterator[Cut]:
    cut = Cut({host})
    site.lab.switch.pull(host, way)
    yield cut
    site.lab.switch.heal()


@contextmanager
def parted(site: LabSite, audit: Audit, chance: random.Random, one: set[str], others: set[str]) -> Iterator[Cut]:
    """Two sides that do not see each other."""
    for first in one:
        for second in others:
            site.lab.switch.part(first, second)
    # Who has the controller and a majority of the witnesses (all three servers) is whole again.
    side = one if CONTROLLER in one else others
    servers = sum(server in side for server in SERVERS)
    yield Cut(set(site.lab.names.managed) - side if len(side) > 1 else set(), elsewhere=servers > 1)
    site.lab.switch.heal()


@contextmanager
def frozen(site: LabSite, audit: Audit, chance: random.Random, host: str) -> Iterator[Cut]:
    cut = Cut({host})
    audit.frozen(host)
    site.lab.freeze(host)
    yield cut
    site.lab.thaw(host)
    audit.frozen()


@contextmanager
def stopped(site: LabSite, audit: Audit, chance: random.Random, host: str) -> Iterator[Cut]:
    """Every process of the host stands still, process 1 included."""
    pids = site.pids(host)
    cut = Cut({host})
    _signal(pids, signal.SIGSTOP)
    yield cut
    _signal(pids, signal.SIGCONT)


@contextmanager
def off(site: LabSite, audit: Audit, chance: random.Random, host: str) -> Iterator[Cut]:
    cut = Cut({host})
    site.lab.power_cut(host)
    yield cut
    site.lab.boot(host)


@contextmanager
def flapping(site: LabSite, audit: Audit, chance: random.Random, host: str) -> Iterator[Cut]:
    for _unused in range(6):
        site.lab.switch.pull(host, chance.choice(("both", "in", "out")))
        time.sleep(chance.uniform(0.1, 2.0))
        site.lab.switch.heal()
        time.sleep(chance.uniform(0.1, 1.5))
    yield Cut(set())


@contextmanager
def wrong_clock(site: LabSite, audit: Audit, chance: random.Random, host: str) -> Iterator[Cut]:
    site.lab.set_clock(host, chance.choice((-90.0, 90.0, 86400.0)))
    cut = Cut({host})
    site.lab.switch.pull(host)
    yield cut
    site.lab.switch.heal()
    site.lab.set_clock(host, 0.0)


def kinds(site: LabSite, audit: Audit, chance: random.Random) -> dict[str, Callable[[], Any]]:
    """Name -> what makes the cut. The server is one that runs something, where one does."""
    holders = sorted({claim["host"] for name, claim in site.claims().items() if name in SERVICES})
    server = chance.choice(holders or list(SERVERS))
    peer = chance.choice([name for name in (*SERVERS, CONTROLLER) if name != server])
    everybody = set(site.lab.names.hosts)
    half = {server, CONSOLE}
    larger = {*chance.sample(SERVERS, 2), CONSOLE}

    def make(how: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        return lambda: how(site, audit, chance, *arguments)

    return {
        "pulled": make(pulled, "both", server),
        "pulled out": make(pulled, "out", server),
        "pulled in": make(pulled, "in", server),
        "one peer": make(parted, {server}, {peer}),
        "flapping": make(flapping, server),
        "console": make(pulled, chance.choice(("both", "in", "out")), CONSOLE),
        "controller": make(parted, {CONTROLLER}, everybody - {CONTROLLER}),
        "a server and a console": make(parted, half, everybody - half),
        "two servers and a console": make(parted, larger, everybody - larger),
        "frozen": make(frozen, server),
        "stands still": make(stopped, server),
        "power": make(off, server),
        "clock": make(wrong_clock, server),
    }


class Figures:
    """What was seen."""

    def __init__(self) -> None:
        self.cuts: list[dict[str, Any]] = []
        self.whole: dict[str, list[float]] = {}
        self.slow: list[str] = []  # what the monitor said in the meantime

    def lines(self) -> Iterator[str]:
        for kind, values in sorted(self.whole.items()):
            yield "%-26s whole elsewhere after %s s" % (kind, ", ".join("%.1f" % value for value in values))
        every = [value for values in self.whole.values() for value in values]
        if every:
            yield "from the cut until all runs elsewhere: median %.2f s, worst %.2f s, n=%d" % (
                statistics.median(every), max(every), len(every))


def one(site: LabSite, audit: Audit, kind: str, chance: random.Random, figures: Figures) -> None:
    """Make one cut, wait until what can be whole is, keep it for a while, undo it, wait until all is whole."""
    makers = kinds(site, audit, chance)
    before, size = site.claims(), len(site.monitor_log())
    with makers[kind]() as cut:
        lost = {name for name in SERVICES if before[name]["host"] in cut.lost}
        if lost and cut.elsewhere:
            wait_for(lambda: all(_elsewhere(site, name, cut.lost) for name in lost), "%s: %s run elsewhere" % (
                kind, ", ".join(sorted(lost))), site.monitor_log, WHOLE_WITHIN)  # fmt: skip
            took = time.monotonic() - cut.began
            figures.whole.setdefault(kind, []).append(took)
            if took > SLOW:
                figures.slow.append("%s, %.1f s:\n%s" % (kind, took, site.monitor_log()[size:]))
            time.sleep(chance.uniform(0.0, 5.0))
        else:
            time.sleep(chance.uniform(3.0, 9.0))
    seen.settle(site, SERVICES)


def _elsewhere(site: LabSite, name: str, lost: set[str]) -> bool:
    return bool(site.hosts_of(name) - lost) and site.whole(name) and site.claims()[name]["host"] not in lost


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def cut_again_and_again(
    manager: str, exclusion: str, cuts: int, seed: int, until: float, chosen: list[str], say: Callable[[str], None]
) -> dict[str, Any]:
    """
    :param until: monotonic time after which no further cut is made.
    :return: what the audit said, with ``cuts``: those that were made, and ``lines``: what people read.
    """
    chance = random.Random(seed)
    figures = Figures()
    settings = {**SETTINGS, "exclusion": exclusion}
    with lab() as made, deployed(made, service_manager=manager, muster_items=list(ITEMS),
                                 muster_settings=settings) as site:  # fmt: skip
        site.watch.stop()  # the audit below looks more often
        site.start_monitor()
        seen.settle(site, SERVICES)
        site.muster("open", ITEMS[0], "--console", CONSOLE)
        audit = Audit({host: made.names.namespace(host) for host in made.names.managed})
        done: list[str] = []
        try:
            names = sorted(kinds(site, audit, random.Random(seed)))
            while len(done) < cuts and time.monotonic() < until:
                left = [name for name in chosen or names if name in names]
                kind = left[(len(done) + seed) % len(left)]
                began, twice = time.monotonic(), audit.said()["count"]
                one(site, audit, kind, chance, figures)
                done.append(kind)
                now = audit.said()
                say("%3d %-26s %5.1f s  samples %d, with two copies %d" % (
                    len(done), kind, time.monotonic() - began, now["samples"], now["count"] - twice))
        finally:
            said = audit.stop()
        site.watch.violations.clear()
        return {**said, "cuts": done, "lines": list(figures.lines()), "slow": figures.slow}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.cuts", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=13)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60.0, help="make no further cut after so long")
    parser.add_argument("--service-manager", default="systemd", choices=["supervisor", "systemd"])
    parser.add_argument("--exclusion", default="witnesses", choices=["witnesses", "none"])
    parser.add_argument("--only", nargs="*", default=[], help="these kinds of cut")
    options = parser.parse_args()
    why = missing()
    if why:
        print(why)
        return 0
    until = time.monotonic() + 60 * options.minutes
    found = cut_again_and_again(options.service_manager, options.exclusion, options.cuts, options.seed, until,
                                options.only, lambda text: print(text, flush=True))
    for line in found["lines"]:
        print(line)
    print("%s, %s: %d cuts, %d samples (slowest %.0f ms apart), %d with two copies" % (
        options.service_manager, options.exclusion, len(found["cuts"]), found["samples"], 1000 * found["slowest"],
        found["count"]))  # fmt: skip
    for slow in found["slow"]:
        print(slow)
    for twice in found["twice"][:10]:
        print(json.dumps(twice))
    return int(bool(found["count"]) and options.exclusion == "witnesses")


if __name__ == "__main__":
    sys.exit(main())
