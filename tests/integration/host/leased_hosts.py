# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts in folders, each with its supervisord, guard and witness; and a monitor's side to fence them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.core.host.lease import kernel, messages
from monitor.core.host.lease.terms import Terms
from monitor.watch.fence import Fence, Talk
from tests.integration.addresses import NET
from tests.integration.host.host_in_a_folder import Host, bundle
from tests.integration.host.host_texts import MANAGER

PORT = 27000
SITE = "leased-%d" % os.getpid()
MASTER = os.urandom(32)
TERMS = Terms(1.6, 0.5, 0.001)


class Leased:
    """The hosts by name, and who fences them."""

    def __init__(self, folder: str | None = None) -> None:
        """:param folder: where host one is."""
        self.hosts = {
            name: Host(name, "%s.7.%d" % (NET, 1 + at), folder if name == "one" else None)
            for at, name in enumerate(("one", "two", "three"))
        }
        self.addresses = {name: (host.facts["address"], PORT) for name, host in self.hosts.items()}
        for name, host in self.hosts.items():
            host.facts["site_id"] = SITE
            host.prepare(agent=bundle(), lease=self.settings(name))

    def guard(self, name: str) -> int:
        """The process whose end is the end of what the host runs."""
        if MANAGER != "systemd":
            return self.hosts[name].manager_pid()
        shown = ["systemctl", "show", "--value", "--property=MainPID", "muster-lease:%s.service" % name]
        return int(subprocess.run(shown, capture_output=True, text=True, timeout=30, check=True).stdout)

    def settings(self, name: str, **other: Any) -> dict[str, Any]:
        key = messages.key_name(MASTER).hex(), messages.derive(MASTER, name).hex()
        return {
            "site_id": SITE, "host": name, "address": self.addresses[name][0], "port": PORT, "keys": [key],
            "masters": [MASTER.hex()], "witnesses": self.addresses, "length": TERMS.length, "margin": TERMS.margin,
            "error": TERMS.error, **other,
        }  # fmt: skip

    def fence(self, host: str, patience: float = 15.0) -> float:
        """Fence a host, and wait until nothing of it can live. :return: how long that took in seconds."""
        return self._talk(host, False, patience)

    def lift(self, host: str) -> None:
        """Take the fence of a host away."""
        self._talk(host, True, 15.0)

    def _talk(self, host: str, lift: bool, patience: float) -> float:
        fence, talk = Fence(host, time.time_ns(), [list(self.addresses)], TERMS, lift), Talk(time.time_ns())
        began = time.time()
        name = messages.key_name(MASTER)
        key = messages.derive(MASTER, messages.MONITOR)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(0.02)
            while fence.missing() if lift else not fence.free(kernel.now()):
                assert time.time() - began < patience, "too few witnesses answer about %s" % host
                for witness, body in talk.due(fence, kernel.now()):
                    line.sendto(messages.seal(name, key, messages.MONITOR, dict(body, s=SITE, t=witness)),
                                self.addresses[witness])  # fmt: skip
                try:
                    data = line.recv(messages.LARGEST)
                except TimeoutError:
                    continue
                shown = messages.envelope(data)
                assert shown is not None
                body = messages.open_sealed(data, key, SITE, messages.MONITOR)
                assert body is not None
                if talk.heard(shown[1], body, fence, kernel.now()):
                    fence.hurry()
        return time.time() - began

    def close(self) -> None:
        for host in self.hosts.values():
            host.close()


@pytest.fixture(name="leased")
def leased_fixture() -> Iterator[Leased]:
    made = Leased()
    try:
        yield made
    finally:
        made.close()
