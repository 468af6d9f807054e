# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In a network namespace of its own, as root: a real bus whose port a firewall closes, and what follows for its host.

usage: behind_a_firewall.py "drop" | "reject with tcp reset". Prints JSON: what the probe saw, and the verdicts on the
host as of some moments after its line was lost.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from monitor.judge.bus_signals import BusSignals
from monitor.judge.health import Health
from monitor.judge.hosts import Hosts, Signal
from tests.integration.probes.probing import Seen, probing
from tests.integration.probes.real_buses import bus, until

OTHERS = ("s2", "s3")
AFTER = 2.0  # host_down_after


def close(port: int, verdict: str) -> None:
    chain = "type filter hook input priority 0; tcp dport %d %s;" % (port, verdict)
    rules = "table ip closed { chain input { %s }; }\n" % chain
    subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True)


async def scenario(verdict: str) -> dict[str, object]:
    seen, loop = Seen(), asyncio.get_running_loop()
    with bus() as server:
        close(server.port, verdict)
        with probing(server.port, seen):
            await until(lambda: len(seen.results) >= 4, "four results", 60.0)
    lost = loop.time()
    health = Health(seen.results[0].at - 1.0, failures=3, interval=0.2, timeout=0.3)
    for result in seen.results:
        health.note(result)
    hosts, signals, states = Hosts(), BusSignals(), []
    hosts.follow(["s1", *OTHERS])
    for name in ("s1", *OTHERS):
        hosts.line(name, Signal.FINE, "", lost - 10.0)
    hosts.line("s1", Signal.LOST, "no line to s1: Connection refused", lost)
    for later in (0.0, 1.9, 2.1, 3.0, 30.0):
        buses = signals.judge([("s1", health)], hosts.lines(), lost + later)
        states.append(hosts.judge(buses, ["s1"], [], AFTER, lost + later)["s1"].state)
    return {"kinds": sorted({r.kind.value for r in seen.results}), "bus": health.state(lost).value, "host": states}


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(json.dumps(asyncio.run(scenario(sys.argv[1]))))
