# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of an item."""

from __future__ import annotations

from ..table import Field, table

HIGHEST_SLOT = 9999

ITEM = table(
    "An item",
    "muster_items[]",
    "A text (its id), or a mapping with these keys and any variables of its own, which commands, environment and"
    " templates read as `item.<name>`. A variable with the name of a key of the site counts for nothing else, so it is"
    " refused unless a command, an environment or a template reads it.",
    (
        Field("id", "item id", "Its name, unique: up to 64 letters, digits, `_`, `-`, `.`. Write it in quotes.",
              required=True),
        Field("slot", "integer", "Its number, unique: ports are computed from it.", minimum=0, maximum=HIGHEST_SLOT,
              default_doc="the id, when that is all digits"),
        Field("name", "text", "What people call it, shown beside its id: `Antenna 2`.", default_doc="none"),
        Field("area", "text", "Where it is; the page groups items by it.", default_doc="none"),
        Field("kind", "text", "What it is; the page groups items by it.", default_doc="none"),
        Field("applications", "names", "The applications it has, among those with one instance per item: names or"
              " patterns (`scen2_*`).", default_doc="all that have it among their `items`"),
        Field("expected_loading", "factor", "What its instances reserve: a factor (`1.5`) for all of them, or percent"
              " of a host by application (`{scen2_srv: 60}`).", default_doc="the sum of their programs"),
        Field("identifiers", "hosts", "Where its services may run, within the `identifiers` of their application: hosts"
              " and groups, one or a list; or such names by application.", default_doc="those of the application"),
        Field("prefer", "hosts", "Hosts that are tried first, while they have room; written as `identifiers`.",
              default_doc="none"),
        Field("apart_from", "names", "Items with which its services never share a node; or a label: all items that name"
              " it are apart. Said once, it holds for both.", default_doc="none"),
        Field("together_with", "names", "Items whose services are on the same node, application by application; or a"
              " label. Where there is no room for it beside them, it waits.", default_doc="none"),
        Field("priority", "integer", "When there is no room for all, services of a higher one get a host first.",
              default=0, minimum=-1000, maximum=1000),
        Field("displace", "boolean", "Its services may stop running ones of a lower `priority` when there is no room"
              " otherwise; those wait.", default=False),
    ),
)
TERMS = tuple(field.name for field in ITEM.fields if field.name not in ("id", "slot"))
