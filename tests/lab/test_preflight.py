# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are broken for real, and the one sentence that says what is wrong with each."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.lab import inventory
from tests.lab.hosts import Lab
from tests.lab.names import CONTROLLER
from tests.lab.site import LabSite


@pytest.fixture(scope="module")
def bare(lab: Lab) -> LabSite:
    """An inventory, and hosts on which nothing of muster is installed yet."""
    return LabSite(lab)


def sentences(site: LabSite) -> dict[str, str]:
    """host -> what `muster check --hosts` says of it."""
    played = site.muster("check", "--hosts")
    lines = [line.partition(": ") for line in played.output.splitlines()]
    said = {host: text for host, _unused, text in lines if host in site.lab.names.hosts}
    assert played.rc == (1 if said else 0), played.output
    return said


def test_hosts_without_anything_of_ours_can_be_deployed_to(bare: LabSite) -> None:
    played = bare.muster("check", "--hosts")
    assert played.rc == 0, played.output
    assert "6 hosts can be deployed to: console_1, console_2, console_3, server_1, server_2, server_3" in played.output
    assert "the site scenario_2 is valid" in played.output
    assert "muster" not in bare.on("server_1", "ls", "/opt")


@pytest.mark.core
def test_every_broken_host_is_reported_and_no_other(bare: LabSite) -> None:
    lab = bare.lab
    lab.power_cut("server_1")
    lab.freeze("server_2")
    lab.set_clock("server_3", -600)
    lab.fill_disk("console_1")
    lab.run("console_2", "mv", "/root/.ssh/authorized_keys", "/root/.ssh/kept")
    lab.run("console_3", "systemctl", "stop", "ssh")
    try:
        said = sentences(bare)
    finally:
        lab.thaw("server_2")
        lab.set_clock("server_3", 0)
        lab.free_disk("console_1")
        lab.run("console_2", "mv", "/root/.ssh/kept", "/root/.ssh/authorized_keys")
        lab.run("console_3", "systemctl", "start", "ssh")
        lab.boot("server_1")
    assert set(said) == set(lab.names.managed)
    assert re.search(r"there is no route to 10.77.0.11|10.77.0.11 does not answer in time", said["server_1"])
    assert "it takes connections and does not answer" in said["server_2"]
    assert re.search(r"its clock is behind by (599|60\d) s", said["server_3"])
    assert "the disk of /opt is full: 0 MiB" in said["console_1"]
    assert "it refuses the key of root" in said["console_2"]
    assert "10.77.0.23 refuses connections at port 22" in said["console_3"]
    lab.wait("console_3")
    assert sentences(bare) == {}


def test_a_reinstalled_host_and_an_unknown_one_get_different_messages(bare: LabSite) -> None:
    lab = bare.lab
    known = "/root/.ssh/known_hosts"
    before = lab.run(CONTROLLER, "cat", known)
    lines = before.splitlines()
    other = next(line.split()[-1] for line in lines if line.startswith("server_3"))
    changed = [line.rpartition(" ")[0] + " " + other if line.startswith("server_1,") else line
               for line in lines if not line.startswith("server_2,")]  # fmt: skip
    path = lab.upper(CONTROLLER) / known.lstrip("/")
    path.write_text("\n".join(changed) + "\n")
    try:
        said = sentences(bare)
    finally:
        path.write_text(before)
    assert set(said) == {"server_1", "server_2"}
    assert "its host key is another one than known_hosts has" in said["server_1"]
    assert "its host key is not known here" in said["server_2"]


@pytest.fixture
def by_operator(bare: LabSite) -> Iterator[LabSite]:
    """Hosts that are reached by a user who has to become root."""
    path = bare.inventory / "group_vars" / "muster_hosts.yml"
    before = path.read_text()
    path.write_text(before.replace("ansible_user: root", "ansible_user: operator\nansible_become: true"))
    yield bare
    path.write_text(before)


def test_missing_python_and_sudo_are_reported(by_operator: LabSite) -> None:
    lab = by_operator.lab
    lab.run("server_1", "mv", "/usr/bin/python3", "/usr/bin/python3.away")
    lab.run("server_2", "sh", "-c", "echo 'operator ALL=(ALL) ALL' >/etc/sudoers.d/operator")
    lab.run("server_3", "rm", "/etc/sudoers.d/operator")
    lab.run("console_1", "mv", "/usr/bin/sudo", "/usr/bin/sudo.away")
    try:
        said = sentences(by_operator)
    finally:
        lab.run("server_1", "mv", "/usr/bin/python3.away", "/usr/bin/python3")
        for host in ("server_2", "server_3"):
            line = "echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/operator; chmod 440 /etc/sudoers.d/operator"
            lab.run(host, "sh", "-c", line)
        lab.run("console_1", "mv", "/usr/bin/sudo.away", "/usr/bin/sudo")
    assert set(said) == {"server_1", "server_2", "server_3", "console_1"}
    assert "there is no Python at /usr/bin/python3" in said["server_1"]
    assert "sudo asks operator for a password" in said["server_2"]
    assert "operator" in said["server_3"]
    assert "sudo" in said["server_3"]
    assert "there is no sudo" in said["console_1"]
    assert sentences(by_operator) == {}


def test_a_folder_that_the_user_cannot_make_is_reported(bare: LabSite) -> None:
    path = bare.inventory / "group_vars" / "muster_hosts.yml"
    before = path.read_text()
    path.write_text(before.replace("ansible_user: root", "ansible_user: operator"))
    try:
        said = sentences(bare)
    finally:
        path.write_text(before)
    assert set(said) == set(bare.lab.names.managed)
    assert f"operator may not write to /opt, where {inventory.MUSTER_ROOT} is to be" in said["server_1"]
