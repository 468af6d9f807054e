# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The items of a site, from a source that others edit."""

from __future__ import annotations

DOCUMENTATION = r"""
name: items
short_description: Items of a muster site from CSV, JSON, a CMDB, NetBox or inventory groups
version_added: 0.2.0
description:
  - Reads the things that a control room controls from a table, a JSON document, a URL, or a group of the inventory, and
    sets C(muster_items).
  - The source is checked as a whole. What is wrong in it is reported with its place by each playbook of the collection,
    all at once, and nothing is deployed then. A source that cannot be read is reported in the same way.
  - Sets C(muster_items_source), so that a deploy refuses a source that lost half of its items.
    C(muster_accept=true) deploys it all the same.
  - Text from a source is data. One that holds a Jinja expression is refused.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - ansible.builtin.inventory_cache
options:
  plugin:
    description:
      - Marks the file as one for this plugin.
    type: str
    required: true
    choices: [control_room.muster.items]
  from:
    description:
      - The kind of source.
      - V(csv) is a table whose first line has the names of its columns.
      - V(json) is a list of mappings, or a document that holds one (O(records)).
      - V(netbox) is an answer of NetBox's API, with C(results) and C(next). Its further pages are read, too.
      - V(group) are the hosts of a group of this inventory, for example of one that
        P(ansible.builtin.constructed#inventory) made. Its file comes before this one.
    type: str
    required: true
    choices: [csv, json, netbox, group]
  file:
    description:
      - The file. A relative path begins at the folder of this inventory file.
    type: str
  url:
    description:
      - The address, with V(http) or V(https).
    type: str
  group:
    description:
      - The group, with O(from=group).
    type: str
  records:
    description:
      - Where the list is in a JSON document, for example C(data.sensors). Empty for a document that is the list.
    type: str
    default: ""
  delimiter:
    description:
      - What separates the columns of a table.
    type: str
    default: ","
  id:
    description:
      - The field that holds the id of the item. By default V(name) with O(from=netbox), C(inventory_hostname) with
        O(from=group), else V(id).
      - A field inside of another one is written with a dot, for example C(custom_fields.slot).
    type: str
  slot:
    description:
      - The field that holds the slot of the item. Not needed where ids are numbers.
    type: str
  fields:
    description:
      - Further variables of the item, and the field that each of them comes from. Templates and commands read them as
        C(item.NAME).
    type: dict
    default: {}
  where:
    description:
      - Only records whose fields have one of these values.
    type: dict
    default: {}
  token:
    description:
      - Sent as C(Authorization) with O(url).
    type: str
    env:
      - name: MUSTER_ITEMS_TOKEN
  token_scheme:
    description:
      - The word before the token. By default V(Token) with O(from=netbox), else V(Bearer).
    type: str
  ca_path:
    description:
      - A file with the certificates that a server's certificate is checked with. By default those of the system.
    type: path
  timeout:
    description:
      - Seconds to wait for each answer of a server.
    type: int
    default: 10
"""

EXAMPLES = r"""
# inventory/40_items.yml: a table with the columns id, slot, address, state
plugin: control_room.muster.items
from: csv
file: sensors.csv
slot: slot
fields: {sensor_address: address}
where: {state: [in service, test]}

# a CMDB, asked at most every ten minutes
# plugin: control_room.muster.items
# from: json
# url: https://cmdb.example.org/api/sensors
# records: data.sensors
# fields: {sensor_address: network.address}
# cache: true
# cache_plugin: ansible.builtin.jsonfile
# cache_connection: /var/lib/muster/items
# cache_timeout: 600

# NetBox; the token is in MUSTER_ITEMS_TOKEN
# plugin: control_room.muster.items
# from: netbox
# url: https://netbox.example.org/api/dcim/devices/?role=camera
# slot: custom_fields.slot
# where: {status.value: active}

# the hosts of a group, which constructed inventory made
# plugin: control_room.muster.items
# from: group
# group: sensors
# slot: sensor_number
"""

import os  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from typing import Any  # noqa: E402

from ansible.errors import AnsibleParserError  # noqa: E402
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable  # noqa: E402

from ansible_collections.control_room.muster.plugins.plugin_utils import _item_source, _items  # noqa: E402

NEEDS = {"csv": ("file", "url"), "json": ("file", "url"), "netbox": ("file", "url"), "group": ("group",)}


class InventoryModule(BaseInventoryPlugin, Cacheable):
    """The plugin; see the documentation above."""

    NAME = "control_room.muster.items"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """:raises AnsibleParserError: for wrong options. What is wrong in the source goes to the site's own check."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        kind = self.get_option("from")
        given = [name for name in ("file", "url", "group") if self.get_option(name)]
        if len(given) != 1 or given[0] not in NEEDS[kind]:
            raise AnsibleParserError("%s: from: %s needs %s" % (path, kind, " or ".join(NEEDS[kind])))
        wanted = _items.Wanted(
            id=self.get_option("id") or {"netbox": "name", "group": "inventory_hostname"}.get(kind, "id"),
            slot=self.get_option("slot") or "",
            fields=self.get_option("fields"),
            where=self.get_option("where"),
        )
        try:
            where, records = self._records(kind, path, cache)
        except _item_source.Unreadable as error:
            where, items, problems = error.source, [], [_items.plain(str(error))]
        else:
            items, problems = _items.items(records, wanted)
            problems = [_items.plain("%s: %s" % (where, problem)) for problem in problems]
        self.inventory.set_variable("all", "muster_items", items)
        self.inventory.set_variable("all", "muster_items_source", _items.plain(where))
        self.inventory.set_variable("all", "muster_items_problems", problems)

    def _records(self, kind: str, path: str, cache: bool) -> tuple[str, list[_items.Record]]:
        """The name of the source for people, and its records.

        :raises _item_source.Unreadable: with a sentence.
        """
        if kind == "group":
            return "group %s of the inventory" % self.get_option("group"), self._hosts(self.get_option("group"))
        if self.get_option("file"):
            name = os.path.join(os.path.dirname(os.path.abspath(path)), os.path.expanduser(self.get_option("file")))
            where, texts = os.path.normpath(name), None
        else:
            where, texts = _item_source.shown(self.get_option("url")), self._cached(path, cache)
        if texts is None:
            if self.get_option("file"):
                texts = [_item_source.read(where)]
            else:
                texts = _item_source.texts(where, self._asking(kind))
                if self.get_option("cache"):
                    self._cache[self.get_cache_key(path)] = texts
        shape = _items.Shape(kind, self.get_option("records"), self.get_option("delimiter"))
        try:
            return where, [record for text in texts for record in _items.records(text, shape)]
        except ValueError as error:
            raise _item_source.Unreadable(where, str(error)) from error

    def _cached(self, path: str, cache: bool) -> list[str] | None:
        if not (cache and self.get_option("cache")):
            return None
        try:
            return list(self._cache[self.get_cache_key(path)])
        except KeyError:  # never asked, or too long ago
            return None

    def _asking(self, kind: str) -> _item_source.Asking:
        token = self.get_option("token")
        scheme = self.get_option("token_scheme") or ("Token" if kind == "netbox" else "Bearer")
        return _item_source.Asking(
            url=self.get_option("url"),
            headers={"Authorization": "%s %s" % (scheme, token)} if token else {},
            ca_path=self.get_option("ca_path"),
            timeout=self.get_option("timeout"),
            pages=kind == "netbox",
        )

    def _hosts(self, group: str) -> list[_items.Record]:
        if group not in self.inventory.groups:
            where = "group %s of the inventory" % group
            raise _item_source.Unreadable(where, _items.unknown("group", group, self.inventory.groups))
        found = []
        for host in self.inventory.groups[group].get_hosts():
            values: Mapping[str, Any] = {**host.get_vars(), "inventory_hostname": host.name}
            found.append(_items.Record("host %s" % host.name, values))
        return found
