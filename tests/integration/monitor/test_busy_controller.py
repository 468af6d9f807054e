# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real site on a controller at a load of 30: all is repaired, later, and no run is thrown away.

muster's own campaign on booted hosts, at a load of 30 to 50: runs were ended by their deadline before Ansible had
started, four at a time, and nothing moved for 127 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from monitor.base import usage
from tests.integration.busy_loops import loops
from tests.integration.local_site import SiteLab, site_lab, wait_for

LOAD = 30
WITHIN = 400.0


def events(lab: SiteLab, *kinds: str) -> list[str]:
    lines = [line for line in lab.monitor_log().splitlines() if line.startswith("{")]
    return [line for line in lines if json.loads(line).get("event") in kinds]


def thrown_away(lab: SiteLab) -> list[str]:
    """Runs that are over and did not come to their end."""
    alive = {Path("/proc/%s/cmdline" % pid) for pid in os.listdir("/proc") if pid.isdigit()}
    living = set()
    for path in alive:
        with contextlib.suppress(OSError):
            living.update(path.read_bytes().decode("utf-8", "replace").split("\0"))
    found = []
    for folder in (lab.state / "artifacts").iterdir():
        if str(folder / "job.json") in living:
            continue
        said = folder / "stdout"
        if not said.exists() or "PLAY RECAP" not in said.read_text(errors="replace"):
            found.append(folder.name)
    return found


@pytest.mark.long
def test_at_a_load_of_30_everything_is_repaired_and_no_run_is_thrown_away() -> None:
    with site_lab(48) as lab:
        lab.start_monitor()
        before = {name: claim["epoch"] for name, claim in lab.claims().items()}
        with loops(LOAD):
            wait_for(usage.busy, "a busy machine", within=120)
            for name in ("scen2_srv_01", "scen2_srv_02"):  # the first takes the run that is parked, the second has none
                os.kill(lab.bus(name), signal.SIGKILL)
                wait_for(lambda: lab.whole(name, before[name]), "%s runs again" % name, lab.monitor_log, WITHIN)  # noqa: B023
            lost = lab.claims()["scen2_srv_03"]["host"]
            there = sorted(name for name, claim in lab.claims().items() if claim["host"] == lost)
            before = {name: claim["epoch"] for name, claim in lab.claims().items()}
            lab.machine("power_cut", lost)
            for name in there:
                wait_for(lambda: lab.whole(name, before[name]), "%s runs elsewhere" % name, lab.monitor_log, WITHIN)  # noqa: B023
                assert lab.claims()[name]["host"] != lost
            assert events(lab, "standby failed", "run failed", "no runs") == [], lab.monitor_log()
            assert thrown_away(lab) == [], lab.monitor_log()
        lab.machine("power_on", lost)
        wait_for(lambda: lab.seen()["monitor"]["state"] == "running", "the monitor goes on", lab.monitor_log, WITHIN)
