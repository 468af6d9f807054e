# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The things controlled, and what the site says about each of them alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple


@dataclass(frozen=True)
class Terms:
    """What holds for one item only. Mappings are by application; names of hosts are resolved."""

    loading: Mapping[str, int] = field(default_factory=dict)  # what an instance reserves, percent of a host
    identifiers: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)  # hosts that may run it
    written: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)  # the same as the user wrote them
    prefer: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)  # hosts that are tried first
    apart: Tuple[str, ...] = ()  # groups of items; no two items of one have services on one node
    together: Tuple[str, ...] = ()  # groups of items whose services, per application, are on one node
    priority: int = 0  # when there is no room for all: the higher one first
    displace: bool = False  # services of a lower priority stop for it


@dataclass(frozen=True)
class Item:
    """The thing controlled."""

    id: str
    slot: int
    variables: Mapping[str, Any] = field(default_factory=dict)
    terms: Optional[Terms] = None


LABELS = ("name", "area", "kind")  # variables of an item that people read beside its id
MEMORY = "memory"  # the name of this resource, in MiB
SITE = "site"  # the row of what the site has once
PER = ("item", "site", "host")


def owners(
    per: str, chosen: Optional[Tuple[str, ...]], hosts: Tuple[str, ...], items: Tuple[Item, ...]
) -> Tuple[Item, ...]:
    """For whom an application has an instance: items, the site, or each of its hosts.

    :param per: one of `PER`.
    :param chosen: ids of the items that have it; None: all.
    """
    if per == "site":
        return (Item(SITE, 0),)
    if per == "host":
        return tuple(Item(host, 0) for host in hosts)
    if chosen is None:
        return items
    ids = set(chosen)
    return tuple(item for item in items if item.id in ids)


_BY_APPLICATION = ("identifiers", "written", "prefer")
NO_TERMS = Terms()


def item_from_json(document: Mapping[str, Any]) -> Item:
    """The inverse of `model.site.to_json`."""
    known: Dict[str, Any] = dict(document)
    terms = known.get("terms")
    if terms:
        terms = dict(terms, **{key: tuple(terms.get(key, ())) for key in ("apart", "together")})
        for key in _BY_APPLICATION:
            terms[key] = {name: tuple(hosts) for name, hosts in terms.get(key, {}).items()}
        known["terms"] = Terms(**terms)
    return Item(**known)
