# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role `host`: what it does to the accounts of a system. What a system lacks is asked by the agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.own_etc import Etc, needs_etc
from tests.integration.local_site import BIN, ROOT, Played

pytestmark = [*needs_etc, pytest.mark.long]
TASKS = "[{hosts: here, gather_facts: false, tasks: [{import_role: {name: control_room.muster.host, tasks_from: %s}}]}]"
OURS = "programs that muster runs"


class Machine:
    """This one, with an /etc of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etc = Etc(folder / "etc")
        (folder / "hosts.yml").write_text(
            "all: {hosts: {here: {ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}}}\n"
        )

    def play(self, tasks: str, *arguments: str, **variables: object) -> Played:
        path = self.folder / ("%s.yml" % tasks)
        path.write_text(TASKS % tasks)
        given = {"muster_root": "/srv/muster", "muster_service_manager": "systemd", **variables}
        done = subprocess.run(
            self.etc.inside(BIN / "ansible-playbook", "-i", self.folder / "hosts.yml", path, "-e", json.dumps(given),
                            *arguments, folder=ROOT),
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                 "ANSIBLE_HOME": str(self.folder / "ansible")},
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180,
            check=False,
        )  # fmt: skip
        return Played(done.returncode, done.stdout)

    def lacks_user(self, name: str) -> bool:
        """Whether the agent says that the user has to be made, as the role asks it."""
        wanted = {"name": name, "comment": OURS, "home": "/srv/muster", "shell": "/usr/sbin/nologin"}
        script = "import json, sys; from monitor.core.host import system; "
        script += "print(bool(system.lacking({'user': json.loads(sys.argv[1])})))"
        command = self.etc.inside(sys.executable, "-c", script, json.dumps(wanted), folder=ROOT)
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, timeout=60).stdout == "True\n"

    def account(self, name: str) -> tuple[str, str]:
        return self.etc.line("passwd", name), self.etc.line("shadow", name)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_user_of_the_programs_is_made_once(machine: Machine) -> None:
    assert machine.lacks_user("muster-programs")
    made = machine.play("user")
    assert made.rc == 0 and made.changed > 0, made.output
    entry = machine.account("muster-programs")[0].split(":")
    assert entry[4:] == [OURS, "/srv/muster", "/usr/sbin/nologin"]
    assert not machine.lacks_user("muster-programs")
    again = machine.play("user", "--diff")
    assert again.rc == 0 and again.changed == 0, again.output


def test_an_existing_account_stays_as_it_is(machine: Machine) -> None:
    machine.etc.add_user("eve", 6100, 100, "/home/eve", "Eve", "/bin/bash")
    shadow = machine.etc.folder / "shadow"
    shadow.write_text(shadow.read_text().replace("eve:*:", "eve:$6$salt$hash:"))
    before = machine.account("eve")
    assert not machine.lacks_user("eve")
    removed = machine.play("remove_user", muster_user="eve")
    assert removed.rc == 0 and removed.changed == 0, removed.output
    assert machine.account("eve") == before


def test_only_the_account_that_was_made_here_is_removed(machine: Machine) -> None:
    machine.play("user")
    told = machine.play("remove_user", "--check")
    assert told.rc == 0 and told.changed == 1, told.output
    gone = machine.play("remove_user")
    assert gone.rc == 0 and gone.changed == 1, gone.output
    assert machine.account("muster-programs") == ("", "") and not machine.etc.line("group", "muster-programs")
    assert machine.play("remove_user").changed == 0
    machine.etc.add_user("muster-programs", 6100, 100, "/home/x", "made by hand")
    before = machine.account("muster-programs")
    assert machine.play("remove_user").changed == 0 and machine.account("muster-programs") == before
