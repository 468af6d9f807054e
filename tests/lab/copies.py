# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit from outside, every 20 ms: does an instance live on two hosts of the lab? A process of its own does it.

A process that was seen to belong to an instance is not looked at again while it lives; so a sample costs a listing of
`/proc` and a look at what is new.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PERIOD = 0.02  # s
_KEPT = 20
_YOUNG = 1.5  # s for which a process may still become a program of an instance


class Audit:
    """The audit of a lab, from its start to `stop`. `frozen` hosts do not count: nothing there does anything."""

    def __init__(self, namespaces: dict[str, str]) -> None:
        """:param namespaces: host -> name of its network namespace."""
        command = [sys.executable, "-m", "tests.lab.copies", json.dumps(namespaces)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, *words: str) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def frozen(self, *hosts: str) -> None:
        """These hosts stand still from now on, all others do not."""
        self._ask("frozen", *hosts)

    def said(self) -> dict[str, Any]:
        """``{"samples", "slowest": s between two, "count": of those with two copies,
        "twice": [[at, instance, [[host, pid, program]]]] of the first ones}`` so far."""
        found: dict[str, Any] = self._ask("said")
        return found

    def stop(self) -> dict[str, Any]:
        found = self.said()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        return found


class _Looker:
    def __init__(self, namespaces: dict[str, str]) -> None:
        self._hosts = {os.stat("/run/netns/" + name).st_ino: host for host, name in namespaces.items()}
        self._known: dict[str, tuple[str, str, str] | None] = {}  # pid -> instance, host, program; None: nothing of us
        self._young: dict[str, float] = {}
        self.frozen: set[str] = set()
        self.samples = 0
        self.slowest = 0.0
        self.count = 0
        self.twice: list[list[Any]] = []  # at most `_KEPT`

    def look(self) -> None:
        now = time.monotonic()
        pids = {name for name in os.listdir("/proc") if name.isdigit()}
        for pid in self._known.keys() - pids:
            del self._known[pid]
            self._young.pop(pid, None)
        for pid in pids - self._known.keys():
            self._known[pid] = None
            self._young[pid] = now
        for pid, since in list(self._young.items()):
            self._known[pid] = self._of(pid)
            if self._known[pid] is not None or now - since > _YOUNG:
                del self._young[pid]
        where: dict[str, dict[str, list[tuple[str, str]]]] = {}
        for pid, found in self._known.items():
            if found is not None and found[1] not in self.frozen:
                where.setdefault(found[0], {}).setdefault(found[1], []).append((pid, found[2]))
        double = False
        for instance, hosts in where.items():
            if len(hosts) > 1:
                # A sample takes its time: only those count that live now, after all of them were seen.
                living = [[host, pid, program] for host, some in hosts.items() for pid, program in some if _alive(pid)]
                if len({host for host, _pid, _program in living}) > 1:
                    double = True
                    if len(self.twice) < _KEPT:
                        self.twice.append([time.time(), instance, living])
        self.count += double
        self.samples += 1

    def _of(self, pid: str) -> tuple[str, str, str] | None:
        try:
            host = self._hosts.get(os.stat("/proc/%s/ns/net" % pid).st_ino)
            data = Path("/proc/%s/environ" % pid).read_bytes() if host else b""
        except OSError:
            return None
        if host is None or b"MUSTER_EPOCH=" not in data or b"MUSTER_INSTANCE=" not in data:
            return None
        known = dict(word.partition("=")[::2] for word in data.decode(errors="replace").split("\0"))
        return known["MUSTER_INSTANCE"], host, known.get("MUSTER_PROGRAM", "")


def _alive(pid: str) -> bool:
    try:
        return Path("/proc/%s/stat" % pid).read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def main() -> None:
    looker = _Looker(json.loads(sys.argv[1]))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    os.set_blocking(0, False)
    last = time.monotonic()
    while True:
        began = time.monotonic()
        looker.slowest = max(looker.slowest, began - last)
        last = began
        looker.look()
        try:
            line = os.read(0, 4096)
        except BlockingIOError:
            line = b"\n"
        if not line:
            return
        for words in [text.split() for text in line.decode().splitlines()]:
            if words and words[0] == "frozen":
                looker.frozen = set(words[1:])
                print("true", flush=True)
            elif words:
                said = {"samples": looker.samples, "slowest": round(looker.slowest, 3), "count": looker.count}
                print(json.dumps({**said, "twice": looker.twice}), flush=True)
        time.sleep(max(0.0, PERIOD - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
