# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight as the monitor's account: not whether it may write, but whether the door opens. With a real sudo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.cli.own_etc import Etc, needs_etc
from tests.integration.local_site import BIN, ROOT, Played

pytestmark = needs_etc
ACCOUNT = 6100
SHELL = (
    '#!/bin/sh\n[ "$(id -u)" != 0 ] || exec setpriv --reuid %d --regid %d --clear-groups /bin/sh "$@"\nexec sh "$@"\n'
)
DOOR = """
- hosts: server_1
  gather_facts: false
  vars_files: [{role}/defaults/main.yml, {role}/vars/main.yml]
  tasks:
    - template: {{src: "{role}/templates/agent_door.py.j2", dest: "{{{{ monitor_agent }}}}", mode: "0755"}}
    - template: {{src: "{role}/templates/sudoers.j2", dest: "{{{{ monitor_agent_rule }}}}", mode: "0440"}}
"""
FILES = "from ansible_collections.control_room.muster.plugins.plugin_utils import _host_call as call; import json; "


class Host:
    """server_1, where everything is done as the account muster, which may call the agent as root by its door."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "muster"
        self.etc = Etc(folder / "etc")
        self.etc.add_user("muster", ACCOUNT, ACCOUNT, str(folder))
        (self.etc.folder / "sudoers").write_text("root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n")
        self.rules = self.etc.folder / "sudoers.d"
        shutil.rmtree(self.rules, ignore_errors=True)
        self.rules.mkdir()
        self.local = folder / "local"
        (self.local / "libexec").mkdir(parents=True)
        self.shell = folder / "shell"
        self.shell.write_text(SHELL % (ACCOUNT, ACCOUNT))
        self.shell.chmod(0o755)
        self.inventory = folder / "inventory"
        shutil.copytree(ROOT / "inventory" / "example", self.inventory)
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {
            "muster_controller": {"hosts": {"controller": {}}},
            "servers": {"hosts": {"server_1": {"ansible_host": "192.0.2.11"}}},
            "consoles": {"hosts": {"console_1": {"ansible_host": "192.0.2.21"}}},
            "muster_hosts": {"children": {"servers": {}, "consoles": {}}},
        }}}))  # fmt: skip
        self.variables = {
            "ansible_connection": "local", "ansible_user": "muster", "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_become": False, "muster_root": str(self.root), "muster_service_manager": "systemd",
            "muster_agent_sudo": True, "muster_state_dir": str(folder / "state"),
        }  # fmt: skip
        play = folder / "door.yml"
        play.write_text(DOOR.format(role=ROOT / "roles" / "monitor"))
        made = self._play(play, as_root=True)
        assert made.rc == 0, made.output

    def _play(self, book: object, as_root: bool = False) -> Played:
        done = subprocess.run(
            self.etc.inside(BIN / "ansible-playbook", "-i", self.inventory, str(book), "--limit", "controller,server_1",
                            "-e", json.dumps(self.variables), folder=ROOT, local=self.local),
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(self.folder / "home"),
                 **({} if as_root else {"ANSIBLE_EXECUTABLE": str(self.shell)})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180,
            check=False,
        )  # fmt: skip
        return Played(done.returncode, " ".join(done.stdout.split()))

    def preflight(self) -> Played:
        return self._play("control_room.muster.preflight")

    def deploy(self) -> Path:
        """Install the agent as a deploy does. :return: its folder."""
        bundle = json.loads(subprocess.run(
            [sys.executable, "-c", FILES + "print(json.dumps(call.agent_bundle()))"], stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "collections")}, check=True,
        ).stdout)  # fmt: skip
        library = self.root / "lib" / bundle["hash"]
        for name, text in {"__init__.py": "", **bundle["files"]}.items():
            path = library / "muster_host" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.root.chmod(0o750)
        return library


@pytest.fixture(scope="module")
def made() -> Iterator[Host]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Host(Path(folder))


@pytest.fixture
def host(made: Host) -> Host:
    shutil.rmtree(made.root, ignore_errors=True)
    return made


def test_an_open_door_is_all_that_the_account_needs(host: Host) -> None:
    before = host.preflight()
    assert before.rc == 0, before.output
    assert "no agent of this version is there: an administrator deploys" in before.output
    library = host.deploy()
    after = host.preflight()
    assert after.rc == 0 and "administrator" not in after.output, after.output
    library.chmod(0o777)
    spoiled = host.preflight()
    assert spoiled.rc != 0 and "can be written by others than root" in spoiled.output


@pytest.mark.parametrize("what", ["rule", "door"])
def test_a_door_that_does_not_open_is_told(host: Host, what: str) -> None:
    host.deploy()
    [path] = (host.rules if what == "rule" else host.local / "libexec").iterdir()
    path.rename(host.folder / "away")
    try:
        played = host.preflight()
    finally:
        (host.folder / "away").rename(path)
    assert played.rc != 0
    assert "the agent's door does not open for muster" in played.output
    assert "may not write" not in played.output
