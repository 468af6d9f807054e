# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests of muster's listener inside supervisord: an instance with a bus, and a socket that events come to."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.host.machine import procs
from tests.integration.host.host_in_a_folder import Host, gate, program, wait_for

BUS = "internal_data_bus"
MEMBERS = {"view", "chart"}


class Ear:
    """A subscriber: collects what is sent to its socket."""

    def __init__(self, host: Host, name: str = "test.sock") -> None:
        self.path = Path(host.root, "run/listeners", name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(10)

    def hear(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.socket.recv(65536))
        return event

    def hear_of(self, name: str) -> dict[str, Any]:
        """The next event about this program; those before are dropped."""
        while True:
            event = self.hear()
            if event.get("program") == name:
                return event

    def silent(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(65536)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(10)
        return False

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(name="ear")
def ear_fixture(host: Host) -> Iterator[Ear]:
    ear = Ear(host)
    yield ear
    ear.close()


def application(host: Host, instance: str, strategy: str = "restart_application", *more: dict[str, Any]) -> None:
    """Defined and started under epoch 1."""
    host.define(instance, [
        program(BUS, 1, environment={"MUSTER_BUS": strategy}),
        gate("check", 2, ["dummy/say", "the bus answers", "0"], environment={"MUSTER_GATE": "1"}),
        *(program(name, 3) for name in sorted(MEMBERS)), *more,
    ])
    assert host.do("start", instance, 1)["result"] == "running"


def ended(*pids: int) -> None:
    wait_for(lambda: not any(procs.alive(pid) for pid in pids), "processes %r ended" % (pids,))


def ignores_term(pid: int) -> bool:
    ignored = Path("/proc/%d/status" % pid).read_text().split("SigIgn:")[1].split()[0]
    return bool(int(ignored, 16) >> (signal.SIGTERM - 1) & 1)


def collected(host: Host, instance: str, name: str) -> None:
    """Until supervisord knows of the end of a program, so that its listener has done what it does."""
    wait_for(lambda: " EXITED " in host.ctl("status", "%s:%s" % (instance, name)).stdout, "%s was collected" % name)
