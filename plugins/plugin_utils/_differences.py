# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of diff mode: what each instance has of its own, and each difference once for all hosts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.control_room.muster.plugins.module_utils._core.model import site as site_model
from ansible_collections.control_room.muster.plugins.plugin_utils import _compiled

LONGEST = 200  # characters of a value that is looked for in texts


def owners(site: site_model.Site, names: Collection[str], host: Mapping[str, Any]) -> dict[str, Any]:
    """The `owners` of `host.machine.differences`: for each of these instances its application, and its own values."""
    here = [[str(host[key]), key] for key in ("root", "address", "host", "site_id") if host.get(key)]
    found = {}
    for name, instance in site.by_name().items():
        if name not in names:
            continue
        item = instance.item
        own: list[tuple[str, Any]] = [("instance", name), ("id", item.id), ("slot", item.slot)]
        own += [("port " + port, number) for port, number in instance.ports.items()]
        peer = site.peer_of(instance)
        if peer is not None:
            own += [("peer", peer.name), *(("peer's port " + port, number) for port, number in peer.ports.items())]
        own += item.variables.items()
        values = [[str(value), key] for key, value in own if _is_a_value(value)]
        found[name] = {"application": instance.application.name, "own": values + here}
    return found


def _is_a_value(value: Any) -> bool:
    text = str(value)
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and 0 < len(text) <= LONGEST


def not_shown_yet(diffs: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Those of a host that no other host of this run has shown."""
    left = []
    for diff in diffs:
        entry = dict(diff)
        kind = entry.pop("kind", "")
        if not kind or _compiled.first("shown-" + kind):
            left.append(entry)
    return left
