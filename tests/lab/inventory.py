# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a lab, as a site would write it: real names, real addresses, ssh with keys and known hosts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.lab.disks import ROOT
from tests.lab.hosts import Lab
from tests.lab.names import CONTROLLER

SITE = ROOT / "inventory/local/group_vars/all/site.yml"
# Where things are on the hosts and on the controller.
MUSTER_ROOT, STATE, INVENTORY = "/opt/muster", "/opt/muster_state", "/opt/site/inventory"
KEY = "/root/.ssh/id_ed25519"  # on the controller


def write(lab: Lab, service_manager: str = "supervisor", user: str = "root") -> Path:
    """Write the inventory to the controller's disk. :return: its folder, from out here."""
    folder = lab.opt(CONTROLLER) / Path(INVENTORY).relative_to("/opt")
    everybody = folder / "group_vars" / "all"
    everybody.mkdir(parents=True, exist_ok=True)
    shutil.copy2(SITE, everybody / "site.yml")
    _dump(folder / "hosts.yml", hosts(lab))
    _dump(everybody / "lab.yml", settings(service_manager))
    _dump(folder / "group_vars" / "muster_hosts.yml", reached(user))
    _dump(folder / "group_vars" / "muster_controller.yml", {
        "ansible_connection": "local",
        "ansible_remote_tmp": "/root/.ansible/tmp",  # not of whom USER names: that is nobody's account there
        "ansible_python_interpreter": sys.executable,
        "muster_supervisord": [sys.executable, "-m", "supervisor.supervisord"],
        "muster_boot": True,  # that of the hosts is by default
        # The checkout is read-only there: what Ansible keeps for itself goes elsewhere.
        "monitor_environment": {"ANSIBLE_HOME": "/root/.ansible", "HOME": "/root"},
    })  # fmt: skip
    if user != "root":
        for host in lab.names.managed:
            target = lab.opt(host) / Path(MUSTER_ROOT).relative_to("/opt")
            target.mkdir(exist_ok=True)
            shutil.chown(target, user=_user_id(lab, user), group=_user_id(lab, user))
    return folder


def hosts(lab: Lab) -> dict[str, Any]:
    """The content of hosts.yml."""

    def group(names: tuple[str, ...]) -> dict[str, Any]:
        return {"hosts": {name: {"ansible_host": lab.names.address(name)} for name in names}}

    return {"all": {"children": {
        "muster_controller": group((CONTROLLER,)),
        "muster_hosts": {"children": {"servers": group(lab.names.servers), "consoles": group(lab.names.consoles)}},
    }}}  # fmt: skip


def settings(service_manager: str) -> dict[str, Any]:
    """The variables of all hosts."""
    return {
        "muster_service_manager": service_manager,
        "muster_root": MUSTER_ROOT,
        "muster_state_dir": STATE,
        "muster_address": "{{ ansible_host }}",
        "muster_measure": "processes",  # all hosts of the lab share the processors of one machine
        "muster_settings": {"stable_after": 1},
        "muster_environment": {"MUSTER_PYTHON": "/usr/bin/python3", "MUSTER_NATS_SERVER": "/usr/local/bin/nats-server"},
        "muster_supervisord": ["/usr/bin/supervisord"],
    }


def reached(user: str, key: str = KEY) -> dict[str, Any]:
    """How the managed hosts are reached."""
    return {
        "ansible_connection": "ansible.builtin.ssh",
        "ansible_user": user,
        "ansible_ssh_private_key_file": key,
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _user_id(lab: Lab, user: str) -> int:
    return int(lab.run(lab.names.managed[0], "id", "-u", user))
