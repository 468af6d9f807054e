# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the soak. Each kind happens once; some are healed after a while."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time

from tests.integration.local_site import CONSOLES, SERVERS, wait_for
from tests.soak.hit import Hit, Kind
from tests.soak.outside import OUTSIDE
from tests.soak.world import CLOSED, EITHER, OPEN, PROGRAMS, SERVICES, TITLED, WINDOWS, World


def bus_killed(world: World, rng: random.Random) -> Hit:
    """The internal bus of a service dies."""
    return _signalled(world, rng.choice(SERVICES), "internal_data_bus", signal.SIGKILL)


def bus_hangs(world: World, rng: random.Random) -> Hit:
    """The internal bus of a service is frozen."""
    return _signalled(world, rng.choice(SERVICES), "internal_data_bus", signal.SIGSTOP)


def all_buses_killed(world: World, rng: random.Random) -> Hit:
    """The internal buses of all services die at once."""
    hits = [_signalled(world, name, "internal_data_bus", signal.SIGKILL) for name in SERVICES]
    return Hit("; ".join(hit.what for hit in hits), causes=sum(hit.causes for hit in hits))


def program_killed(world: World, rng: random.Random) -> Hit:
    """A program dies, whose running failure strategy asks for its or for everybody's restart."""
    program = rng.choice(("sensor_acquisition", "data_processing"))
    return _signalled(world, rng.choice(SERVICES), program, signal.SIGKILL)


def titled_program_killed(world: World, rng: random.Random) -> Hit:
    """A program dies that has written over its environment: only its service manager knows whose it is."""
    return _signalled(world, rng.choice(SERVICES), TITLED, signal.SIGKILL)


def consoles_off(world: World, rng: random.Random) -> Hit:
    """All consoles lose their power in the evening, and a bus dies while nobody is there: it is restarted then."""
    off = _cut(world, rng, list(CONSOLES), seconds=20.0)
    name = rng.choice(SERVICES)
    killed = _signalled(world, name, "internal_data_bus", signal.SIGKILL)
    undisturbed = not world.away - set(CONSOLES) and world.wanted[name] == "started"

    def heal() -> None:
        if undisturbed and not world.disturbed and not world.see().whole(name, PROGRAMS):
            world.late.append("%s was not restarted while the consoles were off" % name)
        if off.heal:
            off.heal()

    return Hit("%s; %s" % (off.what, killed.what), heal, 20.0, off.causes + killed.causes)


def windows_bus_killed(world: World, rng: random.Random) -> Hit:
    """The internal bus of open windows dies: they are closed, and stay closed."""
    return _windows(world, rng, signal.SIGKILL)


def windows_bus_hangs(world: World, rng: random.Random) -> Hit:
    """The internal bus of open windows is frozen: they are closed, and stay closed."""
    return _windows(world, rng, signal.SIGSTOP)


def server_cut(world: World, rng: random.Random) -> Hit:
    """A server loses its power, and gets it back."""
    return _cut(world, rng, rng.sample(SERVERS, 3)[:1])


def two_servers_cut(world: World, rng: random.Random) -> Hit:
    """Two servers lose their power at once."""
    return _cut(world, rng, rng.sample(SERVERS, 3)[:2])


def console_cut(world: World, rng: random.Random) -> Hit:
    """A console loses its power: its windows do not come back by themselves."""
    return _cut(world, rng, rng.sample(CONSOLES, 3)[:1])


def server_freezes(world: World, rng: random.Random) -> Hit:
    """A server is frozen, and continues later."""
    return _freeze(world, rng, rng.choice(SERVERS))


def console_freezes(world: World, rng: random.Random) -> Hit:
    """A console is frozen, and continues later."""
    return _freeze(world, rng, rng.choice(CONSOLES))


def manager_killed(world: World, rng: random.Random) -> Hit:
    """The service manager of a host dies, and what it started with it."""
    host = rng.choice((*SERVERS, *CONSOLES))
    if host in world.away:
        return Hit("%s is away already" % host, causes=0)
    _close(world, host)
    with contextlib.suppress(OSError, ValueError):
        os.kill(world.lab.supervisord(host), signal.SIGKILL)
    return Hit("the service manager of %s is killed" % host)


def common_bus_killed(world: World, rng: random.Random) -> Hit:
    """The common bus of a server dies."""
    host = rng.choice(SERVERS)
    if host in world.away:
        return Hit("%s is away already" % host, causes=0)
    for process in world.see().of("common_data_bus_" + host):
        _send(process.pid, signal.SIGKILL)
    return Hit("the common bus of %s is killed" % host, always=True)


def monitor_killed(world: World, rng: random.Random) -> Hit:
    """The monitor dies; its service manager starts it again."""
    monitors = world.monitors()
    for pid in monitors:
        _send(pid, signal.SIGKILL)
    return Hit("monitor %s is killed" % monitors)


def run_killed(world: World, rng: random.Random) -> Hit:
    """A run dies at some moment of its work, which the end of a bus gives it."""
    before = bus_killed(world, rng)
    time.sleep(rng.uniform(0.0, 0.8))
    runs = world.runs()
    for pid in runs:
        _send(pid, signal.SIGKILL)
    return Hit("%s; %d processes of runs are killed" % (before.what, len(runs)), causes=before.causes)


def parked_run_killed(world: World, rng: random.Random) -> Hit:
    """The parked run dies just before a bus does."""
    runs = world.runs()
    for pid in runs:
        _send(pid, signal.SIGKILL)
    killed = bus_killed(world, rng)
    return Hit("%d processes of parked runs are killed; %s" % (len(runs), killed.what), causes=killed.causes)


def ledger_locked(world: World, rng: random.Random) -> Hit:
    """Another process keeps the ledger locked."""
    seconds = rng.uniform(1.0, 14.0)
    database = sqlite3.connect(world.lab.state / "ledger.db", timeout=20, isolation_level=None, check_same_thread=False)
    try:
        database.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:  # it is locked already, or the disk is full
        database.close()
        return Hit("the ledger cannot be locked: %s" % error)
    return Hit("the ledger is locked for %.0f s" % seconds, database.close, seconds)


def watch_list_removed(world: World, rng: random.Random) -> Hit:
    """The watch list is gone."""
    (world.lab.state / "watch.json").unlink(missing_ok=True)
    return Hit("the watch list is removed")


def disk_full(world: World, rng: random.Random) -> Hit:
    """Not a byte is left on the disk of the state folder."""
    if not world.small_disk:
        return Hit("the disk is too large to be filled")
    filler = world.lab.state / "filler"
    with filler.open("ab", buffering=0) as handle, contextlib.suppress(OSError):
        while True:
            handle.write(b"x" * 4096)
    seconds = rng.uniform(1.0, 10.0)
    return Hit("the disk is full for %.0f s" % seconds, lambda: filler.unlink(missing_ok=True), seconds)


FAULTS: dict[str, Kind] = {
    do.__name__.replace("_", " "): do
    for do in (
        bus_killed, bus_hangs, all_buses_killed, program_killed, titled_program_killed, consoles_off,
        windows_bus_killed, windows_bus_hangs, server_cut, two_servers_cut, console_cut, server_freezes,
        console_freezes, manager_killed, common_bus_killed, monitor_killed, run_killed, parked_run_killed,
        ledger_locked, watch_list_removed, disk_full, *OUTSIDE,
    )
}  # fmt: skip
ABOUT_WINDOWS = ("windows bus killed", "windows bus hangs", "console cut", "console freezes", "consoles off")


def _signalled(world: World, name: str, program: str, number: signal.Signals) -> Hit:
    victims = [p for p in world.see().of(name) if p.program == program]
    for process in victims:
        _send(process.pid, number)
    word = "stopped" if number is signal.SIGSTOP else "killed"
    if not victims:
        return Hit("%s of %s is not there" % (program, name), causes=0)
    return Hit("%s of %s is %s" % (program, name, word))


def _windows(world: World, rng: random.Random, number: signal.Signals) -> Hit:
    shown = [name for name in WINDOWS if world.shown[name] != CLOSED]
    if not shown:
        return Hit("no window is open", causes=0)
    name = rng.choice(shown)
    there = bool(world.see().of(name))
    hit = _signalled(world, name, "internal_data_bus", number)
    if there:
        world.closed(name)
    return hit


def _cut(world: World, rng: random.Random, hosts: list[str], seconds: float = 0.0) -> Hit:
    hosts = [host for host in hosts if host not in world.away]
    seconds = seconds or rng.choice((0.5, 2.0, 6.0, 12.0))
    if not hosts:
        return Hit("they are away already", causes=0)
    world.away.update(hosts)
    for host in hosts:
        _close(world, host)
    world.lab.machine("power_cut", *hosts)

    def heal() -> None:
        world.lab.machine("power_on", *hosts)
        world.away.difference_update(hosts)

    return Hit("%s lost power for %.1f s" % (" and ".join(hosts), seconds), heal, seconds, len(hosts))


def _freeze(world: World, rng: random.Random, host: str) -> Hit:
    seconds = rng.choice((0.5, 2.0, 5.0, 10.0))
    if host in world.away:
        return Hit("%s is away already" % host, causes=0)
    world.away.add(host)
    world.frozen.add(host)
    for name in world.on(host):
        world.shown[name] = EITHER
    world.lab.machine("freeze", host)

    def heal() -> None:
        world.thawed.add(host)
        world.lab.machine("thaw", host)
        world.frozen.discard(host)
        world.away.discard(host)

    # What is over before anybody believes it, is no alarm.
    return Hit("%s is frozen for %.1f s" % (host, seconds), heal, seconds, told=seconds >= 10.0)


def _close(world: World, host: str) -> None:
    """Expect that the windows of a dead console stay closed."""
    for name in world.on(host):
        world.closed(name)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def show(world: World, name: str, console: str) -> str:
    """Have windows open, so that something can happen to them. :return: why that did not work."""
    played = world.lab.muster("open", name.rpartition("_")[2], "--console", console, "--reason", "so that it can fail")
    if played.rc:
        return "item %s cannot be opened: %s" % (name.rpartition("_")[2], " ".join(played.output.split())[-300:])
    world.shown[name], world.console[name] = OPEN, console
    wait_for(lambda: world.see().of(name), "the windows")
    return ""
