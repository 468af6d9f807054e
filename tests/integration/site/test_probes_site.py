# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of every kind on a real site: several at one bus, a plug-in that a person holds, and one in shadow."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.local_site import ROOT, SiteLab, facts, site_lab, wait_for

_CHECK = """#!%s -S
import sys
from pathlib import Path
said = Path(sys.argv[1]) / sys.argv[2]
if not said.exists():
    sys.exit(0)
code, line = said.read_text().split(" ", 1)
print(line)
sys.exit(int(code))
"""


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plug-in that says OK, or what `<its folder>/<instance>` tells it to: exit code and line."""
    path = tmp_path_factory.mktemp("plug-in") / "check"
    path.write_text(_CHECK % sys.executable, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def lab(plug_in: Path) -> Iterator[SiteLab]:
    site = yaml.safe_load((ROOT / "inventory/local/group_vars/all/site.yml").read_text(encoding="utf-8"))
    applications = site["muster_applications"]
    command = [str(plug_in), str(plug_in.parent), "{instance}"]
    applications["scen2_srv"]["bus"] = {
        "program": "internal_data_bus",
        "probe": {
            "all_of": [
                {"type": "nats", "port": "client"},
                {"type": "http", "port": "monitor", "path": "/healthz", "text": "ok"},
                {"type": "process"},
                {"type": "exec", "command": command, "interval": 0.3, "failures": 2},
            ]
        },
    }
    applications["scen2_hci"]["bus"]["shadow"] = True
    with site_lab(53, muster_applications=applications) as deployed:
        deployed.start_monitor()
        yield deployed


def bus(lab: SiteLab, instance: str) -> dict[str, Any]:
    return dict((facts(lab).get("buses") or {}).get(instance, {}))


def healthy(lab: SiteLab, instance: str, after: int = 0) -> bool:
    seen = bus(lab, instance)
    return seen.get("state") == "healthy" and seen.get("epoch", 0) > after


def events(lab: SiteLab, event: str) -> list[dict[str, Any]]:
    found = []
    for line in lab.monitor_log().splitlines():
        if line.startswith("{") and '"event": "%s"' % event in line:
            found.append(json.loads(line))
    return found


@pytest.mark.long
def test_several_probes_agree_that_a_bus_works(lab: SiteLab) -> None:
    wait_for(lambda: healthy(lab, "scen2_srv_01"), "a healthy bus", lambda: bus(lab, "scen2_srv_01"))
    parts = bus(lab, "scen2_srv_01")["parts"]
    assert [part["probe"] for part in parts] == ["nats", "http", "process", "exec"]


@pytest.mark.long
def test_a_killed_bus_is_restarted(lab: SiteLab) -> None:
    wait_for(lambda: healthy(lab, "scen2_srv_01"), "a healthy bus", lambda: bus(lab, "scen2_srv_01"))
    epoch = lab.claims()["scen2_srv_01"]["epoch"]
    os.kill(lab.bus("scen2_srv_01"), signal.SIGKILL)
    wait_for(lambda: healthy(lab, "scen2_srv_01", epoch), "its successor", lab.monitor_log)


@pytest.mark.long
def test_a_warning_is_shown_in_the_status_and_an_unknown_state_restarts_nothing(lab: SiteLab, plug_in: Path) -> None:
    wait_for(lambda: healthy(lab, "scen2_srv_02"), "a healthy bus", lambda: bus(lab, "scen2_srv_02"))
    epoch, said = lab.claims()["scen2_srv_02"]["epoch"], plug_in.parent / "scen2_srv_02"
    try:
        said.write_text("1 the disk is nearly full")
        wait_for(lambda: bus(lab, "scen2_srv_02").get("warning"), "the warning", lambda: bus(lab, "scen2_srv_02"))
        assert healthy(lab, "scen2_srv_02")
        text = lab.muster("status").output
        assert "the bus of scen2_srv_02 works, with a warning: exec: the disk is nearly full" in text
        said.write_text("3 nobody knows")
        wait_for(lambda: bus(lab, "scen2_srv_02").get("state") == "unknown", "the doubt", lab.monitor_log)
        assert "whether the bus of scen2_srv_02 works is not known: exec: nobody knows" in lab.muster("status").output
    finally:
        said.unlink()
    wait_for(lambda: healthy(lab, "scen2_srv_02"), "a healthy bus again", lambda: bus(lab, "scen2_srv_02"))
    assert lab.claims()["scen2_srv_02"]["epoch"] == epoch


@pytest.mark.long
def test_a_plug_in_that_says_critical_has_the_instance_restarted_with_its_words(lab: SiteLab, plug_in: Path) -> None:
    wait_for(lambda: healthy(lab, "scen2_srv_03"), "a healthy bus", lambda: bus(lab, "scen2_srv_03"))
    epoch, said = lab.claims()["scen2_srv_03"]["epoch"], plug_in.parent / "scen2_srv_03"
    said.write_text("2 the antenna fell off")
    try:
        wait_for(lambda: lab.claims()["scen2_srv_03"]["epoch"] > epoch, "a restart", lab.monitor_log)
    finally:
        said.unlink()
    assert any(entry["why"].endswith("hangs: exec: the antenna fell off") for entry in events(lab, "intent"))
    wait_for(lambda: healthy(lab, "scen2_srv_03", epoch), "a healthy bus again", lab.monitor_log)


@pytest.mark.long
def test_a_probe_in_shadow_tells_what_it_would_do_and_does_nothing(lab: SiteLab) -> None:
    opened = lab.muster("open", "02", "--console", "console_2")
    assert opened.rc == 0, opened.output
    wait_for(lambda: healthy(lab, "scen2_hci_02"), "a healthy bus", lambda: bus(lab, "scen2_hci_02"))
    claim, pid = lab.claims()["scen2_hci_02"], lab.bus("scen2_hci_02")
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: facts(lab).get("shadow"), "what would be done", lab.monitor_log)
        assert facts(lab)["intents"] == []
        assert "would stop scen2_hci_02, but its probe is in shadow: " in lab.muster("status").output
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: facts(lab).get("shadow") == [], "nothing to do any more", lab.monitor_log)
    told = [entry for entry in events(lab, "would act") if entry["instance"] == "scen2_hci_02"]
    assert [entry["what"] for entry in told] == ["stop"]
    assert (lab.claims()["scen2_hci_02"]["epoch"], lab.bus("scen2_hci_02")) == (claim["epoch"], pid)
