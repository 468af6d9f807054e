# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which items a rollout takes down together. Pure functions of the site and of what is open."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Sequence, Tuple

from ..model.rollout import Rollout, RolloutSettings
from ..model.site import Site
from ..place.ties import ties_of


class Turn(NamedTuple):
    """An item that a rollout concerns."""

    item: str
    is_open: bool = False  # a window of it is
    apart: FrozenSet[str] = frozenset()  # groups of items of which no two may be down together


class Batch(NamedTuple):
    """Instances that take their configuration together, and what holds for them."""

    instances: Tuple[str, ...]
    rules: Mapping[str, Any]


def batches(turns: Sequence[Turn], canary: int, parallel: int) -> List[List[str]]:
    """The items of each batch: first `canary` of them, then `parallel` at a time, those with open windows last.

    Items that must be apart are never in one batch, which may make it smaller.

    :param turns: in site order.
    """
    left = [turn for turn in turns if not turn.is_open] + [turn for turn in turns if turn.is_open]
    size = canary if canary and len(left) > canary else parallel
    found = []
    while left:
        batch = _batch(left, size)
        found.append([turn.item for turn in batch])
        left = [turn for turn in left if turn not in batch]
        size = parallel
    return found


def _batch(left: Sequence[Turn], size: int) -> List[Turn]:
    batch: List[Turn] = []
    groups: FrozenSet[str] = frozenset()
    put_off = False
    for turn in left:
        if len(batch) == size or (turn.is_open and put_off):  # no open window goes before what is closed
            break
        if groups & turn.apart:
            put_off = put_off or not turn.is_open
            continue
        batch.append(turn)
        groups |= turn.apart
    return batch


def batches_of(
    site: Site, names: Iterable[str], windows: FrozenSet[str], at_a_time: int, canary: bool = True
) -> List[Batch]:
    """All batches for these instances. Those for which something else holds follow one after the other.

    :param windows: items with an open window.
    :param at_a_time: of this deploy only; 0: as the site says.
    :param canary: whether the first ones go ahead.
    """
    alike: Dict[RolloutSettings, Dict[str, List[str]]] = {}
    for name in names:
        instance = site.instance(name)
        items = alike.setdefault(site.rollout_of(site.application(instance.application.name)), {})
        items.setdefault(instance.item.id, []).append(name)
    found = []
    for settings, items in alike.items():
        turns = [
            Turn(item, item in windows, frozenset(group for name in members for group in ties_of(site, name).apart))
            for item, members in items.items()
        ]
        parallel = at_a_time or settings.parallel(len(turns))
        rules = rules_of(site, settings)
        for batch in batches(turns, min(settings.canary, parallel) if canary else 0, parallel):
            found.append(Batch(tuple(name for item in batch for name in items[item]), rules))
    return found


def of_record(record: Rollout) -> Dict[str, Any]:
    """What holds for the batch under way."""
    return {"hold_for": record.hold_for, "max_failures": record.max_failures, "revert": record.revert,
            "well_within": record.well_within}  # fmt: skip


def rules_of(site: Site, settings: RolloutSettings) -> Dict[str, Any]:
    """What a record keeps of the settings of a batch."""
    hold_for = site.settings.stable_after if settings.hold_for is None else settings.hold_for
    return {"hold_for": hold_for, "max_failures": settings.max_failures, "revert": settings.revert,
            "well_within": settings.well_within}  # fmt: skip
