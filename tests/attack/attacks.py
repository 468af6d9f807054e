# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attacks: what each does, as a context in which it goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from tests.integration.local_site import API_PORT, SiteLab

NOBODY = 65534
PYTHON = "/usr/bin/python3"  # one that every user may run
READY_SECONDS = 60.0
FLOOD = Path(__file__).with_name("flood.py")
LIE = '''

_true_observe = observe


def observe(*given, **named):
    found = _true_observe(*given, **named)
    for entry in found.get("instances", {}).values():
        entry["epochs"] = ["x"]
    return found
'''

Scene = Callable[[SiteLab], AbstractContextManager[None]]


class Attack(NamedTuple):
    what: str  # as the table shows it
    scene: Scene
    host: str = ""  # the host that it is about: what happens there alone is no hole


@contextlib.contextmanager
def _as_nobody(command: list[str], env: dict[str, str] | None = None, ready: bool = True) -> Iterator[None]:
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env=env or {"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            end = time.monotonic() + READY_SECONDS
            while ready and "ready" not in _read(said.fileno()):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the attacker did not begin: %s" % _read(said.fileno()))
                time.sleep(0.1)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 10000, 0).decode("utf-8", "replace")


def flood(kind: str, count: int) -> Scene:
    def scene(lab: SiteLab) -> AbstractContextManager[None]:
        source = FLOOD.read_text(encoding="utf-8")
        return _as_nobody([PYTHON, "-I", "-S", "-c", source, kind, lab.net + ".1", str(API_PORT), str(count)])

    return scene


def forged(count: int, epoch: str, name: str = "scen2_srv_01") -> Scene:
    """So many processes that carry an instance's variables, ignore SIGTERM and are there again when killed."""
    script = (
        "trap '' TERM; for n in $(seq %d); do (trap '' TERM; while :; do sleep 60; done) & done;"
        " echo ready; while :; do sleep 60; done" % count
    )

    def scene(lab: SiteLab) -> AbstractContextManager[None]:
        site = json.loads((lab.state / "site.json").read_text())["site_id"]
        host = lab.claims().get(name, {}).get("host") or "server_1"  # nowhere, when a person stopped it
        env = {
            "PATH": "/usr/bin:/bin", "MUSTER_SITE": site, "MUSTER_HOST": host, "MUSTER_INSTANCE": name,
            "MUSTER_PROGRAM": "internal_data_bus", "MUSTER_ITEM": name.rpartition("_")[2], "MUSTER_EPOCH": epoch,
        }  # fmt: skip
        return _as_nobody(["/bin/sh", "-c", script], env)

    return scene


@contextlib.contextmanager
def nonsense(lab: SiteLab, host: str = "server_3") -> Iterator[None]:
    """The agent of a host reports epochs that are none: any program of a host with supervisor can do that."""
    [source] = (lab.root(host) / "lib").glob("*/muster_host/observe.py")
    true = source.read_text(encoding="utf-8")
    compiled = list(source.parent.glob("__pycache__/observe.*.pyc"))
    kept = {path: path.read_bytes() for path in compiled}
    for path in compiled:
        path.unlink()
    source.unlink()
    source.write_text(true + LIE, encoding="utf-8")
    try:
        yield
    finally:
        source.unlink()
        source.write_text(true, encoding="utf-8")
        for path, data in kept.items():
            path.write_bytes(data)


@contextlib.contextmanager
def few_descriptors(lab: SiteLab) -> Iterator[None]:
    """1,100 connections that say nothing, to a monitor whose processes may have 1,024 descriptors each."""
    pids = [int((lab.state / "run" / "monitor.pid").read_text())]
    pids += [int(p) for p in Path("/proc/%d/task/%d/children" % (pids[0], pids[0])).read_text().split()]
    for pid in pids:
        subprocess.run(["prlimit", "--pid", str(pid), "--nofile=1024:"], check=True)
    with flood("idle", 1100)(lab):
        yield


ATTACKS = {
    "idle-300": Attack("300 connections that say nothing", flood("idle", 300)),
    "idle-1100": Attack("1,100 connections that say nothing, 1,024 descriptors", few_descriptors),
    "slow-head": Attack("200 heads, a line a second", flood("slow-head", 200)),
    "slow-body": Attack("200 bodies, a byte a second", flood("slow-body", 200)),
    "huge-body": Attack("bodies of 10 MB, 20 at once", flood("huge-body", 20)),
    "endless-body": Attack("100 endless bodies in chunks", flood("endless-body", 100)),
    "streams": Attack("100 streams of events", flood("streams", 100)),
    "unread": Attack("100 streams and answers that nobody reads", flood("unread", 100)),
    "keys": Attack("what-if with 6,500 unknown keys, 60 at once", flood("keys", 60)),
    "names": Attack("what-if with 2,000 unknown hosts, 60 at once", flood("names", 60)),
    "query": Attack("2,000 unknown parameters, 60 at once", flood("query", 60)),
    "status": Attack("the status, 60 at once", flood("status", 60)),
    "forged": Attack("8 processes with forged variables", forged(8, "1")),
    "epoch-2": Attack("a process with MUSTER_EPOCH=²", forged(1, "²")),
    "epoch-4301": Attack("a process with an epoch of 4,301 digits", forged(1, "9" * 4301)),
    "nonsense": Attack("a host that answers nonsense", nonsense, "server_3"),
}
