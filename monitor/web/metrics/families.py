# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The families of samples: gauges, counters, histograms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

Samples = Iterable[tuple[Mapping[str, str], float | None]]  # labels, value; None: not known


def gauge(name: str, doc: str, samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, doc)
    for labels, value in samples:
        if value is not None:
            family.add_sample(name, dict(labels), float(value))
    return family


def counter(name: str, doc: str, samples: Samples) -> Metric:
    """:param name: without the suffix ``_total``, which each sample gets."""
    family = CounterMetricFamily(name, doc)
    for labels, value in samples:
        if value is not None:
            family.add_sample(name + "_total", dict(labels), float(value))
    return family


def histogram(name: str, doc: str, label: str, given: Iterable[tuple[str, Mapping[str, Any]]]) -> Metric:
    """:param label: the name of the label whose values are beside the histograms; "" for none.
    :param given: each as `base.histogram.Histogram.to_json` makes it.
    """
    family = HistogramMetricFamily(name, doc, labels=[label] if label else [])
    for value, content in given:
        total, buckets = 0, []
        for bound, count in zip([*map(str, content["bounds"]), "+Inf"], content["counts"], strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([value] if label else [], buckets, content["sum"])
    return family
