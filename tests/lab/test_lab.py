# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab itself: what it promises the tests that are built on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local_site import wait_for
from tests.lab import reaper
from tests.lab.disks import ROOT
from tests.lab.hosts import Lab
from tests.lab.machine import hierarchies
from tests.lab.names import CONTROLLER, LabError, Names


@pytest.fixture
def healed(lab: Lab) -> Iterator[Lab]:
    """Repair the lab after each test."""
    yield lab
    lab.switch.heal()
    for host in lab.names.hosts:
        lab.thaw(host)
        lab.free_disk(host)
        lab.boot(host)


def traces(name: str) -> list[str]:
    """The remains of a lab."""
    names = Names(name)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(names.folder) in line]
    namespaces = [entry for entry in os.listdir("/run/netns") if entry.startswith(names.namespace(""))]
    cgroups = [str(place / names.cgroup) for place in hierarchies() if (place / names.cgroup).exists()]
    folders = [str(names.folder)] if names.folder.exists() else []
    return [*mounts, *namespaces, *cgroups, *folders]


def over_ssh(lab: Lab, host: str, *words: str, user: str = "root") -> str:
    done = subprocess.run(lab.ssh(host, *words, user=user), text=True, capture_output=True, timeout=60, check=False)
    return done.stdout + done.stderr


@pytest.mark.core
def test_every_host_is_a_machine_of_its_own_that_is_reached_by_ssh_with_a_known_host_key(lab: Lab) -> None:
    said = {host: over_ssh(lab, host, "hostname; cat /etc/machine-id; systemctl is-system-running --wait").split()
            for host in lab.names.hosts}  # fmt: skip
    assert [words[0] for words in said.values()] == [host.replace("_", "-") for host in lab.names.hosts]
    assert len({words[1] for words in said.values()}) == len(lab.names.hosts)
    failed = "systemctl list-units --failed --plain --no-legend; journalctl -b -p err --no-pager"
    broken = {host: over_ssh(lab, host, failed) for host, words in said.items() if words[2] != "running"}
    assert broken == {}
    assert over_ssh(lab, "server_1", "sudo -n id -u", user="operator").strip() == "0"


@pytest.mark.core
def test_hosts_see_nothing_of_the_project_and_the_controller_cannot_change_it(lab: Lab) -> None:
    assert "No such file" in lab.run("server_1", "ls", str(ROOT), check=False)
    assert lab.run("server_1", "find", "/root", "/home", "/opt", "/srv", "-name", "*muster*").strip() == ""
    assert "Read-only file system" in lab.run(CONTROLLER, "touch", str(ROOT / "README.md"), check=False)
    assert "Network is unreachable" in lab.run("server_1", "python3", "-c", (
        "import socket\nsocket.create_connection(('192.0.2.1', 80), 2)"), check=False)  # fmt: skip


@pytest.mark.core
def test_a_host_without_power_is_silent_and_keeps_its_disk(healed: Lab) -> None:
    healed.run("server_2", "sh", "-c", "echo kept >/opt/note; echo kept >/etc/note; touch /run/note")
    healed.power_cut("server_2")
    assert healed.state()["server_2"] == "off"
    with pytest.raises(OSError):
        healed.connect("server_2", 22, 0.5)
    healed.boot("server_2")
    assert healed.run("server_2", "sh", "-c", "cat /opt/note /etc/note; ls /run/note; true").split()[:2] == ["kept"] * 2
    assert "No such file" in healed.run("server_2", "ls", "/run/note", check=False)


def test_an_orderly_reboot_ends_services_and_starts_what_is_enabled(healed: Lab) -> None:
    unit = healed.upper("server_1") / "etc/systemd/system/note.service"
    unit.write_text("[Service]\nExecStart=/bin/sleep infinity\nExecStop=/usr/bin/touch /opt/stopped\n"
                    "[Install]\nWantedBy=multi-user.target\n")  # fmt: skip
    healed.run("server_1", "systemctl", "enable", "--now", "note")
    healed.reboot("server_1")
    assert healed.run("server_1", "ls", "/opt/stopped").strip() == "/opt/stopped"
    wait_for(lambda: healed.run("server_1", "systemctl", "is-active", "note", check=False).strip() == "active",
             "the enabled unit runs", lambda: healed.console("server_1"))  # fmt: skip
    healed.run("server_1", "systemctl", "disable", "--now", "note")


@pytest.mark.core
def test_a_frozen_host_takes_connections_and_says_nothing_until_it_thaws(healed: Lab) -> None:
    healed.freeze("console_1")
    with healed.connect("console_1", 22) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        healed.thaw("console_1")
        connection.settimeout(10)
        assert connection.recv(4) == b"SSH-"


@pytest.mark.parametrize("way", ["both", "in", "out"])
def test_a_pulled_cable_leaves_the_host_alone_with_its_work(healed: Lab, way: str) -> None:
    healed.switch.pull("server_3", way)
    assert not healed.banner("server_3")
    assert healed.machines["server_3"].on
    carrier = "NO-CARRIER" not in healed.run("server_3", "ip", "link", "show", "dev", "eth0")
    assert carrier == (way != "both")  # frames that get lost are noticed by nobody
    healed.switch.heal("server_3")
    wait_for(lambda: healed.banner("server_3"), "it answers again", healed.state)


def test_two_hosts_can_be_parted_from_each_other_only(healed: Lab) -> None:
    healed.switch.part("server_1", "server_2")
    reach = "import socket,sys\nsocket.create_connection((sys.argv[1], 22), 1).recv(4)"

    def reaches(host: str) -> bool:
        return "Error" not in healed.run("server_1", "python3", "-c", reach, healed.names.address(host), check=False)

    assert not reaches("server_2")
    assert reaches("server_3")
    assert healed.banner("server_2", 5)


def test_a_slow_cable_trickles(healed: Lab) -> None:
    shown = healed.switch
    shown.slow("server_1", "64kbit")
    assert "64Kbit" in subprocess.run(
        ["tc", "-n", healed.names.switch, "qdisc", "show", "dev", healed.names.port("server_1")],
        text=True, capture_output=True, check=True).stdout  # fmt: skip
    assert healed.banner("server_1", 10)


@pytest.mark.core
def test_a_full_disk_takes_nothing_more_until_it_is_freed(healed: Lab) -> None:
    healed.fill_disk("server_1")
    assert "No space left" in healed.run("server_1", "cp", "/etc/hosts", "/opt/more", check=False)
    healed.free_disk("server_1")
    healed.run("server_1", "cp", "/etc/hosts", "/opt/more")


def test_a_clock_that_is_off_is_seen_over_ssh(healed: Lab) -> None:
    healed.set_clock("server_1", 3600)
    ahead = float(over_ssh(healed, "server_1", "date +%s")) - float(over_ssh(healed, "server_2", "date +%s"))
    healed.set_clock("server_1", 0)
    assert 3000 < ahead < 4200


def test_a_second_lab_of_the_same_name_is_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="another name"):
        Lab(Names(lab.names.lab)).up()
    assert lab.banner("server_1", 5)


@pytest.mark.core
def test_a_lab_whose_test_is_killed_is_taken_away_and_the_one_beside_it_stays(lab: Lab) -> None:
    name = f"k{os.getpid()}"
    script = (
        "import signal, sys\nfrom tests.lab.hosts import lab\n"
        f"with lab({name!r}, servers=('server_1',), consoles=()) as made:\n"
        "    made.freeze('server_1')\n    print('up', flush=True)\n    signal.pause()\n"
    )
    test = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    try:
        assert test.stdout is not None
        assert test.stdout.readline().strip() == "up"
        assert traces(name)
        assert lab.banner("server_1", 5)  # it has the same address
        test.send_signal(signal.SIGKILL)
        test.wait()
        wait_for(lambda: not traces(name), "nothing is left", lambda: traces(name))
    finally:
        test.kill()
        test.wait()
        reaper.remove(name)
        Names(name).lock.unlink(missing_ok=True)
    assert lab.banner("server_1", 5)
