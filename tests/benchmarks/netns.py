# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts in network namespaces of their own, for a peer that does not run on loopback. Needs root."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

PREFIX = "muster-bench"
NET = "10.213.99"  # only inside of the namespaces
HOSTS = {"h1": 11, "h2": 12, "h3": 13}
_CLONE_NEWNET = 0x40000000
Answer = TypeVar("Answer")


def name_of(host: str) -> str:
    return f"{PREFIX}-{host}"


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stdout.strip()}")


def available() -> str:
    """"" when namespaces can be made, else the sentence that says why not."""
    if os.geteuid() != 0:
        return "Supvisors does not run on loopback and needs network namespaces, which need root"
    if shutil.which("ip") is None:
        return "Supvisors needs network namespaces, and the command ip (iproute2) is missing"
    return ""


def build() -> None:
    """A bridge, three hosts and a place to look from, connected; what an earlier run left is removed first."""
    remove()
    names = "".join(f"{NET}.{last} {host}\n" for host, last in HOSTS.items())
    for host in ("sw", *HOSTS, "eye"):
        _ip("netns", "add", name_of(host))
        _ip("-n", name_of(host), "link", "set", "lo", "up")
        etc = Path("/etc/netns") / name_of(host)
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "hosts").write_text("127.0.0.1 localhost\n" + names, encoding="utf-8")
        (etc / "nsswitch.conf").write_text("hosts: files\n", encoding="utf-8")
    switch = name_of("sw")
    _ip("-n", switch, "link", "add", "bridge", "type", "bridge", "forward_delay", "0")
    _ip("-n", switch, "link", "set", "bridge", "up")
    for host, last in (*HOSTS.items(), ("eye", 100)):
        _ip("-n", switch, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", name_of(host))
        _ip("-n", switch, "link", "set", host, "master", "bridge", "up")
        _ip("-n", name_of(host), "addr", "add", f"{NET}.{last}/24", "dev", "eth0")
        _ip("-n", name_of(host), "link", "set", "eth0", "up")


def remove() -> None:
    for host in ("eye", *HOSTS, "sw"):
        _ip("netns", "del", name_of(host), check=False)
        shutil.rmtree(Path("/etc/netns") / name_of(host), ignore_errors=True)
    if Path("/etc/netns").is_dir() and not any(Path("/etc/netns").iterdir()):
        Path("/etc/netns").rmdir()


class Eye:
    """Calls functions from inside of the network: in a thread of its own, the only one that has entered it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, initializer=self._enter)

    @staticmethod
    def _enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{name_of('eye')}", "rb") as handle:
            if libc.setns(handle.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def call(self, function: Callable[[], Answer]) -> Answer:
        return self._thread.submit(function).result()

    def close(self) -> None:
        self._thread.shutdown()
