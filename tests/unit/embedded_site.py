# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded site as `compile_site` gets it, and small changes to it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "inventory" / "local"
DELETE = object()

_SERVERS = ["server_1", "server_2", "server_3"]
_CONSOLES = ["console_1", "console_2", "console_3"]


def site_variables(folder: Path = LOCAL) -> dict[str, Any]:
    """``group_vars/all/site.yml`` of an inventory, with its one template filled in."""
    variables = yaml.safe_load((folder / "group_vars" / "all" / "site.yml").read_text(encoding="utf-8"))
    common = variables.pop("muster_common_bus_hosts")
    variables["muster_services"]["common_data_bus"]["hosts"] = common
    return dict(variables)


def raw_site(**changes: Any) -> dict[str, Any]:
    """The input of `compile_site`; ``changes`` as in `changed`, with ``__`` between keys."""
    hosts = _SERVERS + _CONSOLES
    raw = site_variables()
    raw["muster_state_dir"] = "/srv/muster/state"
    raw["inventory"] = {
        "hosts": {
            name: {
                "groups": ["all", "muster_hosts", "servers" if name in _SERVERS else "consoles"],
                "muster_root": "/srv/muster/hosts/" + name,
                "muster_address": "127.60.0.%d" % (11 + position),
            }
            for position, name in enumerate(hosts)
        },
        "groups": {
            "all": ["controller", *hosts],
            "muster_controller": ["controller"],
            "muster_hosts": hosts,
            "servers": _SERVERS,
            "consoles": _CONSOLES,
        },
        "controllers": ["controller"],
        "muster_hosts": hosts,
    }
    return changed(raw, {key.replace("__", "/"): value for key, value in changes.items()})


def changed(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with values replaced, added or (`DELETE`) removed: ``{"muster_items/0": "x"}``."""
    raw = copy.deepcopy(raw)
    for path, value in changes.items():
        place: Any = raw
        *way, last = path.split("/")
        for key in way:
            place = place[int(key)] if isinstance(place, list) else place[key]
        if value is DELETE:
            del place[last]
        elif isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    return raw
