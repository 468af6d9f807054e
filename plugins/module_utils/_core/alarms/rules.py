# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site says about its alarms: priority, what to do, how long it must last, and what is none."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from datetime import datetime
from typing import Iterable, Sequence, Tuple

from ..model.alarm import KINDS, RULE, Rule
from .picture import Condition

OFF = "the site's rules switch it off"


def ruled(condition: Condition, rules: Sequence[Rule], now: float) -> Tuple[Condition, str]:
    """The condition with the site's words, and what to do about it. For each field the first rule that has it counts.

    :param now: rules may hold at some time of day only.
    """
    do, chosen = "", condition
    priority, after, off = "", -1.0, False
    for rule in rules:
        if not applies(rule, condition, now):
            continue
        priority = priority or rule.priority
        do = do or rule.do
        after = rule.after if after < 0 else after
        off = off or rule.off
    if after < 0:
        after = condition.after if condition.after >= 0 else KINDS[condition.kind].after
    chosen = replace(chosen, priority=priority or chosen.priority, after=after)
    if off and not chosen.by_design:
        chosen = replace(chosen, by_design=OFF, reason=RULE)
    return chosen, do or KINDS[condition.kind].do


def applies(rule: Rule, condition: Condition, now: float) -> bool:
    """Whether a rule is about an alarm now."""
    if rule.kinds and condition.kind not in rule.kinds:
        return False
    if rule.items and not _all(condition.items, rule.items):
        return False
    if rule.hosts and not _all(condition.hosts, rule.hosts):
        return False
    return not rule.between or _within(rule.between, now)


def _all(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a rule covers every one: an alarm that is about others too is not toned down because of one of them."""
    known = list(names)
    return bool(known) and all(any(fnmatch.fnmatchcase(n, pattern) for pattern in patterns) for n in known)


def _within(between: str, now: float) -> bool:
    first, _unused, last = between.partition("-")
    clock = datetime.fromtimestamp(now).strftime("%H:%M")
    return first <= clock < last if first <= last else clock >= first or clock < last
