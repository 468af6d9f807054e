# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to the API of a site for its tests: sockets, ports, and the commands of a console and of the controller."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.api_client import Client
from tests.integration.local_site import API_PORT, ROOT, SiteLab

ON_LAB = os.environ.get("MUSTER_TEST_SITE") == "lab"


def console(lab: SiteLab, number: int) -> Client:
    return Client(lab.root("console_%d" % number) / "run" / "api.sock")


def page(lab: SiteLab, number: int) -> Client:
    """A browser at the host with this last part of its address. Hosts of the lab have no such way to the controller,
    so it is at the controller there.
    """
    return Client(lab.state / "run" / "api.sock") if ON_LAB else Client((lab.net + ".%d" % number, API_PORT))


def last_event(api: Client) -> int:
    return int(api.get("/events?limit=1").json["last"])


def listeners(port: int) -> list[str]:
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        where, state = line.split()[1], line.split()[3]
        address, _, number = where.partition(":")
        if state == "0A" and int(number, 16) == port:
            found.append(".".join(str(byte) for byte in reversed(bytes.fromhex(address))))
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        if line.split()[3] == "0A" and int(line.split()[1].partition(":")[2], 16) == port:
            found.append("ipv6")
    return found


def at_a_console(lab: SiteLab, *words: str) -> tuple[int, str]:
    """The command for people of consoles. :return: exit code and what it printed."""
    program = "import sys; from monitor.core.client import console as c; c.find = lambda *_: %r; sys.exit(c.main())"
    done = subprocess.run(
        [sys.executable, "-c", program % str(lab.root("console_1") / "run" / "api.sock"), *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def at_the_controller(lab: SiteLab, *words: str) -> tuple[int, str]:
    done = lab.muster(*words)
    return done.rc, done.output


def verdict_of(status: dict[str, Any], item: str) -> tuple[str, str]:
    entry = next(entry for entry in status["items"] if entry["item"] == item)
    return entry["verdict"], entry["cause"]
