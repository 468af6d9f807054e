# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people who follow logs cost: a program writes 1,000 lines a second, many follow, and a bus is killed."""

from __future__ import annotations

import contextlib
import json
import random
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.figures import Figure, Report
from tests.benchmarks.lab import BUS, DUMMY_SERVICES, ROOT, Lab, dummies, laboratory
from tests.benchmarks.options import Options

ITEMS = SERVERS = 4
ALONE = 60  # percent that each reserves, so that each has a server of its own
FOLLOWERS = 100
LINES_A_SECOND = 1000  # of each instance
CRASHES = "scen2_srv_02"
WATCHED_SECONDS = 20.0  # by one alone
_STEP = 0.01  # s between two writings
_HEAD = "GET /api/v1/logs/%s/stream?lines=0 HTTP/1.0\r\nHost: muster\r\n\r\n"


def measure(options: Options, report: Report) -> None:
    """Bus killed while 100 follow logs of 1,000 lines a second"""
    alone: list[float] = []
    followed: list[float] = []
    use: dict[str, list[float]] = {"alone": [], "followed": []}
    eye: list[float] = []
    told: dict[str, list[Any]] = {"late": [], "served": [], "lines": [], "dropped": []}
    site = dummies()
    site["muster_applications"]["scen2_srv"]["programs"][BUS]["expected_loading"] = ALONE
    with laboratory(site, ITEMS, servers=SERVERS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        watcher = machine.Watcher(lab.identify)
        watcher.wait_for({f"scen2_srv_{item}": DUMMY_SERVICES for item in lab.items}, 60)
        lab.wait_until_ready()
        with _followers(lab, 1) as one:
            time.sleep(3.0 if options.quick else WATCHED_SECONDS)
        eye += one["late"]
        for _block in range(options.count(4, 1)):  # in turn, so that both have the same machine
            begin, used = time.monotonic(), _used(lab)
            with _followers(lab, 0):  # the same is written
                alone += [_crash(lab, watcher) for _run in range(5)]
            use["alone"].append(100 * (_used(lab) - used) / (time.monotonic() - begin))
            with _followers(lab, FOLLOWERS) as seen:
                begin, used = time.monotonic(), _used(lab)
                followed += [_crash(lab, watcher) for _run in range(5)]
                use["followed"].append(100 * (_used(lab) - used) / (time.monotonic() - begin))
            told["late"] += seen.pop("late")
            for name, value in seen.items():
                told[name].append(value)
    report.add(Figure("a line from the program to the eye, one follows", eye))
    report.add(Figure("bus killed -> running again, nobody follows", alone))
    report.add(Figure(f"the same, {FOLLOWERS} follow", followed, aim=statistics.median(alone) * 1.2))
    report.add(Figure("a line from the program to the eye", told["late"], note="of those that were not left out"))
    report.add(Figure("followers that got lines", told["served"], unit="of %d" % FOLLOWERS))
    report.add(Figure("followers that were dropped", told["dropped"], unit="of %d" % FOLLOWERS))
    report.add(Figure("lines that they got together", told["lines"], unit="/s"))
    report.add(Figure("processor of the monitor, nobody follows", use["alone"], unit="%"))
    report.add(Figure("processor of the monitor, followed", use["followed"], unit="%"))


def _used(lab: Lab) -> float:
    """Seconds of a processor that the monitor's own processes used so far, without its runs."""
    mine = [pid for pid in machine.family([lab.monitor_pid()]) if "ansible" not in machine.arguments(pid)]
    return machine.cpu_seconds(mine)


def _crash(lab: Lab, watcher: machine.Watcher) -> float:
    lab.forget_crashes(CRASHES)
    lab.wait_until_ready()
    time.sleep(random.uniform(0.5, 1.5))
    crash = machine.crash(watcher, CRASHES, BUS, comes_back=True)
    assert crash.running is not None
    return crash.running


@contextlib.contextmanager
def _followers(lab: Lab, count: int) -> Iterator[dict[str, Any]]:
    """In a process of their own. What is yielded is filled at the end: ``late`` in s, ``served``, ``dropped``, and
    ``lines`` a second."""
    doors = [lab.state / "run" / "api.sock", *(lab.folder / "hosts" / name / "run" / "api.sock" for name in lab.hosts)]
    instances = lab.watch()["instances"]
    logs = {name: str(lab.folder / "hosts" / instances[name]["host"] / "log" / name / "data_processing.log")
            for name in (f"scen2_srv_{item}" for item in lab.items)}  # fmt: skip
    code = "from tests.benchmarks.measures.followers import follow; follow()"
    given = json.dumps({"count": count, "logs": logs, "doors": [str(door) for door in doors if door.exists()]})
    process = subprocess.Popen([sys.executable, "-c", code, given], cwd=ROOT, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    told: dict[str, Any] = {}
    try:
        if process.stdout.readline() != "begun\n":
            raise OSError("the followers did not begin")
        yield told
    finally:
        process.stdin.close()
        told.update(json.loads(process.stdout.readline() or "{}"))
        process.wait(timeout=30)


def follow() -> None:
    """Write lines and follow them until standard input ends."""
    given = json.loads(sys.argv[1])
    names, doors = list(given["logs"]), given["doors"]
    readers = [_open(doors[number % len(doors)], names[number % len(names)]) for number in range(given["count"])]
    late: list[float] = []
    got = dict.fromkeys(readers, 0)
    dropped = 0
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        files = [stack.enter_context(Path(path).open("ab")) for path in given["logs"].values()]
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        print("begun", flush=True)
        began = due = time.monotonic()
        number, rest = 0, b""
        while True:
            if time.monotonic() >= due:
                due += _STEP
                for _line in range(int(LINES_A_SECOND * _STEP)):
                    number += 1
                    for file in files:
                        file.write(b"line %d written at %.6f and something more to read\n" % (number, time.time()))
                for file in files:
                    file.flush()
            for key, _events in selector.select(max(0.0, due - time.monotonic())):
                if key.fd == sys.stdin.fileno():
                    served = sum(count > 0 for count in got.values())
                    told = {"late": late[:: max(1, len(late) // 2000)], "served": served, "dropped": dropped,
                            "lines": sum(got.values()) / (time.monotonic() - began)}  # fmt: skip
                    print(json.dumps(told), flush=True)
                    return
                reader = key.fileobj
                data = reader.recv(1 << 18)  # type: ignore[union-attr]
                if not data:
                    selector.unregister(reader)
                    dropped += 1
                    continue
                got[reader] += data.count(b"written at")  # type: ignore[index]
                if reader is readers[0]:
                    now = time.time()
                    *whole, rest = (rest + data).split(b"written at ")
                    late += [now - float(part[:17]) for part in whole if part[:10].isdigit()]


def _open(door: str, instance: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(door)
    connection.sendall((_HEAD % instance).encode())
    return connection
