# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real controller on booted hosts: accounts, keys and packages as docs/installation.md has them, set up once.

Packages come from a folder of wheels, because the lab has no way out.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.local_site import BIN, ROOT, Played
from tests.lab import bare, inventory
from tests.lab.hosts import lab as booted
from tests.lab.layer import USER
from tests.lab.names import CONTROLLER
from tests.lab.site import LabSite

DISCOVERY = ROOT / "inventory" / "discovery"
WHEELS = Path(os.environ.get("MUSTER_TEST_WHEELS") or ROOT / ".cache" / "wheels")
ARCHIVE = "control_room-muster-%s.tar.gz" % yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
BY_SYSTEMD, BY_SUPERVISOR = ("server_1", "console_1"), "server_2"
HOSTS = (*BY_SYSTEMD, BY_SUPERVISOR)
CONSOLE = "console_1"
WITH_PEOPLE = (CONSOLE, BY_SUPERVISOR)  # through the agent's door, and without any root
PERSON, STRANGER = USER, "guest"  # logged in there; only one of them is a member of the group
ADMIN = USER  # may become root
ITEMS = ("scen2_srv_01", "scen2_srv_02")
SERVICES = {"internal_data_bus", "sensor_acquisition", "data_processing", "config_manager"}
LONG = 900.0  # s, after which a playbook that installs packages on a busy machine hangs


class RealController(LabSite):
    """An administrator (an account of his own, with key and sudo) sets up what the monitor (muster) then works with."""

    here = CONTROLLER  # where playbooks and commands are run
    before: dict[str, dict[str, str]]  # traces of each host before muster was installed there

    def write(self) -> None:
        """The inventory as docs/installation.md has it."""
        folder = self.inventory / "group_vars"
        hosts = yaml.safe_load((folder / "muster_hosts.yml").read_text())
        del hosts["ansible_ssh_private_key_file"]
        hosts.update(ansible_user="muster", muster_monitor_user="muster", muster_agent_sudo=True)
        (folder / "muster_hosts.yml").write_text(yaml.safe_dump(hosts))
        # No root at all: the service manager, and everything that it runs, belongs to the account.
        self.set_host(BY_SUPERVISOR, muster_service_manager="supervisor", muster_agent_sudo=False, muster_boot=False,
                      muster_console_group="operators")  # fmt: skip
        self.set_host(CONSOLE, muster_console_group="operators")
        for name in ("20_announced.yml", "30_kinds.yml"):
            shutil.copy(DISCOVERY / name, self.inventory)
        controller = yaml.safe_load((folder / "muster_controller.yml").read_text())
        controller.update(ansible_become=True, ansible_become_user="muster", monitor_wheels="/opt/wheels",
                          monitor_environment={}, monitor_service="systemd",
                          ansible_python_interpreter="/usr/bin/python3",
                          monitor_collection_archive="/opt/wheels/" + ARCHIVE,
                          monitor_inventory=[inventory.INVENTORY], monitor_watchdog=8)  # fmt: skip
        del controller["ansible_remote_tmp"]
        (folder / "muster_controller.yml").write_text(yaml.safe_dump(controller))
        for path in (self.inventory.parent, *self.inventory.parent.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def let_in(self) -> None:
        """The administrator's key and known hosts on the controller."""
        home = self.lab.upper(self.here) / "home" / ADMIN / ".ssh"
        self.on(self.here, "sh", "-c", "install -d -m 700 -o %s -g %s /home/%s/.ssh && "
                "install -m 600 -o %s -g %s /root/.ssh/* /home/%s/.ssh" % ((ADMIN,) * 6))  # fmt: skip
        assert (home / "id_ed25519").exists()

    def people(self) -> None:
        for host in WITH_PEOPLE:
            self.on(host, "sh", "-c", "groupadd operators && usermod -aG operators %s && useradd -m %s" % (
                PERSON, STRANGER))  # fmt: skip

    def admin(self, name: str, *arguments: str) -> Played:
        played = self.as_admin(name, *arguments)
        assert played.rc == 0, played.output
        return played

    def as_admin(self, name: str, *arguments: str) -> Played:
        return self._as(ADMIN, "/home/" + ADMIN, *self._playbook(name, {}), "-e", "ansible_user=" + ADMIN, *arguments)

    def as_muster(self, *command: str) -> Played:
        return self._as("muster", "/var/lib/muster", *command)

    def _as(self, user: str, home: str, *command: str) -> Played:
        environment = {**self.environment, "HOME": home, "ANSIBLE_HOME": home + "/.ansible", "USER": user}
        if user == "muster":
            environment["PATH"] = "/var/lib/muster/venv/bin:/usr/bin:/bin"
        try:
            done = subprocess.run(
                self.lab.machines[self.here].inside(*command, user=user, environment=environment, folder=str(ROOT)),
                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LONG,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode(errors="replace")
            raise AssertionError("%s is not over after %g s:\n%s" % (command, LONG, said[-3000:])) from late
        return Played(done.returncode, done.stdout)

    def person(self, host: str, *command: str, user: str = PERSON) -> Played:
        """Run a command as a person who is logged in there."""
        home = {"HOME": "/home/" + user, "USER": user}
        done = subprocess.run(
            self.lab.machines[host].inside(*command, user=user, environment=home), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LONG, check=False,
        )  # fmt: skip
        return Played(done.returncode, done.stdout)

    def unit(self, what: str) -> str:
        return self.on(self.here, "systemctl", "show", "--value", "-p", what, "muster-monitor").strip()

    def monitor_log(self) -> str:
        return self.on(self.here, "journalctl", "-u", "muster-monitor", "-o", "cat", "--no-pager", "-n", "80")


def fetch() -> str:
    """Download the pinned packages that `WHEELS` lacks. :return: "", or why they are not there."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    pins = (ROOT / "requirements/runtime.txt").read_text()
    wanted = {name.lower().replace("-", "_") for name in re.findall(r"^([\w.-]+)==", pins, re.M)}
    there = {path.name.partition("-")[0].lower() for path in WHEELS.iterdir()
             if "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() in pins}  # fmt: skip
    if wanted <= there:
        return ""
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "--disable-pip-version-check",
         "-r", str(ROOT / "requirements/runtime.txt"), "-d", str(WHEELS)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LONG, check=False,
    )  # fmt: skip
    return "the package index does not answer: %s" % fetched.stdout[-300:] if fetched.returncode else ""


def bring(target: Path) -> None:
    """Put packages and the collection's archive into a folder of a controller."""
    target.mkdir()
    for wheel in WHEELS.iterdir():
        (target / wheel.name).write_bytes(wheel.read_bytes())
    subprocess.run([BIN / "ansible-galaxy", "collection", "build", "--output-path", target, ROOT], check=True,
                   stdout=subprocess.DEVNULL, timeout=LONG)  # fmt: skip


@pytest.fixture(name="site", scope="module")
def site_fixture() -> Iterator[RealController]:
    why = fetch()
    if why:
        pytest.skip(why)
    with booted(servers=("server_1", "server_2"), consoles=("console_1",)) as lab:
        made = RealController(lab, "systemd", muster_items=["01", "02"])
        made.write()
        bring(lab.opt(CONTROLLER) / "wheels")
        made.let_in()
        made.people()
        made.before = {host: bare.traces(lab, host) for host in (CONTROLLER, *HOSTS)}
        made.admin("controller")
        made.admin("deploy", "-e", "ansible_become=true", "--limit", f"{CONTROLLER},{','.join(BY_SYSTEMD)}")
        deployed = made.as_muster(*made._playbook("deploy", {}), "--limit", f"{CONTROLLER},{BY_SUPERVISOR}")
        assert deployed.rc == 0, deployed.output
        yield made
