# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds errors of a site that had time to recover, in process table and ledger, never in its own status."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.integration.local_site import CONSOLES, SERVERS
from tests.integration.process_table import alive
from tests.leftovers import ours
from tests.soak.world import CLOSED, OPEN, PROGRAMS, SERVICES, WINDOW_PROGRAMS, WINDOWS, Sight, World

LOST, DOUBLED, STUCK, RETURNED = "lost", "doubled", "stuck", "returned"
NOISY, UNTOLD = "noisy", "untold"  # of alarms: more than causes, none at all
KINDS = (LOST, DOUBLED, STUCK, RETURNED, NOISY, UNTOLD)


@dataclass(frozen=True)
class Finding:
    kind: str  # of KINDS
    sentence: str

    def __str__(self) -> str:
        return "%s: %s" % (self.kind, self.sentence)


def audit(world: World) -> list[Finding]:
    """Everything that is not as it must be at this moment."""
    sight = world.see()
    return [*_instances(world, sight), *_claims(world, sight), *_published(world), *_monitor(world), *_orphans(world)]


def settled(world: World, within: float) -> list[Finding]:
    """Wait until an audit finds nothing, twice in a row; what the last one found otherwise."""
    deadline = time.monotonic() + within
    clean = 0
    while True:
        found = audit(world)
        clean = 0 if found else clean + 1
        if clean == 2:
            world.thawed.clear()
            return []
        if time.monotonic() > deadline and found:
            return found
        time.sleep(0.3)


def _instances(world: World, sight: Sight) -> list[Finding]:
    found = []
    for name in (*SERVICES, *WINDOWS):
        there = sight.of(name)
        programs = PROGRAMS if name in SERVICES else WINDOW_PROGRAMS
        twice = [program for program, count in Counter(p.program for p in there).items() if count > 1]
        hosts = sorted({p.host for p in there})
        if twice or len(hosts) > 1:
            found.append(Finding(DOUBLED, "%s: %s on %s" % (name, ", ".join(twice) or "programs", ", ".join(hosts))))
        expected = world.expected(name)
        if expected == OPEN and not sight.whole(name, programs):
            missing = sorted(programs - {p.program for p in there if p.pid not in sight.stopped})
            found.append(Finding(LOST, "%s should run and lacks %s" % (name, ", ".join(missing))))
        elif expected == CLOSED and there:
            found.append(Finding(RETURNED, "%s should not run and has %s" % (name, sorted(p.program for p in there))))
        elif there and not sight.whole(name, programs):
            found.append(Finding(LOST, "%s runs by half: %s" % (name, sorted(p.program for p in there))))
        found += [Finding(STUCK, "%s runs on %s, which is drained" % (name, h)) for h in hosts if h in world.drained]
        console = world.console.get(name)
        if expected == OPEN and console and hosts and hosts != [console]:
            found.append(Finding(DOUBLED, "%s was opened on %s and lives on %s" % (name, console, hosts)))
    for host in SERVERS:
        copies = len(sight.of("common_data_bus_" + host))
        if copies != 1:
            kind = DOUBLED if copies else LOST
            found.append(Finding(kind, "the common bus runs %d times on %s" % (copies, host)))
    return found


def _claims(world: World, sight: Sight) -> list[Finding]:
    """The ledger agrees with the process table, and no run is at work."""
    found = []
    for name, claim in world.ledger("claims").items():
        there = sight.of(name)
        phase = claim.get("phase")
        if claim.get("actor"):
            run, left = claim["actor"].get("run"), float(claim["actor"].get("deadline") or 0) - time.time()
            found.append(Finding(STUCK, "%s is %s: run %s has %.0f s left" % (name, phase, run, left)))
        elif phase in ("starting", "stopping"):
            found.append(Finding(STUCK, "%s is %s and nobody is at work on it" % (name, phase)))
        elif phase == "failed" and world.expected(name) == OPEN:
            found.append(Finding(LOST, "%s is failed: %s" % (name, claim.get("reason"))))
        elif there and (phase, claim["host"], claim["epoch"]) != ("running", there[0].host, there[0].epoch):
            what = "%s on %s at epoch %d" % (phase, claim["host"], claim["epoch"])
            found.append(Finding(STUCK, "%s lives on %s at epoch %d, its claim says %s"
                                 % (name, there[0].host, there[0].epoch, what)))  # fmt: skip
        elif phase == "running" and not there:
            found.append(Finding(STUCK, "%s is claimed running on %s and is not there" % (name, claim["host"])))
    for host, record in world.ledger("hosts").items():
        state = record.get("state")
        if state != ("drained" if host in world.drained else "up"):
            found.append(Finding(STUCK, "%s is %s in the ledger: %s" % (host, state, record.get("evidence"))))
    return found


def _published(world: World) -> list[Finding]:
    try:
        revision = json.loads((world.lab.state / "watch.json").read_text())["revision"]
    except (OSError, ValueError) as error:
        return [Finding(LOST, "there is no watch list: %s" % error)]
    head = world.revision()
    return [Finding(STUCK, "revision %d is published, not %d" % (revision, head))] if revision != head else []


def _monitor(world: World) -> list[Finding]:
    monitors, told = world.monitors(), world.told()
    if len(monitors) != 1:
        return [Finding(LOST if not monitors else DOUBLED, "%d monitors are at work" % len(monitors))]
    if told.get("pid") != monitors[0]:
        return [Finding(STUCK, "monitor %d has not told anything yet" % monitors[0])]
    found = [Finding(STUCK, "an intent is queued: %s" % intent.get("why")) for intent in told.get("intents", [])]
    if told.get("storm"):
        found.append(Finding(STUCK, "the monitor holds: %s" % told["storm"]))
    if told.get("no_runs"):
        found.append(Finding(STUCK, "the monitor cannot run playbooks: %s" % told["no_runs"]["why"]))
    if told.get("standby") != "parked":
        found.append(Finding(STUCK, "no run is parked (%s)" % told.get("standby")))
    if time.time() - float(told.get("at", 0)) > 20:
        found.append(Finding(STUCK, "the monitor has said nothing for %.0f s" % (time.time() - told["at"])))
    suspects = {name: host["why"] for name, host in told.get("hosts", {}).items() if host.get("state") != "up"}
    return found + [Finding(STUCK, "%s is not believed up: %s" % entry) for entry in suspects.items()]


def _orphans(world: World) -> list[Finding]:
    """Every process of the site descends from the service manager of one of its hosts."""
    managers = set()
    for host in (*SERVERS, *CONSOLES, "controller"):
        try:
            managers.add(world.lab.supervisord(host))
        except (OSError, ValueError):
            return [Finding(LOST, "%s has no service manager" % host)]
    found = []
    for pid in ours(str(world.lab.folder)):
        line = set(_lineage(pid))
        if not managers & line and os.getpid() not in line and alive(pid):
            found.append(Finding(STUCK, "process %d belongs to nobody: %s" % (pid, _command(pid))))
    return found


def _lineage(pid: int) -> list[int]:
    line = []
    while pid > 1:
        line.append(pid)
        try:
            pid = int(Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return line


def _command(pid: int) -> str:
    try:
        return Path("/proc/%d/cmdline" % pid).read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return "it has ended"
