# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders: of the programs of an instance as they start and stop, of names, of the keys of mappings."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Optional, Tuple

from .item import SITE
from .site import Application, Program, Site

_DIGITS = re.compile("([0-9]+)")


def natural(name: str) -> Tuple[Tuple[int, int, str], ...]:
    """The key that sorts names as people do: server_2 before server_10."""
    parts = [part for part in _DIGITS.split(name) if part]
    found = [(0, int(part[:4000]), "") if _DIGITS.match(part) else (1, 0, part) for part in parts]
    return (*found, (-1, 0, name))  # 1 and 01 are two names


def ordered(value: Any) -> Any:
    """Data with the keys of every mapping in one order, whatever the order in which they came.

    Who keeps an inventory may sort its keys. What is made of it must be the same, or everything would restart.
    """
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value, key=lambda key: natural(str(key)))}
    if isinstance(value, (list, tuple)):
        return [ordered(entry) for entry in value]
    return value


def _ranked(programs: Iterable[Tuple[int, Program]]) -> Dict[int, List[Program]]:
    ranks: Dict[int, List[Program]] = {}
    for rank, program in programs:
        ranks.setdefault(rank, []).append(program)
    return ranks


def start_ranks(application: Application) -> List[List[Program]]:
    """Programs by ``start_sequence``, smallest first; those with 0 are not started with the application."""
    ranks = _ranked((p.start_sequence, p) for p in application.programs if p.start_sequence > 0)
    return [ranks[rank] for rank in sorted(ranks)]


def expected_programs(application: Application, without: Iterable[str] = ()) -> Tuple[str, ...]:
    """The long-running programs of a whole instance, in start order; gates exit and are never among them."""
    absent = set(without)
    lasting = (p for p in application.programs if p.start_sequence > 0 and not p.is_gate and p.name not in absent)
    return tuple(p.name for p in sorted(lasting, key=lambda p: p.start_sequence))


def application_of(site: Site, instance: str) -> Optional[Application]:
    """The application of an instance, also of one whose item has left the site; None when it is gone too.

    The name of one application may begin that of another. Then the one counts whose item or host the site still has,
    else the longest name.
    """
    known = site.by_name().get(instance)
    if known is not None:
        return known.application
    owners = {"item": {item.id for item in site.items}, "host": {host.name for host in site.hosts}, "site": {SITE}}
    fitting = []
    for application in site.applications:
        if instance.startswith(application.name + "_"):
            there = instance[len(application.name) + 1 :] in owners[application.per]
            if there or application.per != "site":  # that of the site has one name only
                fitting.append((there, len(application.name), application))
    return max(fitting, key=lambda fit: fit[:2])[2] if fitting else None
