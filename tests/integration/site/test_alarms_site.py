# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms of a real site: what happened and repaired itself stays until somebody has seen it, also over a restart."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.integration.local_site import SiteLab, site_lab, wait_for

Json = dict[str, Any]


def alarms(lab: SiteLab) -> dict[str, Json]:
    played = lab.muster("alarms", "--json")
    return {alarm["id"]: alarm for alarm in json.loads(played.output)["alarms"]}


@pytest.mark.long
def test_a_bus_crash_that_repaired_itself_is_one_alarm_until_it_is_acknowledged() -> None:
    with site_lab(47, consoles=["console_1"], muster_items=["01", "02"]) as lab:
        lab.good("deploy")
        lab.start_monitor()
        wait_for(lambda: lab.verdict("01")["verdict"] == "operational", "item 01 runs", lab.monitor_log)
        before = lab.claims()["scen2_srv_01"]["epoch"]
        os.kill(lab.bus("scen2_srv_01"), signal.SIGKILL)
        wait_for(lambda: lab.whole("scen2_srv_01", before), "it is repaired", lab.monitor_log)
        wait_for(lambda: alarms(lab).get("item:01", {}).get("state") == "came and went", "it is an alarm",
                 lab.monitor_log)  # fmt: skip
        alarm = alarms(lab)["item:01"]
        assert (alarm["kind"], alarm["priority"], alarm["often"]) == ("bus", "medium", 1)
        assert alarm["says"].startswith("data bus of 01 crashed on ")
        assert list(alarms(lab)) == ["item:01"]

        lab.stop_monitor()
        assert alarms(lab)["monitor:silent"]["priority"] == "high"
        lab.start_monitor()
        wait_for(lambda: "monitor:silent" not in alarms(lab), "it judges again", lab.monitor_log)
        assert alarms(lab)["item:01"]["raised"] == alarm["raised"]

        dry = lab.muster("acknowledge", "item:01", "--dry-run")
        assert dry.rc == 0 and "item:01" in alarms(lab)
        wrong = lab.muster("acknowledge", "itm:01")
        assert (wrong.rc, "did you mean item:01?" in wrong.output) == (5, True), wrong.output
        assert lab.muster("acknowledge", "item:01", "--why", "seen").rc == 0
        wait_for(lambda: not alarms(lab), "it is over and seen", lab.monitor_log)

        assert lab.muster("shelve", "02", "--for", "30min", "--why", "a test").rc == 0
        os.kill(lab.program("scen2_srv_02", "config_manager"), signal.SIGKILL)
        wait_for(lambda: alarms(lab).get("item:02", {}).get("state") == "shelved", "it is shelved", lab.monitor_log)
        assert lab.muster("unshelve", "02").rc == 0
        wait_for(lambda: alarms(lab)["item:02"]["state"] != "shelved", "it is heard again", lab.monitor_log)

        assert lab.muster("restart", "02").rc == 0  # a program that may be missing is nobody's to repair
        assert lab.muster("acknowledge", "--all").rc == 0
        assert lab.muster("drill", "begin", "02").rc == 2, "it needs an end"
        begun = lab.muster("drill", "begin", "02", "--until", "30min", "--why", "exercise")
        assert begun.rc == 0 and "drill on item 02 by " in begun.output, begun.output
        os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
        wait_for(lambda: alarms(lab).get("item:02", {}).get("reason") == "drill", "it is a drill's", lab.monitor_log)
        wait_for(lambda: lab.verdict("02")["verdict"] == "operational", "it is repaired as ever", lab.monitor_log)
        assert alarms(lab)["item:02"]["state"] == "suppressed", "it stays apart while the drill lasts"
        handed = lab.muster("handover").output
        assert handed.count("drill on item 02 by ") >= 2 and "(exercise)" in handed, handed
        assert lab.muster("drill", "end", "02").rc == 0
        wait_for(lambda: "item:02" not in alarms(lab), "it went with its drill", lab.monitor_log)

        story = lab.muster("events", "--item", "01", "--since", "1h").output
        assert "came and went" in story and "operational -> " in story
        table = lab.muster("availability", "--csv").output.splitlines()
        assert table[0].startswith("item,available,operational,")
        assert [line.split(",")[0] for line in table[1:]] == ["01", "02"]
