# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Input and output of a placement: the instances that wait for a host, and the host that each one gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from ..model.site import Instance, Site
from .ties import FREE, Ties, ties_of

Placed = Dict[str, Optional[str]]  # instance -> host; None where no host has room


@dataclass(frozen=True)
class Pending:
    """An instance that waits for a host."""

    name: str  # of the instance, as in ``scen2_srv_01``
    load: int  # what it reserves, in percent of a node's capacity
    hosts: Tuple[str, ...]  # those that may take it, in site order
    strategy: str = "config"  # one of `model.site.STARTING_STRATEGIES`
    sequence: int = 0  # the application's start_sequence
    order: int = 0  # position of its item in the site
    priority: int = 0  # of its item; the higher one is placed first
    prefer: Tuple[str, ...] = ()  # hosts that are tried first, in site order
    ties: Ties = FREE
    displaces: bool = False  # it may stop running instances of a lower priority

    @property
    def spreads(self) -> bool:
        """Whether its strategy makes the highest load as small as possible."""
        return self.strategy in ("less_loaded", "less_loaded_node")


def pending_of(site: Site, instance: Instance, hosts: Tuple[str, ...], order: int = 0) -> Pending:
    """An instance of the site that waits for one of these hosts.

    :param order: the position of its item in the site.
    """
    application, terms = instance.application, instance.item.terms
    liked = terms.prefer.get(application.name, ()) if terms else ()
    return Pending(
        instance.name, application.loading, hosts, application.starting_strategy, application.start_sequence, order,
        terms.priority if terms else 0, tuple(h for h in hosts if h in liked) if liked else (),
        ties_of(site, instance.name), bool(terms and terms.displace and not application.on_request),
    )  # fmt: skip
