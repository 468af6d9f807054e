# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of all metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from . import hosts, monitor, site
from .monitor import Facts


def exposition(facts: Facts, accept: str) -> tuple[bytes, str]:
    """The page as it is sent, and its content type.

    :param accept: the request's Accept header: OpenMetrics where it asks for that, else the text format 0.0.4.
    """
    registry = CollectorRegistry()
    registry.register(_Metrics(facts))
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no number
        encode, content_type = choose_encoder("")
    return encode(registry), content_type


class _Metrics(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        for family in (*monitor.families(self._facts), *site.families(self._facts), *hosts.families(self._facts)):
            if family.samples:
                yield family
