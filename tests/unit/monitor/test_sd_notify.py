# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's messages to systemd, read from a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.tell.sd_notify import STATUS_CHARACTERS, Notify


class Ear:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        lines: list[str] = []
        while True:
            try:
                lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    made = Ear(str(tmp_path / "notify") if request.param == "path" else "@muster-test-%d" % os.getpid())
    yield made
    made.close()


def test_ready_is_sent_once_and_only_after_the_watch_list_was_looked_for(ear: Ear) -> None:
    notify = Notify({"NOTIFY_SOCKET": ear.address})
    notify.turned(0.0, False, "")
    assert ear.heard() == []
    notify.turned(1.0, True, "")
    assert ear.heard() == ["READY=1"]
    notify.turned(2.0, True, "")
    assert ear.heard() == []
    notify.stopping()
    assert ear.heard() == ["STOPPING=1"]


def test_signs_of_life_come_four_times_in_the_watchdogs_interval(ear: Ear) -> None:
    notify = Notify({"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())})
    told = []
    for tenth in range(81):
        notify.turned(100.0 + tenth / 10, False, "")
        told += ear.heard()
    assert told == ["WATCHDOG=1"] * 5  # at 0, 2, 4, 6 and 8 s


def test_a_watchdog_of_another_process_is_not_ours(ear: Ear) -> None:
    Notify({"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}).turned(5.0, False, "")
    assert ear.heard() == []


def test_the_last_sentence_is_one_line_and_sent_when_it_changes(ear: Ear) -> None:
    notify = Notify({"NOTIFY_SOCKET": ear.address})
    notify.turned(0.0, False, "health: two\nlines\nREADY=1")
    assert ear.heard() == ["STATUS=health: two lines READY=1"]
    notify.turned(1.0, False, "health: two\nlines\nREADY=1")
    assert ear.heard() == []
    notify.turned(2.0, False, "x" * 1000)
    assert ear.heard() == ["STATUS=" + "x" * STATUS_CHARACTERS]


def test_what_the_monitor_starts_does_not_find_the_socket(ear: Ear) -> None:
    environ = {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "PATH": "/bin"}
    Notify(environ)
    assert environ == {"PATH": "/bin"}


def test_a_socket_without_a_listener_is_no_error(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        notify = Notify(environ)
        notify.turned(0.0, True, "x")
        notify.stopping()
