# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the state of a site on the lab: the monitor's last document, and whether everything is at rest."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.integration.local_site import facts, wait_for
from tests.lab.site import LabSite


def lines(site: LabSite) -> dict[str, str]:
    return {host: seen["line"] for host, seen in facts(site).get("hosts", {}).items()}


def believed(site: LabSite, host: str) -> str:
    return str(json.loads((site.state / "watch.json").read_text())["hosts"][host]["state"])


def all_used(site: LabSite, drained: str = "") -> bool:
    """A line to every host, and all of them believed up but the one that is drained."""
    managed = site.lab.names.managed
    states = {host: believed(site, host) for host in managed}
    return lines(site) == dict.fromkeys(managed, "fine") and states == {
        host: "drained" if host == drained else "up" for host in managed
    }


def settle(site: LabSite, services: Iterable[str]) -> None:
    """Every host is on, reachable and used, every service runs in full and a run is parked."""
    site.lab.switch.heal()
    for host in site.lab.names.managed:
        site.lab.thaw(host)
    site.lab.boot(*site.lab.names.hosts)
    wait_for(lambda: all_used(site), "all hosts are used", site.monitor_log, 90)
    for name in services:
        wait_for(lambda: site.whole(name), name + " runs in full", site.monitor_log, 90)  # noqa: B023
    wait_for(lambda: facts(site).get("standby") == "parked", "a parked run", site.monitor_log, 90)
