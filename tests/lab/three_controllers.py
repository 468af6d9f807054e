# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three booted controllers, set up as docs/controllers.md has it: etcd with certificates, and units of systemd.

The hosts of the site are other machines. Playbooks are run by an administrator, on one controller after the other.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.integration.controller import etcd_cluster
from tests.integration.local_site import wait_for
from tests.integration.roles.installed_controller import ARCHIVE, RealController, bring
from tests.lab import inventory
from tests.lab.hosts import Lab, lab
from tests.lab.names import CONTROLLER

CONTROLLERS = (CONTROLLER, "server_8", "server_9")
HOSTS = ("server_1", "server_2", "server_3", "console_1")
ITEMS = ("01", "02", "03")
CERTIFICATES = "/etc/muster"
ETCD_USER = "muster-etcd"
AT_LONGEST = 120.0  # s until the site is at rest on a busy machine


class Three(RealController):
    """One site with three controllers on a lab."""

    def __init__(self, made: Lab) -> None:
        super().__init__(made, "systemd", muster_items=list(ITEMS))

    @property
    def state(self) -> Path:
        return self.state_of(self.here)

    def state_of(self, controller: str) -> Path:
        return self.lab.opt(controller) / Path(inventory.STATE).relative_to("/opt")

    def write(self) -> None:
        """The same inventory on each controller."""
        names = self.lab.names
        addresses = {name: {"ansible_host": names.address(name)} for name in names.hosts}

        def group(*hosts: str) -> dict[str, Any]:
            return {"hosts": {name: addresses[name] for name in hosts}}

        folder = self.inventory / "group_vars"
        # A name in each line: with delegate_to, inventory_hostname is the name of another host.
        for number, name in enumerate(CONTROLLERS):
            here = "muster_here | default('%s', true)" % ("" if number else name)
            addresses[name]["ansible_connection"] = "{{ 'local' if %s == '%s' else 'ssh' }}" % (here, name)
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {
            "muster_controller": group(*CONTROLLERS),
            "muster_hosts": {"children": {"servers": group(*HOSTS[:-1]), "consoles": group(HOSTS[-1])}},
        }}}, sort_keys=False))  # fmt: skip
        settings = yaml.safe_load((folder / "all" / "lab.yml").read_text())
        settings["muster_ledger"] = {
            "etcd": ["https://%s:2379" % names.address(name) for name in CONTROLLERS],
            "ca": CERTIFICATES + "/ca.pem",
            "cert": CERTIFICATES + "/controller.pem",
            "key": CERTIFICATES + "/controller.key",
        }
        (folder / "all" / "lab.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
        hosts = yaml.safe_load((folder / "muster_hosts.yml").read_text())
        del hosts["ansible_ssh_private_key_file"]
        hosts.update(ansible_user="muster", muster_monitor_user="muster", muster_agent_sudo=True)
        (folder / "muster_hosts.yml").write_text(yaml.safe_dump(hosts))
        (folder / "muster_controller.yml").write_text(yaml.safe_dump({
            "ansible_become": True, "ansible_become_user": "muster", "ansible_python_interpreter": "/usr/bin/python3",
            "monitor_service": "systemd", "monitor_wheels": "/opt/wheels", "monitor_environment": {},
            "monitor_collection_archive": "/opt/wheels/" + ARCHIVE, "monitor_inventory": [inventory.INVENTORY],
            "etcd_cert": CERTIFICATES + "/member.pem", "etcd_key": CERTIFICATES + "/member.key",
        }, sort_keys=False))  # fmt: skip
        for path in (self.inventory.parent, *self.inventory.parent.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        for other in CONTROLLERS[1:]:
            shutil.copytree(self.inventory.parent, self.lab.opt(other) / "site")

    def certify(self, folder: Path) -> None:
        """What docs/controllers.md asks for: a certificate for each member, and one for the monitor's user."""
        etcd_cluster.certificates(folder, *(self.lab.names.address(name) for name in CONTROLLERS))
        for name in CONTROLLERS:
            target = self.lab.opt(name) / "certificates"
            shutil.copytree(folder, target)
            (target / "ca.key").unlink()
            self.lab.run(name, "sh", "-ec", """
useradd --system --user-group --home-dir /var/lib/muster --shell /bin/sh muster
useradd --system --user-group --home-dir /var/lib/muster-etcd --shell /usr/sbin/nologin %s
install -d -m 755 %s
cd /opt/certificates
install -m 644 *.pem %s
install -m 600 -o muster controller.key %s
install -m 600 -o %s member.key %s
rm -r /opt/certificates
""" % (ETCD_USER, *(CERTIFICATES,) * 3, ETCD_USER, CERTIFICATES))  # fmt: skip

    @contextlib.contextmanager
    def at(self, controller: str) -> Iterator[None]:
        """Playbooks and commands are run on this one."""
        before, self.here = self.here, controller
        try:
            yield
        finally:
            self.here = before

    def admin_at(self, controller: str, name: str, *arguments: str) -> int:
        """An administrator's playbook on a controller. :return: what it changed."""
        with self.at(controller):
            return self.admin(name, "-e", "muster_here=" + controller, *arguments).changed

    def asked_at(self, controller: str, *words: str) -> Any:
        """`muster` as the monitor's user on a controller."""
        with self.at(controller):
            return self.as_muster(*self.command_line(*words))

    def monitor(self, controller: str) -> dict[str, Any]:
        """What the monitor there wrote last; {} of one that does not run."""
        try:
            found: dict[str, Any] = json.loads((self.state_of(controller) / "run" / "monitor.json").read_text())
        except (OSError, ValueError):
            return {}
        on = self.lab.machines[controller].on
        return found if on and found["state"] == "running" else {}

    def leaders(self, *among: str) -> list[str]:
        return [name for name in among or CONTROLLERS if (self.monitor(name).get("lead") or {}).get("leads")]

    def leader(self, *among: str) -> str:
        """The only one that leads, once there is one; commands go there from now on."""
        wait_for(lambda: len(self.leaders(*among)) == 1, "one controller leads", self.logs, AT_LONGEST)
        (self.here,) = self.leaders(*among)
        return self.here

    def logs(self) -> str:
        return "\n".join(
            name + ": " + self.on(name, "journalctl", "-u", "muster-monitor", "-o", "cat", "--no-pager", "-n", "60")
            for name in CONTROLLERS if self.lab.machines[name].on
        )

    def settled(self) -> None:
        """Every item runs in full, and the leader holds lines to all hosts and a run that is parked."""
        for item in ITEMS:
            wait_for(lambda: self.whole("scen2_srv_" + item), item + " runs in full", self.logs, AT_LONGEST)  # noqa: B023
        wait_for(self._watched, "the leader watches", self.logs, AT_LONGEST)

    def _watched(self) -> bool:
        seen = self.monitor(self.leader())
        lines = {name: entry["line"] for name, entry in (seen.get("hosts") or {}).items()}
        return seen.get("standby") == "parked" and lines == dict.fromkeys(HOSTS, "fine")


@contextlib.contextmanager
def three_controllers(certificates: Path) -> Iterator[Three]:
    """The site, deployed and watched for instances that live twice."""
    with lab(servers=(*HOSTS[:-1], *CONTROLLERS[1:]), consoles=HOSTS[-1:], controllers=CONTROLLERS) as booted:
        made = Three(booted)
        made.write()
        made.certify(certificates)
        for name in CONTROLLERS:
            bring(booted.opt(name) / "wheels")
            with made.at(name):
                made.let_in()
        made.admin_at(CONTROLLER, "etcd", "-e", "ansible_become_user=root")
        for name in CONTROLLERS:
            made.admin_at(name, "controller", "--limit", "muster_hosts," + name)
        made.admin_at(CONTROLLER, "deploy", "-e", "ansible_become=true")
        made.watch.start()
        try:
            yield made
            made.watch.stop()
            assert not made.watch.violations, "%s\n%s" % (made.watch.violations, made.logs())
        finally:
            made.end()


