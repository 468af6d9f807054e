# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that announced themselves: a folder with one small file for each."""

from __future__ import annotations

DOCUMENTATION = r"""
name: announced
short_description: Hosts that announced themselves in a folder
version_added: 0.2.0
description:
  - Reads a folder with one small YAML or JSON file per host, named after it, for example C(server_4.yml). The playbook
    C(control_room.muster.announce) writes such files; other programs may write them, too.
  - A file says which kind the host has and what its address is, and nothing else. The inventory derives groups and
    connection from that, by P(ansible.builtin.constructed#inventory) in the file after this one. So an account that may
    write into the folder can add and remove hosts, but cannot set a variable of Ansible.
  - A file that cannot be used is left out with a warning; the other hosts are read.
author:
  - muster contributors (@control-room)
options:
  plugin:
    description:
      - Marks the file as one for this plugin.
    type: str
    required: true
    choices: [control_room.muster.announced]
  folder:
    description:
      - The folder. A relative path begins at the folder of this inventory file. One that does not exist is empty.
      - Outside of the inventory's own folder, where Ansible would read each file as an inventory.
    type: str
    required: true
  kinds:
    description:
      - The kinds that a host may have.
    type: list
    elements: str
    default: [server, console]
"""

EXAMPLES = r"""
# inventory/20_announced.yml
plugin: control_room.muster.announced
folder: /etc/muster/announced

# /etc/muster/announced/server_4.yml
# kind: server
# address: 192.0.2.14
# stereotypes: [big_memory]

# inventory/30_kinds.yml
# plugin: ansible.builtin.constructed
# strict: true
# compose:
#   ansible_host: announced_address | default(inventory_hostname)
# groups:
#   servers: announced_kind | default('') == 'server'
#   consoles: announced_kind | default('') == 'console'
"""

import os  # noqa: E402
import re  # noqa: E402
from typing import Any  # noqa: E402

import yaml  # noqa: E402
from ansible.errors import AnsibleParserError  # noqa: E402
from ansible.plugins.inventory import BaseInventoryPlugin  # noqa: E402

ENDINGS = (".yml", ".yaml", ".json")
KEYS = ("kind", "address", "stereotypes")
LARGEST = 4096  # bytes of a file
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?\Z")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")


class InventoryModule(BaseInventoryPlugin):
    """The plugin; see the documentation above."""

    NAME = "control_room.muster.announced"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """:raises AnsibleParserError: when the folder is there and cannot be read."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        folder = os.path.join(os.path.dirname(os.path.abspath(path)), os.path.expanduser(self.get_option("folder")))
        folder = os.path.normpath(folder)
        # For the playbooks that announce and retire.
        inventory.set_variable("all", "announced_folder", folder)
        inventory.set_variable("all", "announced_kinds", list(self.get_option("kinds")))
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        except OSError as error:
            raise AnsibleParserError("%s cannot be read: %s" % (folder, error.strerror)) from error
        for name in names:
            host, ending = os.path.splitext(name)
            if ending not in ENDINGS or name.startswith("."):
                continue
            try:
                self._add(host, read(os.path.join(folder, name), self.get_option("kinds")))
            except (ValueError, OSError) as error:
                self.display.warning("%s is left out: %s" % (os.path.join(folder, name), error))

    def _add(self, host: str, said: dict[str, Any]) -> None:
        """:raises ValueError: when no host can have this name, or another source has one of this name."""
        if not _NAME.match(host):
            raise ValueError("%r is not a valid host name: use letters, digits, _ . -" % host)
        if host in self.inventory.hosts or host in self.inventory.groups:
            raise ValueError("there is a host or group %s in this inventory already" % host)
        self.inventory.add_host(host)
        for key in KEYS:
            self.inventory.set_variable(host, "announced_" + key, said[key])


def read(path: str, kinds: list[str]) -> dict[str, Any]:
    """Read an announcement: ``{"kind", "address", "stereotypes"}``.

    :raises ValueError: with what is wrong in one sentence. :raises OSError: when it cannot be read.
    """
    with open(path, "rb") as handle:
        data = handle.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("it is longer than %d bytes" % LARGEST)
    try:
        said = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError("it is not valid YAML: %s" % " ".join(str(error).split())) from error
    if not isinstance(said, dict):
        raise ValueError("it must be a mapping with %s" % ", ".join(KEYS))
    unknown = [str(key) for key in said if key not in KEYS]
    if unknown:
        raise ValueError("it says %s; a host can say %s" % (", ".join(unknown), ", ".join(KEYS)))
    kind, address, stereotypes = said.get("kind"), said.get("address"), said.get("stereotypes") or []
    if kind not in kinds:
        raise ValueError("kind is %s, must be one of %s" % (kind, ", ".join(kinds)))
    if not isinstance(address, str) or not _ADDRESS.match(address):
        raise ValueError("address is %s, must be an address or a name in the network" % address)
    if not isinstance(stereotypes, list) or not all(isinstance(s, str) and _WORD.match(s) for s in stereotypes):
        raise ValueError("stereotypes is %s, must be a list of words of letters, digits and _" % stereotypes)
    return {"kind": kind, "address": address, "stereotypes": stereotypes}
