# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site under faults: the requests of people, and its processes as seen from outside."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.integration.local_site import ROOT, SERVICE_PROGRAMS, SiteLab
from tests.integration.process_table import Process, alive, sweep

ITEMS = ("01", "02", "03", "04")
SERVICES = tuple("scen2_srv_" + item for item in ITEMS)
WINDOWS = tuple("scen2_hci_" + item for item in ITEMS)
TITLED = "titled"  # a program that writes over its environment, as redis, nginx and Perl's $0 do
PROGRAMS = SERVICE_PROGRAMS | {TITLED}
_TITLE = 'BEGIN { $0 = join " ", "soak", map { $ENV{"MUSTER_$_"} } qw(ROOT INSTANCE HOST EPOCH) } sleep 1 while 1;'
WINDOW_PROGRAMS = frozenset(("internal_data_bus", "sensor_view", "chart_view", "sensor_control"))
RUN_TIMEOUT = 30  # s: what a dead run began lies about half done for so long
DISK = "24m"
SAMPLE = 0.1  # s between looks at the process table

CLOSED, OPEN, EITHER = "closed", "open", "either"


def site_variables(run_timeout: float, leases: bool = False) -> dict[str, Any]:
    """Scenario 2 with programs of every running failure strategy, and room for all items on one server."""
    exclusion = "witnesses" if leases else "none"
    written = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text())
    applications = copy.deepcopy(written["muster_applications"])
    programs = applications["scen2_srv"]["programs"]
    programs["sensor_acquisition"]["running_failure_strategy"] = "restart_process"
    programs["data_processing"]["running_failure_strategy"] = "restart_application"
    programs[TITLED] = {
        "start_sequence": 3, "running_failure_strategy": "restart_process", "command": ["/usr/bin/perl", "-e", _TITLE],
    }  # fmt: skip
    return {
        "muster_items": list(ITEMS),
        "muster_load_limit": 250,
        "muster_applications": applications,
        # Faults take two of three servers, which are the witnesses: with leases everything stops then.
        "muster_settings": {"stable_after": 1, "run_timeout": run_timeout, "start_timeout": 10, "exclusion": exclusion},
    }


@dataclass
class Sight:
    """The process table at one moment, of hosts that are not frozen."""

    copies: dict[str, list[Process]]
    stopped: set[int]  # process ids that SIGSTOP holds

    def of(self, instance: str) -> list[Process]:
        return self.copies.get(instance, [])

    def whole(self, instance: str, programs: frozenset[str]) -> bool:
        """Each program once, on one host, under one epoch, none held."""
        there = self.of(instance)
        return (
            sorted(p.program for p in there) == sorted(programs)
            and len({(p.host, p.epoch) for p in there}) == 1
            and not self.stopped & {p.pid for p in there}
        )


@dataclass
class World:
    """One deployed site with its monitor; `wanted`, `shown` and `drained` are what people asked and faults took."""

    lab: SiteLab
    small_disk: bool = False  # the state folder is on a disk that can be filled
    wanted: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SERVICES, "started"))
    shown: dict[str, str] = field(default_factory=lambda: dict.fromkeys(WINDOWS, CLOSED))
    console: dict[str, str] = field(default_factory=dict)  # of windows that are open
    drained: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)  # hosts without power, or frozen
    frozen: set[str] = field(default_factory=set)
    thawed: set[str] = field(default_factory=set)  # what went on there has not been seen to be in order yet
    busy: set[str] = field(default_factory=set)  # instances that somebody's request is about
    late: list[str] = field(default_factory=list)  # what should have been repaired while a fault lasted
    disturbed: bool = False  # whether something else happens in this step, so that nothing is promised meanwhile
    outside: list[Callable[[], object]] = field(default_factory=list)  # ends of attacks that go on

    def see(self, thawed: bool = True) -> Sight:
        """:param thawed: also hosts that were frozen until a moment ago, where what moved on lives a while."""
        unseen = self.frozen if thawed else self.frozen | self.thawed
        copies: dict[str, list[Process]] = {}
        stopped: set[int] = set()
        root = str(self.lab.folder / "m") + "/"
        for process in (*sweep(root), *titled(root)):
            if process.host in unseen:
                continue
            if process.epoch or process.instance.startswith("common_"):
                copies.setdefault(process.instance, []).append(process)
            if state_of(process.pid) == "T":
                stopped.add(process.pid)
        return Sight(copies, stopped)

    def ledger(self, kind: str) -> dict[str, dict[str, Any]]:
        """Records of one kind, read past our own code."""
        rows = self._query("SELECT name, value FROM record WHERE kind = ?", kind)
        return {name: json.loads(value) for name, value in rows}

    def revision(self) -> int:
        return int(self._query("SELECT revision FROM head")[0][0])

    def _query(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect("file:%s?mode=ro" % (self.lab.state / "ledger.db"), uri=True, timeout=20)
        try:
            return database.execute(query, values).fetchall()
        finally:
            database.close()

    def told(self) -> dict[str, Any]:
        """The monitor's last document; only its queue is used."""
        try:
            document: dict[str, Any] = json.loads((self.lab.state / "run" / "monitor.json").read_text())
        except (OSError, ValueError):
            return {}
        return document

    def monitors(self) -> list[int]:
        """Process ids of living monitors of this site."""
        found = []
        for pid, words in commands():
            if "monitor" in words and str(self.lab.state) in words and alive(pid):
                found.append(pid)
        return found

    def runs(self) -> list[int]:
        """Process ids of ansible-playbook processes of the monitor's runs, their workers included."""
        mark = str(self.lab.state / "artifacts")
        return [
            pid
            for pid, words in commands()
            if any(w.endswith("ansible-playbook") for w in words[:3]) and mark in " ".join(words) and alive(pid)
        ]

    def expected(self, name: str) -> str:
        """Whether an instance has to be there: `OPEN`, `CLOSED` or `EITHER`."""
        if name in self.wanted:
            return OPEN if self.wanted[name] == "started" else CLOSED
        return self.shown[name]

    def on(self, host: str) -> list[str]:
        """Windows that are open on a console."""
        return [name for name, place in self.console.items() if place == host and self.shown[name] != CLOSED]

    def showable(self) -> list[str]:
        """Windows whose services are wanted: their gate waits for these."""
        return [name for name, service in zip(WINDOWS, SERVICES) if self.wanted[service] == "started"]

    def closed(self, name: str) -> None:
        self.shown[name] = CLOSED
        self.console.pop(name, None)


class Sampler:
    """Looks at the process table all the time: two copies, epochs that go back, when services were last not whole."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ending = threading.Event()
        self._highest: dict[str, int] = {}
        self._last_bad: dict[str, float] = {}
        self.doubled: list[str] = []
        self.samples = 0
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def bad_since(self, moment: float) -> float:
        """Seconds from a moment until the last look at which a wanted service was not whole; 0.0: it never was."""
        return max([last - moment for last in self._last_bad.values() if last > moment], default=0.0)

    def _sample(self) -> None:
        while not self._ending.wait(SAMPLE):
            world = self._world
            sight, now = world.see(thawed=False), time.monotonic()
            self.samples += 1
            for name, there in sight.copies.items():
                hosts = {p.host for p in there}
                if len(hosts) > 1 and not name.startswith("common_"):
                    self.doubled.append("%s lives on %s" % (name, " and ".join(sorted(hosts))))
                epoch = max((p.epoch for p in there), default=0)
                if 0 < epoch < self._highest.get(name, 0):
                    self.doubled.append("%s runs at epoch %d after %d" % (name, epoch, self._highest[name]))
                self._highest[name] = max(epoch, self._highest.get(name, 0))
            for name, state in world.wanted.items():
                if state == "started" and name not in world.busy and not sight.whole(name, PROGRAMS):
                    self._last_bad[name] = now


@contextlib.contextmanager
def deployed(number: int, run_timeout: float = RUN_TIMEOUT, leases: bool = False) -> Iterator[World]:
    """A site of its own with a monitor at work, and nothing of it left afterwards.

    :param run_timeout: s that what a dead run began lies about half done.
    """
    lab = SiteLab(number, **site_variables(run_timeout, leases))
    world = World(lab)
    try:
        if os.geteuid() == 0:
            lab.state.mkdir(parents=True)
            command = ["mount", "-t", "tmpfs", "-o", "size=%s,mode=0700" % DISK, "muster-soak", str(lab.state)]
            world.small_disk = subprocess.run(command, check=False).returncode == 0
        lab.good("deploy")
        lab.start_monitor()
        yield world
    finally:
        for ends in world.outside:
            ends()
        (lab.state / "filler").unlink(missing_ok=True)
        lab.end()
        if world.small_disk:
            subprocess.run(["umount", "-l", str(lab.state)], check=False)
            shutil.rmtree(lab.folder, ignore_errors=True)


def titled(root: str) -> Iterator[Process]:
    """Programs below this folder whose title alone tells what they are."""
    for pid, words in commands():
        said = words[0].split()
        if len(said) == 5 and said[0] == "soak" and said[1].startswith(root) and alive(pid):
            yield Process(pid, said[2], said[3], TITLED, int(said[4]), 0.0)


def state_of(pid: int) -> str:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def commands() -> Iterator[tuple[int, list[str]]]:
    """Every process of this machine and its arguments."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path("/proc", entry, "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            yield int(entry), words
