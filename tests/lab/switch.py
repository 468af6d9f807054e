# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch: one bridge, one port per host, and what can go wrong with a cable.

A fault is put where a real one is: at the switch, so that the host itself sees what it would see, and nothing else.
"""

from __future__ import annotations

import json
import subprocess

from tests.lab.names import DESK, LabError, Names

BRIDGE = "switch0"
TABLE = "lab"


def command(*words: str, check: bool = True, data: str | None = None) -> str:
    """Output of a command.

    :raises LabError: with its last words, when it fails.
    """
    done = subprocess.run(words, input=data, text=True, capture_output=True, check=False)
    if check and done.returncode:
        raise LabError(f"{' '.join(words)}: {(done.stderr or done.stdout).strip() or done.returncode}")
    return done.stdout


class Switch:
    def __init__(self, names: Names) -> None:
        self._names = names

    def up(self) -> None:
        names = self._names
        self._add(names.switch)
        self._ip("link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "mcast_snooping", "0", "forward_delay", "0")
        self._ip("link", "set", "dev", BRIDGE, "up")
        self._nft(
            f"add table bridge {TABLE}; add chain bridge {TABLE} cables {{ type filter hook forward priority 0; }}"
        )
        for host in (*names.hosts, DESK):
            self._add(names.namespace(host))
            self.plug(host)

    def plug(self, host: str) -> None:
        """A host's network card, as new: with it go all connections of an earlier life."""
        names = self._names
        namespace = names.namespace(host)
        command("ip", "-n", namespace, "link", "del", "dev", "eth0", check=False)
        command("ip", "-n", namespace, "link", "add", "eth0", "address", names.hardware(host), "type", "veth",
                "peer", "name", names.port(host), "netns", names.switch)  # fmt: skip
        command("ip", "-n", namespace, "-batch", "-",
                data=f"addr add {names.address(host)}/24 brd + dev eth0\nlink set dev eth0 up\n")  # fmt: skip
        self._ip("link", "set", "dev", names.port(host), "master", BRIDGE)
        self._ip("link", "set", "dev", names.port(host), "up")

    def unplug(self, host: str) -> None:
        """The card is gone, with whatever it had still to send."""
        command("ip", "-n", self._names.namespace(host), "link", "del", "dev", "eth0", check=False)

    def pull(self, host: str, way: str = "both") -> None:
        """Pull a cable.

        :param way: both (the host sees that its link is down); out (what it sends is lost) or in (what is sent to it),
            which nobody sees but by silence.
        """
        port = self._names.port(host)
        if way == "both":
            self._ip("link", "set", "dev", port, "down")
        elif way in ("in", "out"):
            self._nft(f'add rule bridge {TABLE} cables {"iifname" if way == "out" else "oifname"} "{port}" drop')
        else:
            raise LabError(f"a cable is pulled both ways, in or out, not {way!r}")

    def part(self, one: str, other: str) -> None:
        """These two cannot reach each other any more; both reach everybody else."""
        first, second = self._names.port(one), self._names.port(other)
        for sender, receiver in ((first, second), (second, first)):
            self._nft(f'add rule bridge {TABLE} cables iifname "{sender}" oifname "{receiver}" drop')

    def heal(self, *hosts: str) -> None:
        """All cables of these hosts, or of all, are as new."""
        ports = {self._names.port(host) for host in hosts or self._names.hosts}
        for tool, line in (("ip", "link set dev %s up\n"), ("tc", "qdisc del dev %s root\n")):
            data = "".join(line % port for port in sorted(ports))
            command(tool, "-n", self._names.switch, "-force", "-batch", "-", data=data, check=False)
        listed = json.loads(self._nft("list chain bridge %s cables" % TABLE, "-j", "-a"))
        for entry in listed["nftables"]:
            rule = entry.get("rule")
            if rule and any(part.get("match", {}).get("right") in ports for part in rule["expr"]):
                self._nft(f"delete rule bridge {TABLE} cables handle {rule['handle']}")

    def slow(self, host: str, rate: str = "256kbit") -> None:
        """Limit the traffic to the host to this rate (in the format of tc); `heal` ends it."""
        port = self._names.port(host)
        command("tc", "-n", self._names.switch, "qdisc", "replace", "dev", port, "root", "tbf", "rate", rate,
                "burst", "8kb", "latency", "2s")  # fmt: skip

    def cables(self) -> dict[str, str]:
        """host -> up | down, as its port of the switch says."""
        ports = json.loads(self._ip("-j", "link", "show"))
        known = {port["ifname"]: "UP" in port["flags"] for port in ports}
        return {host: "up" if known.get(self._names.port(host)) else "down" for host in self._names.hosts}

    def _add(self, namespace: str) -> None:
        command("ip", "netns", "add", namespace)
        command("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
                "net.ipv6.conf.default.disable_ipv6=1", check=False)  # fmt: skip
        command("ip", "-n", namespace, "link", "set", "dev", "lo", "up")

    def _ip(self, *words: str) -> str:
        return command("ip", "-n", self._names.switch, *words)

    def _nft(self, words: str, *options: str) -> str:
        return command("ip", "netns", "exec", self._names.switch, "nft", *options, words)
