# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of everything a lab makes: they are how it is found again and removed, whatever became of who made it."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

SERVERS = ("server_1", "server_2", "server_3")
CONSOLES = ("console_1", "console_2", "console_3")
CONTROLLER = "controller"
DESK = "desk"
RUN = Path("/run")
PREFIX = "muster-lab-"
NEEDED = {
    "systemd-nspawn": "systemd-container", "sshd": "openssh-server", "ssh": "openssh-client", "ip": "iproute2",
    "nft": "nftables", "nsenter": "util-linux", "dbus-daemon": "dbus", "sudo": "sudo", "supervisord": "supervisor",
}  # fmt: skip
_LAST = {"server": 10, "console": 20}  # last part of an address: server_1 is .11, console_1 is .21


class LabError(Exception):
    """The lab cannot do it; the text is one sentence."""


@dataclass(frozen=True)
class Names:
    """A lab's names; two labs differ in theirs and can stand side by side, with the same addresses if need be."""

    lab: str = "lab"
    net: str = "10.77.0"  # /24 of the switch, of no meaning outside
    servers: tuple[str, ...] = SERVERS
    consoles: tuple[str, ...] = CONSOLES
    controllers: tuple[str, ...] = (CONTROLLER,)  # have checkout and key; more are among servers
    debian: str = field(default_factory=lambda: os.environ.get("LAB_DEBIAN", ""))  # of the hosts; "": as this machine

    def __post_init__(self) -> None:
        """:raises LabError: for a name that namespaces and cgroups could not have."""
        if not re.fullmatch(r"[a-z0-9]{1,16}", self.lab):
            raise LabError(f"a lab cannot be named {self.lab!r}: 1 to 16 small letters and digits")
        if not re.fullmatch(r"\d{1,3}\.\d{1,3}\.\d{1,3}", self.net):
            raise LabError(f"{self.net!r} is not the first three parts of an address, like 10.77.0")
        if not re.fullmatch(r"[a-z]{0,16}", self.debian):
            raise LabError(f"LAB_DEBIAN is the name of a release, such as trixie, not {self.debian!r}")

    @property
    def managed(self) -> tuple[str, ...]:
        return (*self.servers, *self.consoles)

    @property
    def hosts(self) -> tuple[str, ...]:
        return (CONTROLLER, *self.managed)

    @property
    def folder(self) -> Path:
        """A tmpfs is mounted there; everything the lab writes is in it."""
        return RUN / (PREFIX + self.lab)

    @property
    def lock(self) -> Path:
        return RUN / (PREFIX + self.lab + ".lock")

    @property
    def cgroup(self) -> str:
        return PREFIX + self.lab

    def of(self, host: str) -> Path:
        return self.folder / host

    def address(self, host: str) -> str:
        if host in (CONTROLLER, DESK):
            return f"{self.net}.{5 if host == CONTROLLER else 4}"
        kind, _unused, number = host.partition("_")
        return f"{self.net}.{_LAST[kind] + int(number)}"

    def hardware(self, host: str) -> str:
        """Fixed: a host that is booted again keeps it, or its peers would look for the old one for seconds."""
        return "02:1a:b0:00:00:%02x" % int(self.address(host).rpartition(".")[2])

    def namespace(self, host: str) -> str:
        return f"{PREFIX}{self.lab}-{host}"

    @property
    def switch(self) -> str:
        return self.namespace("switch")

    def port(self, host: str) -> str:
        """The switch's port of a host."""
        return "p-" + host


def missing() -> str:
    """ "" when a lab can be made here, else the sentence that says why not."""
    if os.geteuid() != 0:
        return "the lab boots hosts in namespaces, which needs root"
    absent = {command: package for command, package in NEEDED.items() if shutil.which(command) is None}
    if absent:
        return f"the lab needs {', '.join(absent)} (Debian: apt install {' '.join(sorted(set(absent.values())))})"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "the lab needs overlay file systems, which this kernel does not have"
    return ""
