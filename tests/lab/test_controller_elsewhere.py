# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks run on a machine that is not the controller: ledger and published state are reached over ssh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.local_site import Played
from tests.lab import inventory
from tests.lab.disks import ROOT
from tests.lab.hosts import Lab
from tests.lab.names import CONTROLLER
from tests.lab.site import LabSite

STATE = "/opt/state_of_desk"


class Desk:
    """A machine with the checkout and keys, from which a person runs playbooks."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.inventory = folder / "inventory"
        everybody = self.inventory / "group_vars" / "all"
        everybody.mkdir(parents=True)
        (everybody / "site.yml").write_text(inventory.SITE.read_text())
        reached = inventory.reached("root", str(lab.keys.private))
        reached["ansible_ssh_common_args"] = f"-o UserKnownHostsFile={lab.keys.known_hosts}"
        settings = {**inventory.settings("supervisor"), **reached, "muster_state_dir": STATE}
        (everybody / "lab.yml").write_text(yaml.safe_dump(settings))
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(inventory.hosts(lab)))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def play(self, name: str, *arguments: str, **variables: object) -> Played:
        playbook = "control_room.muster." + name
        command = self.lab.at_desk("ansible-playbook", "-i", str(self.inventory), playbook, *arguments)
        command += ["-e", json.dumps({"muster_" + key: value for key, value in variables.items()})]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=180, check=False,
        )  # fmt: skip
        return Played(done.returncode, done.stdout)

    def good(self, name: str, **variables: object) -> Played:
        played = self.play(name, **variables)
        assert played.rc == 0, played.output
        return played


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(lab, tmp_path_factory.mktemp("d"))
    made.good("deploy")
    yield made
    assert made.good("remove", confirm=True).rc == 0


def running(desk: Desk) -> set[str]:
    site = LabSite.__new__(LabSite)
    site.lab = desk.lab
    return {process.instance for process in site.processes() if process.epoch}


def test_a_deploy_from_there_runs_everything_and_a_second_one_changes_nothing(desk: Desk) -> None:
    assert running(desk) == {"scen2_srv_01", "scen2_srv_02", "scen2_srv_03"}
    assert desk.good("deploy").changed == 0
    assert not (desk.inventory.parent / "state").exists()


def test_ledger_and_published_state_are_on_the_controller_only(desk: Desk) -> None:
    listed = desk.lab.run(CONTROLLER, "ls", STATE).split()
    assert {"ledger.db", "site.json", "watch.json"} <= set(listed)
    assert not Path(STATE).exists()


def test_requests_from_there_are_carried_out_and_answered(desk: Desk) -> None:
    desk.good("stop", instances=["scen2_srv_01"])
    assert "scen2_srv_01" not in running(desk)
    assert "scen2_srv_01" in desk.good("status").output
    desk.good("start", instances=["scen2_srv_01"])
    assert "scen2_srv_01" in running(desk)
    refused = desk.play("start", instances=["scen2_srv_99"])
    assert refused.rc != 0
    assert "scen2_srv_99" in refused.output


def test_check_mode_from_there_changes_nothing_on_the_controller(desk: Desk) -> None:
    before = desk.lab.run(CONTROLLER, "sha256sum", f"{STATE}/watch.json")
    played = desk.play("stop", "--check", instances=["scen2_srv_02"])
    assert played.rc == 0, played.output
    assert "stop scen2_srv_02" in played.output
    assert desk.lab.run(CONTROLLER, "sha256sum", f"{STATE}/watch.json") == before
    assert "scen2_srv_02" in running(desk)
