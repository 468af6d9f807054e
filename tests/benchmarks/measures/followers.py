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

ITEMS = 3
FOLLOWERS = 100
LINES_A_SECOND = 1000
CRASHES, FOLLOWED = "scen2_srv_02", "scen2_srv_01"
_STEP = 0.01  # s between two writings
_HEAD = "GET /api/v1/logs/%s/stream?lines=0 HTTP/1.0\r\nHost: muster\r\n\r\n"


def measure(options: Options, report: Report) -> None:
    """Bus killed while 100 follow a log of 1,000 lines a second"""
    alone: list[float] = []
    followed: list[float] = []
    use: dict[str, list[float]] = {"alone": [], "followed": []}
    eyes: list[float] = []
    served: list[float] = []
    with laboratory(dummies(), ITEMS) as lab:
        lab.play("deploy")
        lab.play("monitor")
        watcher = machine.Watcher(lab.identify)
        watcher.wait_for({f"scen2_srv_{item}": DUMMY_SERVICES for item in lab.items}, 60)
        for _block in range(options.count(4, 1)):  # in turn, so that both have the same machine
            begin, used = time.monotonic(), _used(lab)
            alone += [_crash(lab, watcher) for _run in range(5)]
            use["alone"].append(100 * (_used(lab) - used) / (time.monotonic() - begin))
            with _followers(lab) as told:
                begin, used = time.monotonic(), _used(lab)
                followed += [_crash(lab, watcher) for _run in range(5)]
                use["followed"].append(100 * (_used(lab) - used) / (time.monotonic() - begin))
            eyes += told["late"]
            served.append(told["served"])
    report.add(Figure("bus killed -> running again, nobody follows", alone))
    report.add(Figure(f"the same, {FOLLOWERS} follow {LINES_A_SECOND} lines a second", followed))
    report.add(Figure("a line from the program to the eye", eyes))
    report.add(Figure("followers that got lines", served, unit="of %d" % FOLLOWERS))
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
def _followers(lab: Lab) -> Iterator[dict[str, Any]]:
    """In a process of their own; what is yielded is filled at the end: ``late`` in s, ``served``."""
    host = lab.watch()["instances"][FOLLOWED]["host"]
    log = lab.folder / "hosts" / host / "log" / FOLLOWED / "data_processing.log"
    doors = [lab.state / "run" / "api.sock", *(lab.folder / "hosts" / name / "run" / "api.sock" for name in lab.hosts)]
    code = "from tests.benchmarks.measures.followers import follow; follow()"
    process = subprocess.Popen([sys.executable, "-c", code, str(log), *map(str, doors)], cwd=ROOT, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    told: dict[str, Any] = {}
    try:
        assert process.stdout.readline() == "begun\n"
        yield told
    finally:
        process.stdin.close()
        told.update(json.loads(process.stdout.readline() or "{}"))
        process.wait(timeout=30)


def follow() -> None:
    """Write lines and follow them until standard input ends."""
    log, doors = Path(sys.argv[1]), sys.argv[2:]
    readers = [_open(doors[number % len(doors)]) for number in range(FOLLOWERS)]
    late: list[float] = []
    lines = dict.fromkeys(readers, 0)
    with selectors.DefaultSelector() as selector, log.open("ab") as file:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        print("begun", flush=True)
        due, number, rest = time.monotonic(), 0, b""
        while True:
            if time.monotonic() >= due:
                due += _STEP
                for _line in range(int(LINES_A_SECOND * _STEP)):
                    number += 1
                    file.write(b"line %d written at %.6f and something more to read\n" % (number, time.time()))
                file.flush()
            for key, _events in selector.select(max(0.0, due - time.monotonic())):
                if key.fd == sys.stdin.fileno():
                    served = sum(count > 0 for count in lines.values())
                    print(json.dumps({"late": late[::50], "served": served}), flush=True)
                    return
                reader = key.fileobj
                data = reader.recv(1 << 18)  # type: ignore[union-attr]
                if not data:
                    selector.unregister(reader)
                    continue
                lines[reader] += data.count(b"written at")  # type: ignore[index]
                if reader is readers[0]:
                    now = time.time()
                    *whole, rest = (rest + data).split(b"written at ")
                    late += [now - float(part[:17]) for part in whole[1:] if part[:10].isdigit()]


def _open(door: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(door)
    connection.sendall((_HEAD % FOLLOWED).encode())
    return connection


