# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator may run the verbs of muster as its owner, by the rule of docs/installation.md, and no program of theirs.

With a real sudo and two real users, in an /etc of the test's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.own_etc import Etc, needs_etc
from tests.integration.local_site import ROOT

pytestmark = needs_etc
OWNER, OPERATOR, GROUP = 6100, 6101, 6102
EVIL = "#!/bin/sh\nid >>%s/ran\necho '{}'\n"


class Machine:
    """Two users, the rule of the documentation, and muster in a folder that everybody can read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opt = folder / "opt"
        for name in ("bin", "monitor", "plugins", "ansible.cfg"):
            source, target = ROOT / name, self.opt / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (self.opt / ".venv" / "bin").mkdir(parents=True)
        (self.opt / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
        self.ansible = self.opt / ".venv" / "bin" / "ansible-playbook"  # says with what it was called
        self.seen = folder / "seen"
        self.seen.mkdir()
        self.seen.chmod(0o777)
        self.ansible.write_text(
            '#!/bin/sh\nenv >%s/env\npwd >%s/folder\necho "$*" >%s/words\n'
            'for word; do case $word in @*) cat "${word#@}" >%s/variables ;; esac; done\n' % ((self.seen,) * 4)
        )
        self.ansible.chmod(0o755)
        self.state = folder / "state"
        (self.state / "run").mkdir(parents=True)
        self.inventory = folder / "inventory"
        self.inventory.write_text("all:\n")
        (self.state / "site.json").write_text("{}")
        (self.state / "run" / "places.json").write_text(json.dumps({"inventory": [str(self.inventory)]}))
        self._own(self.state, OWNER)
        self.state.chmod(0o700)
        self.home = folder / "operator"
        self.home.mkdir()
        self.etc = self._etc(folder / "etc")

    def _etc(self, folder: Path) -> Etc:
        made, etc = Etc(folder), folder
        made.add_user("muster", OWNER, OWNER, str(self.folder))
        made.add_user("eve", OPERATOR, GROUP, str(self.home))
        made.add_line("group", "operators:x:%d:\nmuster:x:%d:" % (GROUP, OWNER))
        shown = (ROOT / "docs" / "installation.md").read_text()
        (rule,) = re.findall(r"`(%operators [^`]*)`", shown)
        (etc / "sudoers").write_text(
            "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%s\n" % rule.replace("/opt/muster", str(self.opt))
        )
        (etc / "sudoers").chmod(0o440)
        (etc / "muster").mkdir(exist_ok=True)
        (etc / "muster" / "state").symlink_to(self.state)
        return made

    def _own(self, path: Path, user: int) -> None:
        for each in (path, *path.rglob("*")):
            os.chown(each, user, user)

    def operator(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`sudo -u muster muster WORDS`, typed by eve in a folder of hers."""
        keep = ["--preserve-env"] if variables else []
        command = ["sudo", "-n", *keep, "-u", "muster", self.opt / "bin/muster", *words]
        user = () if variables else ("setpriv", "--reuid", str(OPERATOR), "--regid", str(GROUP), "--clear-groups")
        return subprocess.run(
            self.etc.inside(*user, *command, folder=self.home),
            env={"PATH": "%s:%s" % (self.home, os.defpath), "HOME": str(self.home), **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def plant(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(EVIL % self.seen)
        path.chmod(0o755)
        return path

    def ran(self) -> str:
        path = self.seen / "ran"
        return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def made() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Machine(Path(folder))


@pytest.fixture
def machine(made: Machine) -> Machine:
    for folder in (made.home, made.seen):
        shutil.rmtree(folder)
        folder.mkdir()
    made.seen.chmod(0o777)
    return made


def test_the_rule_of_the_documentation_lets_an_operator_work_with_the_installed_site(machine: Machine) -> None:
    asked = machine.operator("reconcile", "--reason", "{{ lookup('pipe', 'id') }}")
    assert asked.returncode == 0, asked
    words = (machine.seen / "words").read_text()
    assert "-i %s" % machine.inventory in words
    assert "control_room.muster.reconcile" in words
    given = (machine.seen / "variables").read_text()
    assert '"muster_who": "eve"' in given
    assert '"muster_why": {"__ansible_unsafe": "{{' in given
    assert "eve" not in words, "everybody may read the arguments of a process"


@pytest.mark.parametrize("words", [("-i", "%s", "reconcile"), ("plan", "--inventory=%s"), ("check", "-i", "%s")])
def test_no_inventory_of_theirs_is_run(machine: Machine, words: tuple[str, ...]) -> None:
    planted = machine.plant(machine.home / "inventory.sh")
    refused = machine.operator(*(word.replace("%s", str(planted)) for word in words))
    assert refused.returncode == 2 and "leave out -i" in refused.stderr, refused
    assert not machine.ran() and not (machine.seen / "words").exists()


def test_no_state_folder_of_theirs_is_read(machine: Machine) -> None:
    """One names the inventory to work with."""
    planted = machine.plant(machine.home / "inventory.sh")
    state = machine.home / ".muster" / "state"
    (state / "run").mkdir(parents=True)
    (state / "run" / "places.json").write_text(json.dumps({"inventory": [str(planted)]}))
    refused = machine.operator("--state-dir", str(state), "reconcile")
    assert refused.returncode == 2 and "leave out --state-dir" in refused.stderr, refused
    assert machine.operator("reconcile").returncode == 0
    assert str(machine.inventory) in (machine.seen / "words").read_text()
    assert str(planted) not in (machine.seen / "words").read_text()


def test_no_settings_and_no_program_of_theirs_count(machine: Machine) -> None:
    (machine.home / "ansible.cfg").write_text("[defaults]\ncallback_plugins = .\n")
    for name in ("python3", "dirname", "readlink", "ansible-playbook"):
        machine.plant(machine.home / name)
    assert machine.operator("reconcile").returncode == 0
    environment = (machine.seen / "env").read_text()
    assert "ANSIBLE_CONFIG=%s/ansible.cfg\n" % machine.opt in environment
    assert str(machine.home) not in environment
    assert (machine.seen / "folder").read_text() == "/\n"
    assert not machine.ran()


def test_not_even_where_sudo_keeps_their_variables(machine: Machine) -> None:
    planted = machine.plant(machine.home / "inventory.sh")
    (machine.home / "sitecustomize.py").write_text("open(%r, 'w').write('x')\n" % str(machine.seen / "ran"))
    done = machine.operator(
        "reconcile",
        ANSIBLE_CONFIG=str(machine.home / "ansible.cfg"), ANSIBLE_STRATEGY_PLUGINS=str(machine.home),
        MUSTER_INVENTORY=str(planted), MUSTER_STATE_DIR=str(machine.home), MUSTER_PYTHON=str(planted),
        PYTHONPATH=str(machine.home), MUSTER_HOST="console_1", MUSTER_HOST_ROOT=str(machine.home),
    )  # fmt: skip
    assert done.returncode == 0, done
    environment = (machine.seen / "env").read_text()
    assert str(machine.home) not in environment
    assert "MUSTER_HOST=console_1\n" in environment
    assert "-i %s " % machine.inventory in (machine.seen / "words").read_text()
    assert not machine.ran()


def test_deploy_is_an_administrators(machine: Machine) -> None:
    refused = machine.operator("deploy")
    assert refused.returncode == 2 and "an administrator" in refused.stderr, refused
    assert not (machine.seen / "words").exists()
